"""The forecaster: one recurrent layer, one head for the leads asked for, one for the next reading of every channel."""

import keras

from keras_models.feature_encoding import FeatureEncoding
from pipeline.scenario import ModelSettings

CELLS = {"gru": keras.layers.GRU, "lstm": keras.layers.LSTM, "simple_rnn": keras.layers.SimpleRNN}


def build_forecaster(settings: ModelSettings, encoding: FeatureEncoding) -> keras.Model:
    """(batch, timesteps, features) -> [forecast (batch, timesteps, leads * targets), following (.., measured)].

    All in standard deviations. `following` forecasts the next reading of every channel: a missing reading is
    replaced by it on the device.
    """
    features = keras.Input((None, encoding.width), name="features")
    state = CELLS[settings.cell](settings.units, return_sequences=True, name=settings.cell)(features)
    forecast = keras.layers.Dense(encoding.lead_count * len(encoding.targets), name="forecast")(state)
    following = keras.layers.Dense(encoding.measured, name="following")(state)
    return keras.Model(features, [forecast, following], name=f"{settings.cell}_forecaster")
