"""The arena is read from what TFLite Micro reports, and grows with the model."""

import pytest
from step_models import quantized_gru_step

from tflite.memory import arena_bytes, parse_allocations


def test_arena_of_a_gru(gru_model):
    arena = arena_bytes(gru_model)
    assert arena["total"] == arena["head"] + arena["tail"]
    # Measured 3,920 bytes for 8 -> 32; the activations alone hold two gate vectors of 96 int8.
    assert 192 <= arena["head"] < arena["tail"]
    assert 3000 < arena["total"] < 8000
    assert arena_bytes(quantized_gru_step(units=128))["head"] > arena["head"]


def test_parse():
    report = (
        "[RecordingMicroAllocator] Arena allocation total 3920 bytes\n"
        "[RecordingMicroAllocator] Arena allocation head 320 bytes\n"
        "[RecordingMicroAllocator] Arena allocation tail 3600 bytes\n"
        "[RecordingMicroAllocator] 'Persistent buffer data' used 808 bytes\n"
    )
    assert parse_allocations(report) == {"total": 3920, "head": 320, "tail": 3600}
    with pytest.raises(ValueError, match="without tail"):
        parse_allocations(report.replace("tail", "rest"))
