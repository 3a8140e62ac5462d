"""`edgernn validate model.tflite`: any model of one time step, ours or not, and what cannot be opened."""

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from contract_models import artifact, float_model
from dying_examination import die
from following_states import following
from state_graphs import delay_graph, lstm_graph
from step_models import StepModelWriter, quantized_gru_step

import edgernn
from pipeline.user_error import UserError
from tflite import convert
from tflite.flatbuffer import write_flatbuffer
from tflite.seeded_stream import table_rows
from tflite.validate_file import examine, validate_file


def embedding_step(rows=5, width=3):
    """step(id, s) -> (y, s): y is the row of a table, s the sum of all rows so far."""
    writer = StepModelWriter()
    token, before = writer.tensor("id", [1], np.int32), writer.tensor("s", [1, width])
    row, after = writer.tensor("row", [1, width]), writer.tensor("after", [1, width])
    table = writer.tensor("table", data=np.linspace(-1, 1, rows * width, dtype=np.float32).reshape(rows, width))
    writer.op("GATHER", [table, token], [row], schema.GatherOptionsT())
    writer.op("ADD", [before, row], [after], schema.AddOptionsT())
    return writer.write({"id": token, "s": before}, {"y": row, "s": after})


def two_names_step():
    """A state that is called h on one side and new_h on the other."""
    writer = StepModelWriter()
    x, h, new = (writer.tensor(name, [1, 2]) for name in ("x", "h", "new_h"))
    writer.op("ADD", [x, h], [new], schema.AddOptionsT())
    y = writer.op("ABS", [new], [writer.tensor("y", [1, 2])], schema.AbsOptionsT())
    return writer.write({"x": x, "h": h}, {"y": y, "new_h": new})


def per_channel_lstm():
    """A fused LSTM behind a product with one scale per channel, as TensorFlow's converter makes them."""
    graph = lstm_graph(True)
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(write_flatbuffer(graph), 0))
    weights = model.subgraphs[0].tensors[model.subgraphs[0].operators[1].inputs[1]]
    weights.quantization.scale = np.repeat(weights.quantization.scale, 6)
    weights.quantization.zeroPoint = np.zeros(6, np.int64)
    builder = flatbuffers.Builder(4096)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def saved(tmp_path, content, name="model.tflite"):
    path = tmp_path / name
    path.write_bytes(content)
    return path


def printed(capsys):
    """Without the table's lines, every run of spaces as one."""
    return " ".join("".join(c for c in capsys.readouterr().out if c not in "│┃").split())


@pytest.mark.parametrize("state", ["external", "internal"])
def test_our_own(tmp_path, capsys, monkeypatch, state):
    monkeypatch.setenv("COLUMNS", "200")
    path = saved(tmp_path, artifact("gru", "int8", state)[0])
    assert edgernn.main(["validate", str(path)]) == 0
    text = printed(capsys)
    expected = (
        "x float32 (3,)",
        "BATCH_MATMUL",
        "bytes on this 64-bit host",
        "LiteRT step p50",
        "reset equals a fresh load 0 elements",
        "instances share nothing 0 elements",
        "state forced equal 0 quanta: litert reference, litert builtin",
        "% state h0",
    )
    for part in expected:
        assert part in text, part
    assert ("h0 int8 (5,)" in text) == (state == "external")
    assert ("inside equals outside 0 elements" in text) == (state == "internal")


def test_what_tflm_does_not_run(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    model = convert(float_model("gru"), activations="float32", weights="float16").tflite
    assert validate_file(saved(tmp_path, model))
    text = printed(capsys)
    assert "tflm does not run it" in text and "arena" not in text and "against tflm" not in text


@pytest.mark.parametrize("size", [0, 7, 100, 700, -100])
def test_damaged(tmp_path, capsys, size):
    path = saved(tmp_path, artifact("gru", "int8", "external")[0][:size])
    assert edgernn.main(["validate", str(path)]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "model.tflite" in error


def test_it_dies_in_its_child(tmp_path, monkeypatch):
    """Whatever the probes let pass."""
    monkeypatch.setattr("tflite.validate_file.examine", die)
    with pytest.raises(UserError, match=r"model.tflite: .*die died in its process \(SIGSEGV\)"):
        validate_file(saved(tmp_path, write_flatbuffer(delay_graph())))


def test_a_broken_contract_is_exit_status_1(tmp_path, capsys, monkeypatch):
    """The logarithm of a reading below zero."""
    monkeypatch.setenv("COLUMNS", "200")
    writer = StepModelWriter()
    x, y = writer.tensor("x", [1, 2]), writer.tensor("y", [1, 2])
    writer.op("LOG", [x], [y])
    path = saved(tmp_path, writer.write({"x": x}, {"y": y}))
    assert edgernn.main(["validate", str(path)]) == 1
    assert "all numbers are finite FAILED" in printed(capsys)


def facts(found):
    return dict(found.facts)


def test_a_foreign_state_by_name():
    found = examine(embedding_step())
    assert facts(found)["states"] == "s float32 (3,)"
    assert facts(found)["inputs"] == "id int32 ()"
    assert all(check.passed for check in found.checks)


def test_identifiers_stay_in_their_table():
    assert table_rows(embedding_step(rows=5)) == 5
    assert table_rows(quantized_gru_step()) == 1


def test_integers_at_the_ends():
    found = examine(quantized_gru_step(float_io=False), {"litert reference": "lacks it"})
    assert facts(found)["inputs"] == "x int8 (8,)" and float(facts(found)["LiteRT step"].split()[1]) > 0
    assert {check.runtime for check in found.checks} == {"file", "litert builtin", "litert default", "tflm"}


def test_a_state_nobody_carries():
    found = examine(two_names_step())
    assert found.warnings == [
        "input h and output new_h may be a state, but have two names: nobody carries it on; name both alike"
    ]


def test_a_state_that_cannot_be_set_is_compared_running_freely():
    found = examine(per_channel_lstm())
    assert "compared running freely" in facts(found)["note"]
    assert not any("forced equal" in check.check for check in found.checks)
    assert any(check.check == "free run against tflm" for check in found.checks)
    assert all(check.passed for check in found.checks)
    assert "note" not in facts(examine(write_flatbuffer(lstm_graph(True))))


def test_a_slow_state_is_warned_of():
    found = examine(following(60))
    assert len(found.warnings) == 1 and 'state_dtype="int16"' in found.warnings[0] and "level" in found.warnings[0]
    assert examine(following(3)).warnings == []
