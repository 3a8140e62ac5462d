"""Damaged models: one clear line, and the process that asked lives on."""

import numpy as np
import pytest
from step_models import StepModelWriter, quantized_gru_step

from pipeline.user_error import UserError
from tflite.runtimes import load_model, probe
from tflite.runtimes.model_bytes import check_header, read_model


def message_of(action, *args) -> str:
    with pytest.raises(UserError) as caught:
        action(*args)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("runtime", ["litert", "tflm"])
def test_sound_model_passes(gru_model, runtime, tmp_path):
    path = tmp_path / "sound.tflite"
    path.write_bytes(gru_model)
    probe(path, runtime)


@pytest.mark.parametrize(
    ("kept", "runtime"), [(0.02, "tflm"), (0.1, "litert"), (0.5, "litert"), (0.5, "tflm"), (0.95, "litert")]
)
def test_cut_short(gru_model, kept, runtime, tmp_path):
    path = tmp_path / "cut.tflite"
    path.write_bytes(gru_model[: int(len(gru_model) * kept)])
    message = message_of(probe, path, runtime)
    assert message.startswith(str(path)) and "convert" in message


def test_header_refuses_or_passes_every_length(gru_model):
    """No length raises anything but UserError, and the whole file passes."""
    for length in range(2000):
        try:
            check_header(gru_model[:length], "model")
        except UserError:
            continue
    check_header(gru_model, "model")
    assert "empty" in message_of(check_header, b"", "model")
    assert "not a .tflite" in message_of(check_header, gru_model[:20], "model")
    root_outside = b"\xff\xff\xff\x7f" + gru_model[4:]
    assert "root table outside" in message_of(check_header, root_outside, "model")


def test_random_bytes(tmp_path):
    noise = np.random.default_rng(3).integers(0, 256, 4096, np.uint8).tobytes()
    assert "not a .tflite" in message_of(load_model, noise)
    named = (24).to_bytes(4, "little") + b"TFL3" + noise[8:]
    message_of(probe, named)


def test_overwritten_middle(gru_model):
    """Either it still steps (only weights were hit) or one line says that it does not."""
    noise = np.random.default_rng(4).integers(0, 256, 400, np.uint8).tobytes()
    tables = len(gru_model) - 1200
    message_of(probe, gru_model[:tables] + noise + gru_model[tables + 400 :])


def test_missing_file(tmp_path):
    assert "cannot be read (No such file" in message_of(read_model, tmp_path / "absent.tflite")
    assert "cannot be read (Is a directory)" in message_of(read_model, tmp_path)


def test_batch_other_than_one():
    writer = StepModelWriter()
    x, y = writer.tensor("x", [4, 2]), writer.tensor("y", [4, 2])
    writer.op("ABS", [x], [y])
    assert "tensor x has shape (4, 2)" in message_of(load_model, writer.write({"x": x}, {"y": y}))


def test_state_with_unequal_ends():
    writer = StepModelWriter()
    before, after = (
        writer.tensor("before", [1, 2], np.int8, 1 / 128),
        writer.tensor("after", [1, 2], np.int8, 1 / 64),
    )
    writer.op("QUANTIZE", [before], [after])
    assert "state h0 enters as" in message_of(load_model, writer.write({"h0": before}, {"h0": after}))


def test_operator_the_runtime_lacks():
    """COMPLEX_ABS is not in TFLite Micro: refused in one line, not crashed on."""
    writer = StepModelWriter()
    x, y = writer.tensor("x", [1, 2]), writer.tensor("y", [1, 2])
    writer.op("COMPLEX_ABS", [x], [y])
    message_of(probe, writer.write({"x": x}, {"y": y}), "tflm")


def test_seeded_model_is_deterministic():
    assert quantized_gru_step(seed=5) == quantized_gru_step(seed=5)
