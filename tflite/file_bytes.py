"""Bytes of the file a model would ship as, by lowering it: what cells of equal size are found by."""

import keras
import numpy as np

from keras_models.anomaly_score import AnomalyScore
from keras_models.choose_form import allowed_forms
from keras_models.feature_encoding import FeatureEncoding
from keras_models.qat_model import calibrate, quantize_aware
from pipeline.scenario import Scenario
from tflite.conversion import convert

STEPS = 16  # that ranges are observed on; they do not change the size


def file_bytes(scenario: Scenario, model: keras.Model, encoding: FeatureEncoding, score: AnomalyScore | None) -> int:
    """In the cheapest form the scenario allows, with everything around the network; of any weights."""
    form, state = allowed_forms(scenario.quantization)[0], scenario.quantization.state
    twin = quantize_aware(model, form.activations, state_dtype=form.state_dtype, state=state)
    calibrate(twin, [np.random.default_rng(0).normal(size=(1, STEPS, encoding.width)).astype(np.float32)])
    return len(convert(twin, state=state, encoding=encoding, score=score).tflite)
