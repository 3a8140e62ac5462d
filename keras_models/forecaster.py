"""The forecaster: one recurrent layer, heads for the leads asked for, one for the next reading of every channel."""

import keras

from keras_models.feature_encoding import FeatureEncoding
from pipeline.scenario import ModelSettings

CELLS = {"gru": keras.layers.GRU, "lstm": keras.layers.LSTM, "simple_rnn": keras.layers.SimpleRNN}

HIDDEN, FOLLOWING, TRUST = ("hidden_of_state", "hidden_of_features"), "following", "trust"  # layers by name
FIRST_TRUST = 1.0  # its bias: .73 at first, so that the forecasts are learned before any is given up


def build_forecaster(settings: ModelSettings, encoding: FeatureEncoding) -> keras.Model:
    """(batch, timesteps, features) -> [forecast (.., leads * targets), following (.., measured), quantiles .., trust].

    All in standard deviations. `following` forecasts the next reading of every channel: a missing reading is
    replaced by it on the device. Of the quantiles, each like the forecast, there are as many as the encoding has. A
    hidden layer sees the features beside the state: what was measured a week ago is a forecast already, also on a level
    that no state has ever seen. `trust`, like the forecast and of an anomaly detector only, is what each residual of it
    counts, 0 to 1.
    """
    features = keras.Input((None, encoding.width), name="features")
    state = CELLS[settings.cell](settings.units, return_sequences=True, name=settings.cell)(features)
    seen = state
    if settings.hidden:
        # Two products and their sum: state and features are of different ranges, and side by side would share one.
        parts = [keras.layers.Dense(settings.hidden, use_bias=False, name=HIDDEN[0])(state),
                 keras.layers.Dense(settings.hidden, name=HIDDEN[1])(features)]  # fmt: skip
        seen = keras.layers.Activation("relu", name="hidden")(keras.layers.Add(name="hidden_sum")(parts))
    forecast = keras.layers.Dense(encoding.outputs, name="forecast")(seen)
    following = keras.layers.Dense(encoding.measured, name=FOLLOWING)(state)
    quantiles = [keras.layers.Dense(encoding.outputs, name=quantile_name(q))(seen) for q in encoding.quantiles]
    trust = []
    if settings.trust:
        bias = keras.initializers.Constant(FIRST_TRUST)
        trust = [keras.layers.Dense(encoding.outputs, "sigmoid", bias_initializer=bias, name=TRUST)(state)]
    return keras.Model(features, [forecast, following, *quantiles, *trust], name=f"{settings.cell}_forecaster")


def quantile_name(quantile: float) -> str:
    """`quantile_10` of .1, `quantile_2_5` of .025: the name of the head and of the output of the converted model."""
    return f"quantile_{100 * quantile:g}".replace(".", "_")
