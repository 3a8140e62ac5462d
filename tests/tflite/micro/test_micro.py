"""The files for TensorFlow Lite Micro as C++: they compile, say what the wheel says and name methods there are."""

import subprocess

import numpy as np
import pytest
from c_files import compiled
from step_models import StepModelWriter
from test_flatbuffer import tiny

import edgernn
from tflite.codegen.codegen import codegen
from tflite.micro.micro import micro
from tflite.micro.op_resolver import resolver_method, used_operators
from tflite.micro.smallest_arena import QUANTUM, allocates
from tflite.runtimes import load_model

# Of micro_mutable_op_resolver.h of TensorFlow Lite Micro: all that a step graph may hold, and others of odd names.
METHODS = {
    "ABS": "AddAbs", "ADD": "AddAdd", "ADD_N": "AddAddN", "ASSIGN_VARIABLE": "AddAssignVariable",
    "AVERAGE_POOL_2D": "AddAveragePool2D", "BATCH_MATMUL": "AddBatchMatMul", "BATCH_TO_SPACE_ND": "AddBatchToSpaceNd",
    "CALL_ONCE": "AddCallOnce", "CAST": "AddCast", "CONCATENATION": "AddConcatenation", "CONV_2D": "AddConv2D",
    "CUMSUM": "AddCumSum", "DEPTHWISE_CONV_2D": "AddDepthwiseConv2D", "DEQUANTIZE": "AddDequantize", "DIV": "AddDiv",
    "ELU": "AddElu", "EMBEDDING_LOOKUP": "AddEmbeddingLookup", "EXP": "AddExp",
    "FULLY_CONNECTED": "AddFullyConnected", "GATHER": "AddGather", "GREATER": "AddGreater",
    "HARD_SWISH": "AddHardSwish", "L2_POOL_2D": "AddL2Pool2D", "LEAKY_RELU": "AddLeakyRelu", "LESS": "AddLess",
    "LOG": "AddLog", "LOGISTIC": "AddLogistic", "LOG_SOFTMAX": "AddLogSoftmax", "MAXIMUM": "AddMaximum",
    "MAX_POOL_2D": "AddMaxPool2D", "MEAN": "AddMean", "MINIMUM": "AddMinimum", "MUL": "AddMul", "NEG": "AddNeg",
    "PACK": "AddPack", "PADV2": "AddPadV2", "QUANTIZE": "AddQuantize", "READ_VARIABLE": "AddReadVariable",
    "RELU": "AddRelu", "RELU6": "AddRelu6", "RESHAPE": "AddReshape", "RSQRT": "AddRsqrt",
    "SELECT_V2": "AddSelectV2", "SIN": "AddSin", "SLICE": "AddSlice", "SOFTMAX": "AddSoftmax", "SPLIT": "AddSplit",
    "SPLIT_V": "AddSplitV", "SQRT": "AddSqrt", "SQUARE": "AddSquare",
    "SQUARED_DIFFERENCE": "AddSquaredDifference", "STRIDED_SLICE": "AddStridedSlice", "SUB": "AddSub",
    "SUM": "AddSum", "TANH": "AddTanh", "UNIDIRECTIONAL_SEQUENCE_LSTM": "AddUnidirectionalSequenceLSTM",
    "VAR_HANDLE": "AddVarHandle",
}  # fmt: skip
STRICT = ("-std=c++14", "-pedantic", "-Wall", "-Wextra", "-Werror", "-Wconversion")


@pytest.fixture(scope="module")
def written(gru_model, tmp_path_factory):
    """(folder, result) of a model of raw floats, int8 inside, whose subgraph order is not that of its signature."""
    folder = tmp_path_factory.mktemp("micro")
    (folder / "pump.tflite").write_bytes(gru_model)
    return folder, micro(folder / "pump.tflite", folder)


def test_methods():
    assert {kind: resolver_method(kind) for kind in METHODS} == METHODS


def test_arena(written, gru_model):
    """Enough, and a quantum less is not."""
    arena = written[1].arena
    assert allocates(gru_model, arena) and not allocates(gru_model, arena - QUANTUM)
    assert f"pump_arena_bytes = {arena};" in (written[0] / "pump_model.h").read_text()


MAIN = """
#include <stdio.h>
#include <string.h>
#include "pump.h"
#include "pump_golden.h"
#include "pump_model.h"
#include "pump_ops.h"
int main() {
  pump_op_resolver resolver;
  if (pump_add_ops(&resolver) != kTfLiteOk || resolver.added != resolver.room) return 1;
  if (pump_add_ops(&resolver) == kTfLiteOk) return 2;
  if ((uintptr_t)pump_model % 16) return 3;
  fwrite(pump_model, 1, pump_model_bytes, stdout);
  pump_state state;
  float y[PUMP_Y_SIZE];
  pump_init(&state);
  for (int step = 0; step < pump_golden_steps; ++step) {
    pump_step(&state, pump_golden_input_x[step], y);
    if (memcmp(y, pump_golden_output_y[step], sizeof y)) return 4;
    if (memcmp(state.h0, pump_golden_state_h0[step], sizeof state.h0)) return 5;
  }
  return 0;
}
"""


@pytest.mark.parametrize("compiler", ["g++", "clang++"])
def test_compiled_with_generated_c_it_is_the_same_model(written, gru_model, compiler, tmp_path):
    """The resolver against a stand-in of the library's header; the steps against generated C, an implementation of
    its own."""
    folder, _ = written
    header = tmp_path / "tensorflow/lite/micro/micro_mutable_op_resolver.h"
    header.parent.mkdir(parents=True)
    methods = "".join(f"  TfLiteStatus {method}() {{ return add(); }}\n" for method in METHODS.values())
    header.write_text(
        "enum TfLiteStatus { kTfLiteOk, kTfLiteError };\nnamespace tflite {\ntemplate <unsigned int n>\n"
        "struct MicroMutableOpResolver {\n  unsigned int room = n, added = 0;\n"
        f"  TfLiteStatus add() {{ return added < room ? (++added, kTfLiteOk) : kTfLiteError; }}\n{methods}}};\n}}\n"
    )
    codegen(folder / "pump.tflite", tmp_path)
    assert compiled(tmp_path, "-std=c99", "-O1", "-ffp-contract=off", "-c", "pump.c") == ""
    (tmp_path / "main.cc").write_text(MAIN)
    sources = "main.cc", str(folder / "pump_model.cc"), str(folder / "pump_golden.cc")
    said = compiled(tmp_path, *STRICT, "-I.", f"-I{folder}", *sources, "pump.o", "-lm", "-o", "main", compiler=compiler)
    assert said == ""
    done = subprocess.run([tmp_path / "main"], capture_output=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, gru_model)


def test_golden_steps_are_those_of_the_wheel(written, gru_model):
    golden, runtime = np.load(written[0] / "pump_golden.npz"), load_model(gru_model, "tflm")
    assert sorted(golden) == ["input_x", "output_y", "state_h0"]
    for x, y, h in zip(golden["input_x"], golden["output_y"], golden["state_h0"], strict=True):
        np.testing.assert_array_equal(runtime.step(x), y)
        np.testing.assert_array_equal(runtime.states["h0"], h)
    assert np.ptp(golden["output_y"], axis=0).min() > 0


def test_places_are_those_of_the_subgraph(written):
    """The subgraph's own order is the reverse of the signature's."""
    text = (written[0] / "pump_model.h").read_text()
    for line in ("pump_input_x = 1", "pump_input_h0 = 0", "pump_output_y = 1", "pump_output_h0 = 0"):
        assert f"constexpr int {line};" in text


def test_same_model_same_bytes(written, tmp_path):
    again = micro(written[0] / "pump.tflite", tmp_path)
    for ours, theirs in zip(again.paths, written[1].paths, strict=True):
        assert ours.read_bytes() == theirs.read_bytes(), ours.name
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(path.name for path in again.paths)


def test_states_inside_need_the_operators_of_both_subgraphs(sum_model):
    assert used_operators(sum_model) == ["ADD", "ASSIGN_VARIABLE", "CALL_ONCE", "READ_VARIABLE", "VAR_HANDLE"]


def custom_operator():
    writer = StepModelWriter()
    x, y = writer.tensor("x", [1, 2]), writer.tensor("y", [1, 2])
    writer.op("CUSTOM", [x], [y])
    return writer.write({"x": x}, {"y": y})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty"),
        (b"not a model at all, but long enough", "not a .tflite"),
        (custom_operator(), "custom operator"),
        (tiny("GELU"), "tflm refuses the model"),
    ],
    ids=["empty", "text", "custom", "not in TFLM"],
)
def test_bad_models(content, message, tmp_path, capsys):
    path, out = tmp_path / "model.tflite", tmp_path / "out"
    path.write_bytes(content)
    assert edgernn.main(["micro", str(path), "--out", str(out)]) == 2
    said = capsys.readouterr()
    assert said.out == "" and said.err.count("\n") == 1 and str(path) in said.err and message in said.err
    assert not out.exists()


def test_a_place_that_cannot_be_written(written, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert edgernn.main(["micro", str(written[0] / "pump.tflite"), "--out", str(tmp_path / "file")]) == 2
    assert "cannot be written" in capsys.readouterr().err


def test_the_command(written, tmp_path, capsys):
    assert edgernn.main(["micro", str(written[0] / "pump.tflite"), "--out", str(tmp_path), "--name", "a-b"]) == 0
    said = capsys.readouterr().out
    assert "a_b_model" in said and f"arena {written[1].arena:,} bytes on this 64-bit host" in said
