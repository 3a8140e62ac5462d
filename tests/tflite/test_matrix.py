"""The matrix of forms: complete, measured with the public functions, and red where a form fails."""

import json

import pytest

import edgernn
from tflite import matrix as matrix_module
from tflite.contract import CheckResult
from tflite.matrix import MatrixForm, check_line, matrix, matrix_forms

SMALL = (
    MatrixForm("simple_rnn", "int8", "internal"),
    MatrixForm("simple_rnn", "float32", "external", weights="float16"),
)
CACHED = ("matrix_stream", "float_model", "_float_outputs", "_quantized_model")


@pytest.fixture(scope="module")
def small():
    """Two forms of a smaller network over a shorter stream."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {
            "FEATURES": 3,
            "UNITS": 4,
            "OUTPUTS": 2,
            "PARITY_STEPS": 200,
            "XNNPACK_STEPS": 100,
            "CONTRACT_STEPS": 100,
            "LATENCY_STEPS": 50,
            "CALIBRATION": (2, 60),
            "CONVERSION_UNITS": (3, 3),
            "ALLOWED_BYTES": {SMALL[0].name: (9_000, 9_000)},
            "matrix_forms": lambda: list(SMALL),
        }.items():
            patch.setattr(matrix_module, name, value)
        clear()
        yield patch
    clear()


def clear():
    for name in CACHED:
        getattr(matrix_module, name).cache_clear()


def test_every_form_is_there():
    forms = matrix_forms()
    names = [form.name for form in forms]
    assert len(set(names)) == len(names) == 30
    eighteen = [form for form in forms if form.state_dtype is None and form.weights is None]
    assert len(eighteen) == 18
    assert {(f.cell, f.activations, f.state) for f in eighteen} == {
        (cell, activations, state)
        for cell in ("simple_rnn", "gru", "lstm")
        for activations in ("float32", "int8", "int16")
        for state in ("external", "internal")
    }
    assert {"gru_int8_state16_internal", "lstm_weights_float16_external", "lstm_weights_int8_external"} <= set(names)
    assert set(matrix_module.ALLOWED_BYTES) <= set(names)


def test_the_table_and_its_record(small, tmp_path, capsys):
    assert edgernn.main(["matrix", "--build", str(tmp_path)]) == 0
    text, record = capsys.readouterr().out, json.loads((tmp_path / "matrix.json").read_text())
    integer, phone = record["forms"]
    assert all(row["form"] in text and row["passed"] for row in (integer, phone))
    assert set(integer["parity"]) == {"litert reference", "litert default", "keras"}
    assert integer["parity"]["litert reference"] == {"other": 0} and integer["parity"]["keras"] == 0
    assert integer["bytes"] > 1_000 and integer["arena_bytes"] > 1_000
    assert set(integer["latency_us"]) == {"litert default", "litert builtin"}
    assert min(integer["latency_us"].values()) > 0
    assert {"inside equals outside", "stream equals the sequence model"} <= {c["check"] for c in integer["contract"]}
    assert "parity" not in phone and "arena_bytes" not in phone, "TensorFlow Lite Micro does not run it"
    assert "tflm" not in {check["runtime"] for check in phone["contract"]}
    assert len(record["figures"]) > 2 and all(figure["passed"] for figure in record["figures"])
    assert "conversion of a 2 x 3 GRU" in text


def test_a_form_that_fails_is_exit_status_1(small, tmp_path, capsys, monkeypatch):
    failed = CheckResult("reset equals a fresh load", "tflm", 7, 0, "elements")
    monkeypatch.setattr(matrix_module, "check_contract", lambda *args, **options: [failed])
    assert edgernn.main(["matrix", "--build", str(tmp_path)]) == 1
    expected = f"FAILED {SMALL[0].name}: reset equals a fresh load on tflm: 7 elements (allowed 0)"
    assert expected in capsys.readouterr().out
    assert not json.loads((tmp_path / "matrix.json").read_text())["forms"][0]["passed"]


def test_a_file_that_is_too_large_is_exit_status_1(small, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(matrix_module, "ALLOWED_BYTES", {SMALL[0].name: (100, 9_000)})
    assert matrix(tmp_path) is False
    assert f"FAILED {SMALL[0].name}: flatbuffer" in capsys.readouterr().out


def test_int16_states_are_told_apart():
    assert matrix_module._quanta_text({"other": 1.0, "int16": 703.0}) == "1 / 703"
    assert (matrix_module._quanta_text(0.0), matrix_module._quanta_text(None)) == ("0", "-")


def test_a_check_as_text():
    reported = CheckResult("free run unlike tflm", "litert default", 0.25, None, "of the steps")
    assert check_line(reported.record()) == "free run unlike tflm on litert default: 0.25 of the steps"
