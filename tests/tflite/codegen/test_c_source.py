"""The generated files as C: strict, self-contained, without heap or globals that change, and about one model."""

import ctypes
import itertools
import shutil
import subprocess
from dataclasses import replace
from functools import partial

import contract_models as models
import numpy as np
import operator_models
import pytest
from c_files import COMPILERS, compiled, strictly_compiled, written
from fused_lstm_models import CASES, fused_model
from state_graphs import DELAY_FORMS, delay_graph
from step_models import delay_line_step, quantized_gru_step, running_sum_step
from test_flatbuffer import tiny

from keras_models.affine_quantization import Affine
from tflite.codegen.c_source import generate, identifier
from tflite.codegen.compiled_step import STRICT
from tflite.flatbuffer import read_flatbuffer, write_flatbuffer
from tflite.runtimes import load_model
from tflite.seeded_stream import wander
from tflite.step_graph import StepGraphBuilder

FORMS = [("gru", "int8", "external"), ("gru", "int16", "external"), ("gru", "state16", "external"),
         ("lstm", "int8", "internal"), ("simple_rnn", "float32", "external")]
LIBRARY = {"memcpy", "memset", "expf", "tanhf", "sinf", "logf", "sqrtf", "roundf", "_GLOBAL_OFFSET_TABLE_"}


@pytest.fixture(params=FORMS, ids="-".join)
def source(request):
    return generate(models.artifact(*request.param)[0], "pump")


@pytest.mark.parametrize("optimize", ["-O0", "-O2", "-Os"])
@pytest.mark.parametrize("compiler", COMPILERS)
def test_compiles_without_a_warning(source, compiler, optimize, tmp_path):
    strictly_compiled(source, tmp_path, compiler, optimize)


FLOATS = ("ABS", "ELU", "EXP", "HARD_SWISH", "LEAKY_RELU", "LOG", "LOGISTIC", "NEG", "RELU", "RELU6", "RSQRT",
          "SIN", "SOFTMAX", "SQRT", "SQUARE", "TANH")
OPERATORS = {
    **{f"{kind} float32": partial(operator_models.unary, kind, "float32", 0) for kind in FLOATS},
    **{f"{kind} {dtype}": partial(operator_models.unary, kind, dtype, 0)
       for kind in ("LOGISTIC", "TANH", "RELU", "QUANTIZE") for dtype in ("int8", "int16")},
    **{f"{kind} {dtype}": partial(operator_models.binary, kind, dtype, 0, fused)
       for kind, fused in (("ADD", "relu6"), ("SUB", "relu"), ("MUL", "relu_n1_to_1"), ("MAXIMUM", "none"),
                           ("LESS", "none")) for dtype in ("int8", "int16", "float32")},
    **{f"FULLY_CONNECTED {dtype} {bias}": partial(operator_models.product, "FULLY_CONNECTED", dtype, 0, bias)
       for dtype, bias in (("int8", "given"), ("float32", "absent"), ("int16", "none"), ("int16", "int32"))},
    **{f"CAST {a} {b}": partial(operator_models.cast, a, b)
       for a, b in itertools.product(("int8", "int16", "int32", "bool", "float32"), repeat=2)},
    "SLICE": partial(operator_models.sliced, "int16", "SLICE", *operator_models.SLICES[2]),
    "STRIDED_SLICE": partial(operator_models.sliced, "int8", "STRIDED_SLICE", *operator_models.STRIDED_SLICES[1]),
    "fused LSTM int8": partial(fused_model, CASES["mild"], CASES["mild"].weights()),
    "fused LSTM float32": partial(fused_model, CASES["mild"], CASES["mild"].weights(), quantized=False),
}


@pytest.mark.parametrize("compiler", COMPILERS)
def test_every_operator_compiles_without_a_warning(compiler, tmp_path):
    """One file of all would name its kernels once; so each is compiled by itself."""
    for number, (name, model) in enumerate(OPERATORS.items()):
        source = generate(model(), f"operator_{number}")
        said = compiled(written(source, tmp_path), *STRICT, "-O2", "-fsyntax-only", f"{source.name}.c",
                        compiler=compiler)
        assert said == "", name


@pytest.mark.parametrize("compiler", [name for name in ("g++", "clang++") if shutil.which(name)])
def test_is_included_from_cpp(source, compiler, tmp_path):
    (tmp_path / "main.cpp").write_text(
        '#include "pump.h"\n#include "pump.h"\nint main() { pump_state state; pump_init(&state); return 0; }\n'
    )
    strictly_compiled(source, tmp_path)
    flags = ("-std=c++11", "-pedantic", "-Wall", "-Wextra", "-Werror", "-Wconversion")
    assert compiled(tmp_path, *flags, "main.cpp", "pump.o", "-lm", "-o", "main", compiler=compiler) == ""
    assert subprocess.run([tmp_path / "main"], timeout=60).returncode == 0


def test_holds_no_data_that_changes_and_calls_no_more_than_it_may(source, tmp_path):
    listed = subprocess.run(["nm", strictly_compiled(source, tmp_path)], capture_output=True, text=True, check=True)
    symbols = [line.split()[-2:] for line in listed.stdout.splitlines()]
    assert {name for kind, name in symbols if kind == "T"} == {"pump_init", "pump_step"}
    assert not [name for kind, name in symbols if kind in "bBdDcC"]
    assert {name for kind, name in symbols if kind == "U"} <= LIBRARY


def test_same_model_same_text():
    content = models.artifact("gru", "int8", "external")[0]
    assert generate(content, "pump") == generate(content, "pump") != generate(content, "fan")


def test_header_and_source_of_two_models_do_not_compile(tmp_path):
    written(generate(quantized_gru_step(seed=1), "pump"), tmp_path)
    (tmp_path / "pump.h").write_text(generate(quantized_gru_step(seed=2), "pump").header)
    assert "pump.h and pump.c are of different models" in compiled(tmp_path, "-c", "pump.c")


def test_a_state_of_another_model_is_not_stepped(gru_model):
    runtime, x = load_model(gru_model, "c"), np.ones(8, np.float32)
    first = runtime.step(x)
    before = runtime.states["h0"]
    runtime._state.model ^= 1
    with pytest.raises(RuntimeError, match="state"):
        runtime.step(-x)
    np.testing.assert_array_equal(runtime.states["h0"], before)
    runtime.reset()
    np.testing.assert_array_equal(runtime.step(x), first)
    assert ctypes.sizeof(runtime._state) == 4 + 32


@pytest.mark.parametrize("form", DELAY_FORMS)
def test_states_that_pass_each_other_on(form):
    """Each leaves through another's entry: copied one after the other all would be the same."""
    content = write_flatbuffer(delay_graph(form))
    ours, theirs = load_model(content, "c"), load_model(content, "tflm")
    for x in wander(300, 3, 4):
        ours_y, theirs_y = ours.step(x), theirs.step(x)
        for name in ours_y:
            np.testing.assert_array_equal(ours_y[name], theirs_y[name])
        for name, values in theirs.states.items():
            np.testing.assert_array_equal(ours.states[name], values)


HOSTILE = ("int", "INT", "t0", "x y", "x_y", "9", "_a", "é", "state", "memcpy", "rescale", "expf", "*/", "a\\", "sum_t")


def test_names_that_c_does_not_take():
    """Each input is added to the next; whatever they are called, none is taken for another."""
    builder = StepGraphBuilder()
    tensors = [builder.tensor(f"tensor {name}", 3) for name in HOSTILE]
    builder.inputs += zip(HOSTILE, tensors, strict=True)
    for number, (one, other) in enumerate(zip(tensors, tensors[1:], strict=False)):
        builder.outputs.append((f"{number}+", builder.op("ADD", [one, other], builder.tensor(f"{number}", 3))))
    runtime = load_model(write_flatbuffer(builder.build()), "c")
    results = runtime.step({name: np.full(3, 2.0**place, np.float32) for place, name in enumerate(HOSTILE)})
    assert [values[0] for values in results.values()] == [3 * 2.0**place for place in range(len(HOSTILE) - 1)]


@pytest.mark.parametrize(
    ("name", "expected"), [("pump", "pump"), ("3-d pump", "m3_d_pump"), ("int", "mint"), ("", "model"), ("é", "m_")]
)
def test_a_file_name_becomes_an_identifier(name, expected):
    assert identifier(name) == expected


MAIN = """
#include <stdio.h>
#include "pump.h"
int main(void)
{
    static pump_state state; /* not zero, not on the stack: written past its end it is noticed */
    float x[PUMP_X_SIZE], y[PUMP_Y_SIZE];
    unsigned seed = 1, step, i;
    if (pump_step(&state, x, y) != -1) return 1;
    pump_init(&state);
    for (step = 0; step < 2000; ++step) {
        for (i = 0; i < PUMP_X_SIZE; ++i) {
            seed = seed * 1664525u + 1013904223u;
            x[i] = ((float)(seed >> 8) / 8388608.0f - 1.0f) * (step % 50 == 0 ? 1e30f : 3.0f);
        }
        if (step % 97 == 0) x[0] = 0.0f / (x[0] - x[0]);
        if (pump_step(&state, x, y)) return 2;
    }
    printf("%g", (double)y[0]);
    return 0;
}
"""


@pytest.mark.parametrize("compiler", COMPILERS)
def test_runs_clean_under_the_sanitizers(source, compiler, tmp_path):
    """Readings beyond every range and NaN among them."""
    (written(source, tmp_path) / "main.c").write_text(MAIN)
    flags = ("-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer")
    said = compiled(tmp_path, *flags, "main.c", "pump.c", "-lm", "-o", "main", compiler=compiler)
    if "asan" in said:
        pytest.skip(f"the compiler has no sanitizers: {said.splitlines()[0]}")
    done = subprocess.run([tmp_path / "main"], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (tiny("FLOOR"), "operator 0 FLOOR is not one the step graph holds"),
        (tiny("GELU"), "operator 0 GELU: has no C"),
    ],
    ids=["unknown", "without C"],
)
def test_what_has_no_c_is_named(model, message):
    with pytest.raises(ValueError, match=message):
        generate(model, "pump")


def contradicting(kind, shape, to, dtype="float32", affine=None, to_dtype=None, **options):
    """One operator from a tensor of one shape to one of another."""
    builder = StepGraphBuilder()
    builder.inputs.append(("x", builder.tensor("x", shape=shape, dtype=dtype, affine=affine)))
    y = builder.tensor("y", shape=to, dtype=to_dtype or dtype, affine=None if to_dtype else affine)
    builder.outputs.append(("y", builder.op(kind, ["x"], y, **options)))
    return write_flatbuffer(builder.build())


def split_of_another_axis():
    builder = StepGraphBuilder()
    builder.inputs.append(("x", builder.tensor("x", shape=(1, 1, 4))))
    parts = [builder.tensor(name, 2) for name in ("y", "z")]
    builder.op("SPLIT", [builder.constant("axis", np.array(1, np.int32)), "x"], parts, numSplits=2)
    builder.outputs += zip(("y", "z"), parts, strict=True)
    return write_flatbuffer(builder.build())


def relu6_lstm():
    graph = read_flatbuffer(fused_model(CASES["mild"], CASES["mild"].weights()))
    ops = [replace(op, options=(("fusedActivationFunction", 3),)) if op.intermediates else op for op in graph.ops]
    return write_flatbuffer(replace(graph, ops=tuple(ops)))


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (contradicting("SOFTMAX", (1, 24), (1, 5), beta=1.0), r"operator 0 SOFTMAX: from \(1, 24\) to \(1, 5\)"),
        (contradicting("TANH", (1, 1), (1, 24)), r"operator 0 TANH: from \(1, 1\) to \(1, 24\)"),
        (contradicting("TANH", (1, 0), (1, 0)), "operator 0 TANH: on a tensor without elements"),
        (contradicting("RESHAPE", (1, 4), (1, 4), "int8", Affine(0.1, 0), "float32"), "of int8 into another type"),
        (contradicting("PACK", (1, 4), (1, 1, 4), axis=1), "operator 0 PACK: of 1 parts where its options say"),
        (contradicting("RELU", (1, 4), (1, 4), "int8", Affine(0.1, 200)), "'t0', int8: scale 0.1.*, zero point 200"),
        (contradicting("RELU", (1, 4), (1, 4), "int8", Affine(float("inf"), 0)), "int8: scale inf, zero point 0"),
        (split_of_another_axis(), r"SPLIT: with the parts \[\(1, 2\), \(1, 2\)\] of \(1, 1, 4\)"),
        (relu6_lstm(), "UNIDIRECTIONAL_SEQUENCE_LSTM: with the activation 3"),
    ],
)
def test_what_contradicts_itself_is_named(model, message):
    with pytest.raises(ValueError, match=message):
        generate(model, "pump")


@pytest.mark.parametrize("model", [delay_line_step(), running_sum_step(), quantized_gru_step(float_io=False)])
def test_foreign_models_compile(model, tmp_path):
    strictly_compiled(generate(model, "pump"), tmp_path)
