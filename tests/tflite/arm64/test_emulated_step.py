"""A model in another process: whatever answers, the contract is that of a runtime, and an end is told in one line."""

import os
import sys
from dataclasses import replace

import contract_models as models
import numpy as np
import operator_models
import pytest
from step_models import running_sum_step

from pipeline.user_error import UserError
from tflite.arm64 import emulated_c as of_c
from tflite.arm64.emulated_litert import PROJECT, require_arm64
from tflite.arm64.emulated_step import EmulatedStep
from tflite.codegen.c_source import generate
from tflite.firmware.toolchain import MissingTool
from tflite.parity import parity
from tflite.runtimes import load_model
from tflite.seeded_stream import wander

FORMS = [("gru", "int8"), ("lstm", "int8")]


@pytest.fixture(scope="module")
def gru():
    return models.artifact("gru", "int8", "external")[0]


def answering(model, tmp_path, kernels="builtin"):
    """The module that the emulated Python runs, in this machine's."""
    (tmp_path / "model.tflite").write_bytes(model)
    command = [sys.executable, "-m", "tflite.arm64.answer_steps", str(tmp_path / "model.tflite"), kernels]
    return EmulatedStep(model, command, cwd=PROJECT, env=os.environ | {"PYTHONPATH": str(PROJECT)})


def test_another_process_says_what_litert_says_here(gru, tmp_path):
    here = load_model(gru, kernels="builtin")
    with answering(gru, tmp_path) as runtime:
        figures = parity(runtime, here, models.stream(0)[:30])
        assert (figures["steps"], figures["max_lsb"], figures["mismatched"]) == (30, 0.0, 0.0)
        here.reset(), runtime.reset()
        for x in models.stream(1)[:20]:
            np.testing.assert_array_equal(runtime.step(x), here.step(x))


def test_a_process_that_ends_is_told_of(gru, tmp_path):
    with answering(gru, tmp_path, "no such kernels") as runtime:
        with pytest.raises(UserError, match="the emulated model ended with status .*kernels: expected one of default"):
            runtime.step(models.stream(0)[0])


def test_a_process_that_says_too_little(gru):
    script = "import sys; sys.stdin.buffer.read(1); sys.stdout.write('x'); sys.stdout.close(); sys.exit('out of words')"
    with EmulatedStep(gru, [sys.executable, "-c", script]) as runtime:
        with pytest.raises(UserError, match=r"ended with status .* \(out of words\)|ended with status -9"):
            runtime.step(models.stream(0)[0])


@pytest.mark.parametrize("form", FORMS, ids="-".join)
def test_c_on_arm64_says_what_tflm_says(form, tools):
    model = models.artifact(*form, "external")[0]
    with of_c.emulated_c(model) as (runtime, count):
        figures = parity(runtime, load_model(model, "tflm"), models.stream(0)[:100])
    assert (figures["steps"], figures["max_lsb"]) == (100, 0.0)
    assert 500 < count.most < 100_000


# Beyond and below what the kernel takes at a time: 4 rows, 4 columns.
@pytest.mark.parametrize("size", [(1, 1), (7, 3), (9, 18), (18, 5)], ids=str)
def test_products_of_any_size(size, tools):
    columns, rows = size
    model = operator_models.product("FULLY_CONNECTED", "int8", 3, "given", columns=columns, rows=rows)
    theirs = load_model(model, "tflm")
    with of_c.emulated_c(model) as (runtime, _):
        xs = [{spec.name: spec.quantize(x) for spec in theirs.inputs} for x in wander(30, columns, 1)]
        assert parity(runtime, theirs, xs)["max_lsb"] == 0.0


def test_several_inputs_in_any_order(tools):
    model = operator_models.binary("SUB", "int8", 0, "none")
    theirs, rng = load_model(model, "tflm"), np.random.default_rng(0)
    with of_c.emulated_c(model) as (runtime, _):
        for _ in range(5):
            x = {spec.name: rng.integers(-128, 128, spec.shape).astype(np.int8) for spec in theirs.inputs}
            np.testing.assert_array_equal(runtime.step(x, raw=True), theirs.step(x, raw=True))


def test_c_that_is_wrong_is_seen(gru, tools, monkeypatch):
    def broken(model, name):
        source = generate(model, name)
        kernel = "vget_low_s16(a), vget_low_s16(b)"
        assert kernel in source.source
        return replace(source, source=source.source.replace(kernel, kernel.replace("(b)", "(a)")))

    monkeypatch.setattr(of_c, "generate", broken)
    with of_c.emulated_c(gru) as (runtime, _):
        assert parity(runtime, load_model(gru, "tflm"), models.stream(0)[:20])["max_lsb"] >= 1


def test_instructions_are_those_of_the_longest_step(tools):
    """A sum over more readings takes more of them."""
    counts = []
    for columns in (8, 64):
        model = operator_models.product("FULLY_CONNECTED", "int8", 3, "given", columns=columns, rows=16)
        with of_c.emulated_c(model) as (runtime, count):
            (spec,) = runtime.inputs
            for x in wander(3, columns, 1):
                runtime.step(spec.quantize(x), raw=True)
        counts.append(count.most)
    assert 200 < counts[0] < counts[1] - 200


@pytest.mark.parametrize("missing", ["python", "emulator"])
def test_what_is_missing_is_named(missing, tmp_path, monkeypatch):
    if missing == "emulator":
        (tmp_path / "arm64/root").mkdir(parents=True)
        (tmp_path / "arm64/root/python").touch()
        monkeypatch.setenv("PATH", "/nowhere")
    message = {"python": "no ARM64 Python there; `make arm64` unpacks it", "emulator": "qemu-aarch64 not found"}
    with pytest.raises(MissingTool, match=message[missing]):
        require_arm64(tmp_path)


def test_a_model_of_others(tools):
    model = running_sum_step()
    with of_c.emulated_c(model) as (runtime, _):
        assert parity(runtime, load_model(model, "tflm"), wander(20, runtime.inputs[0].shape[0], 1))["max_lsb"] == 0.0
