"""What a user may hand over by mistake: one clear line that names the layer or the input, and nothing written."""

import keras
import numpy as np
import pytest
from keras import layers
from recurrent_models import Form, randomize, recurrent_model, stream

import edgernn
from keras_models import quantize_aware
from keras_models.qat_model import calibrate
from tflite import convert

SMALL = Form((4,))
GOOD = stream(50, 3)


def sequential(*parts, name="bare"):
    return keras.Sequential([*parts], name=name)


def with_weights(kernel):
    model = recurrent_model(SMALL)
    head = model.get_layer("head")
    head.set_weights([kernel(head.kernel.shape), np.zeros(2)])
    return model


def two_heads():
    """One with all weights zero: the message must say which."""
    x = keras.Input((None, 3), name="x")
    state = layers.GRU(4, return_sequences=True, name="gru0")(x)
    model = keras.Model(x, [layers.Dense(2, name="lively")(state), layers.Dense(2, name="dead")(state)])
    randomize(model, 3)
    model.get_layer("dead").set_weights([np.zeros((4, 2)), np.zeros(2)])
    return model


class Doubled(layers.Layer):
    def call(self, x):
        return 2.0 * x


def batch_reshaped():
    """A shape that moves values between the streams of a batch."""
    x = keras.Input((None, 3), name="x")
    return keras.Model(x, keras.ops.reshape(layers.GRU(4, name="gru")(x), (-1, 2)))


def qat(activations="int8", calibrated=True):
    model = quantize_aware(recurrent_model(SMALL), activations)
    if calibrated:
        calibrate(model, [GOOD[None]])
    return model


INPUT = keras.Input((None, 3), name="x")
MODELS = {
    "NaN weights": (lambda: with_weights(lambda shape: np.full(shape, np.nan)), {}, "head.*NaN or infinity"),
    "infinite weights": (lambda: with_weights(lambda shape: np.full(shape, np.inf)), {}, "head.*NaN or infinity"),
    "empty": (lambda: sequential(INPUT), {}, "'bare' is empty"),
    "no model": (lambda: layers.GRU(3), {}, "GRU: expected a Keras"),
    "no time": (lambda: sequential(keras.Input((3,)), layers.Dense(4, name="odd")), {}, "odd.*dimension is missing"),
    "joined steps": (lambda: sequential(keras.Input((5, 3)), layers.Flatten(name="odd")), {}, "odd.*joins the steps"),
    "not built": (lambda: sequential(layers.GRU(3)), {}, "'bare' is not built"),
    "custom layer": (lambda: sequential(INPUT, Doubled(name="odd")), {}, "odd.*custom layer"),
    "batch-dependent": (batch_reshaped, {}, "operation '.*reshape.*no layer"),
    "any width": (lambda: sequential(keras.Input((None, None), name="x"), layers.ReLU()), {}, "'x'.*has the shape"),
    "not calibrated": (lambda: qat(calibrated=False), {}, "calibrate"),
    "int8 as float": (qat, {"activations": "float32"}, "made by quantize_aware for 'int8'"),
    "int8 as int16": (qat, {"activations": "int16"}, "made by quantize_aware for 'int8'"),
    "int16 as int8": (lambda: qat("int16"), {"activations": "int8"}, "made by quantize_aware for 'int16'"),
    "other state": (qat, {"state_dtype": "int16"}, "made by quantize_aware for 'int8'"),
    "a dead layer": (two_heads, {}, "layer 'dead'.*calibrate on streams that move it"),
}
ARGUMENTS = {
    "int4": ({"activations": "int4"}, "activations='int4': expected one of 'float32', 'int8', 'int16'"),
    "state": ({"state": "none"}, "state='none': expected one of 'external', 'internal'"),
    "state_dtype": ({"state_dtype": "int4"}, "state_dtype='int4': expected one of"),
    "wide state": ({"activations": "float32", "state_dtype": "int16"}, "with activations='int8', not with 'float32'"),
    "weights": ({"activations": "float32", "weights": "int4"}, "weights='int4': expected one of 'float32', 'float16'"),
    "weights of integers": ({"activations": "int8", "weights": "float16"}, "weights='float16': expected one of 'int8'"),
    "no representative": ({"representative": None}, "expected representative="),
    "no stream": ({"representative": []}, "representative holds no stream"),
    "features": ({"representative": [stream(10, 2)]}, r"'x'.*expected arrays \(timesteps, 3\), got shape \(10, 2\)"),
    "a batch": ({"representative": [GOOD[None]]}, r"'x'.*expected arrays \(timesteps, 3\), got shape \(1, 50, 3\)"),
    "one array": ({"representative": GOOD}, r"'x'.*expected arrays \(timesteps, 3\), got shape \(3,\)"),
    "a scalar": ({"representative": [1.0]}, r"'x'.*expected arrays \(timesteps, 3\), got shape \(\)"),
    "words": ({"representative": ["a word"]}, "'x'.*expected an array of numbers"),
    "another input": ({"representative": [{"z": GOOD}]}, "expected the inputs x, got z"),
    "short": ({"representative": [GOOD, GOOD[:5]]}, "'x'.*5 steps is shorter than the warm-up of 10"),
    "nothing": ({"representative": [GOOD[:0]]}, "'x'.*0 steps is shorter"),
    "NaN": ({"representative": [GOOD, np.where(GOOD == GOOD[7, 1], np.nan, GOOD)]}, "'x'.*NaN or infinity"),
    "infinity": ({"representative": [np.full((10, 3), np.inf)]}, "'x'.*NaN or infinity"),
    "never moved": ({"representative": [np.zeros((10, 3))]}, "'quantize_x'.*calibrate on streams that move it"),
}


def refusal(model, **options):
    with pytest.raises(ValueError) as caught:
        convert(model, **{"representative": [GOOD], **options})
    message = str(caught.value)
    assert "\n" not in message and len(message) < 300
    return message


def assert_says(message, words):
    with pytest.raises(ValueError, match=words):
        raise ValueError(message)


@pytest.mark.parametrize("case", MODELS)
def test_models(case):
    make, options, words = MODELS[case]
    assert_says(refusal(make(), **options), words)


@pytest.mark.parametrize("case", ["NaN weights", "empty", "no time", "not built", "custom layer", "batch-dependent"])
def test_models_in_float32(case):
    """Where no calibration could find it."""
    make, _, words = MODELS[case]
    assert_says(refusal(make(), activations="float32"), words)


@pytest.mark.parametrize("case", ARGUMENTS)
def test_arguments(case):
    options, words = ARGUMENTS[case]
    assert_says(refusal(recurrent_model(SMALL), **options), words)


TOKENS = {
    "beyond the table": (np.full(20, 7, np.int32), "'ids'.*expected tokens from 0 to 6"),
    "negative": (np.full(20, -1, np.int32), "'ids'.*expected tokens from 0 to 6"),
    "fractions": (np.full(20, 0.5), "'ids'.*expected whole numbers"),
}


@pytest.mark.parametrize("case", TOKENS)
def test_tokens(case):
    ids = keras.Input((None,), dtype="int32", name="ids")
    model = keras.Model(ids, layers.GRU(3)(layers.Embedding(7, 2)(ids)))
    values, words = TOKENS[case]
    assert_says(refusal(model, representative=[{"ids": values}]), words)


def test_a_batch_of_fixed_size_is_no_mistake():
    model = sequential(keras.Input(batch_shape=(4, None, 3)), layers.GRU(3))
    assert convert(model, representative=[GOOD]).manifest["inputs"][0]["shape"] == [3]


FILES = {
    "NaN weights": ([], "head.*NaN or infinity"),
    "no time": (["--activations", "float32"], "odd.*time dimension is missing"),
    "int8 as int16": (["--activations", "int16"], "made by quantize_aware for 'int8'"),
    "a dead layer": (["--state", "internal", "--state-dtype", "int16"], "layer 'dead'"),
    "weights": (["--weights", "float16"], "weights='float16': expected one of 'int8'"),
}


@pytest.mark.parametrize("case", FILES)
def test_command_line(tmp_path, capsys, case):
    """Exit status 2, one line that names the file, no artefact."""
    arguments, words = FILES[case]
    path, out = tmp_path / "model.keras", tmp_path / "out"
    (MODELS[case][0] if case in MODELS else lambda: recurrent_model(SMALL))().save(path)
    np.save(tmp_path / "streams.npy", GOOD[None])
    given = ["convert", path, *arguments, "--representative", tmp_path / "streams.npy", "--out", out]
    capsys.readouterr()
    assert edgernn.main([str(argument) for argument in given]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"edgernn: {path}: ") and error.count("\n") == 1
    assert_says(error, words)
    assert not out.exists() and sorted(file.name for file in tmp_path.iterdir()) == ["model.keras", "streams.npy"]
