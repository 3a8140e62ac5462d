"""float32 models with smaller weights, for the phone: close to the float model and smaller."""

import keras
import numpy as np
import pytest
from recurrent_models import Form, recurrent_model, stream
from runtime_ways import WAYS

from pipeline.user_error import UserError
from tflite import convert
from tflite.flatbuffer import operator_names, read_flatbuffer
from tflite.runtimes import load_model

READINGS = stream(300, 8)
# Matrices large enough to see the bytes saved.
FORMS = {cell: Form((48,), features=8, head=24, cell=cell) for cell in ("GRU", "LSTM", "SimpleRNN")}
# By how the weights are stored: bytes each, and the largest error allowed, as a share of the output's span.
VARIANTS = {"float16": (2, 1e-3), "int8": (1, 0.02)}
cells = pytest.mark.parametrize("cell", FORMS)
variants = pytest.mark.parametrize("weights", VARIANTS)


def model_of(cell):
    return recurrent_model(FORMS[cell], gain=1.0)


def run(model, **options):
    runtime = load_model(model, **options)
    return np.stack([runtime.step(x) for x in READINGS])


def error(model, expected, **options):
    """The largest, as a share of the span."""
    return np.abs(run(model, **options) - expected).max() / np.ptp(expected)


@cells
@variants
@pytest.mark.parametrize("state", ["external", "internal"])
def test_close_to_float_and_smaller(cell, weights, state):
    model = model_of(cell)
    expected = model.predict(READINGS[None], verbose=0)[0]
    plain, small = (convert(model, activations="float32", weights=w, state=state) for w in ("float32", weights))
    bytes_each, allowed = VARIANTS[weights]
    for way in ("litert-default", "litert-builtin", "litert-reference"):
        assert 0 < error(small.tflite, expected, **WAYS[way]) < allowed
    count = sum(layer.kernel.shape[0] * layer.kernel.shape[1] for layer in (model.layers[1].cell, model.layers[2]))
    count += model.layers[1].cell.recurrent_kernel.shape[0] * model.layers[1].cell.recurrent_kernel.shape[1]
    saved = len(plain.tflite) - len(small.tflite)
    assert saved == pytest.approx((4 - bytes_each) * count, rel=0.1)
    assert (small.manifest["weights"], small.manifest["name"]) == (weights, f"small_float32_weights_{weights}_{state}")


@variants
def test_tflite_micro_refuses_in_one_line(weights, capfd):
    model = convert(model_of("GRU"), activations="float32", weights=weights).tflite
    with pytest.raises(UserError, match=f"{weights} weights.*TFLite Micro does not run; convert with"):
        load_model(model, "tflm")
    assert capfd.readouterr().err == ""


def test_float32_is_run_by_both():
    model = model_of("GRU")
    expected = model.predict(READINGS[None], verbose=0)[0]
    assert error(convert(model, activations="float32").tflite, expected, runtime="tflm") < 1e-5


def test_every_kind_of_matrix_is_small():
    """Of Conv1D and Dense too; what no product reads stays float32."""
    x = keras.Input((None, 8))
    values = keras.layers.Conv1D(48, 3, padding="causal")(x)
    values = keras.layers.LayerNormalization()(keras.layers.GRU(48, return_sequences=True)(values))
    model = keras.Model(x, keras.layers.Dense(4, activation="gelu")(values), name="mixed")
    expected = model.predict(READINGS[None], verbose=0)[0]
    artifact = convert(model, activations="float32", weights="int8")
    graph = read_flatbuffer(artifact.tflite)
    large = [tensor for tensor in graph.tensors if tensor.data is not None and tensor.data.size > 100]
    assert {tensor.dtype for tensor in large} == {"int8"} and len(large) == 6
    assert "FULLY_CONNECTED" in operator_names(artifact.tflite)
    assert error(artifact.tflite, expected) < 0.02
