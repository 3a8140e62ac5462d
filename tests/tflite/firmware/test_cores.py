"""Generated C on emulated cores: TensorFlow Lite Micro's integers, instructions counted twice."""

from dataclasses import replace

import contract_models as models
import operator_models
import pytest

from pipeline.scenario import CORE_FIGURES
from pipeline.user_error import UserError
from tflite.codegen.c_source import CSource, generate
from tflite.firmware.core_figures import core_figures
from tflite.firmware.cores import CORES
from tflite.firmware.golden_stream import golden_crc
from tflite.firmware.image import NAME
from tflite.firmware.measure import measure

STEPS = 40


@pytest.mark.parametrize("core", CORES)
def test_a_core_says_what_tflm_says(core, tools):
    content, _ = models.artifact("gru", "int8", "external")
    (figures,) = measure(content, [CORES[core]], STEPS)
    assert figures.is_equal and figures.clock_agrees
    assert 0 < figures.sizes.weights < figures.flash < 8192
    assert 0 < figures.stack < figures.ram < 1024


@pytest.mark.parametrize("core", ["m4", "m55"])
@pytest.mark.parametrize("form", [("lstm", "int8"), ("gru", "int16"), ("simple_rnn", "state16")], ids="-".join)
def test_every_form(form, core, replayed):
    content, _ = models.artifact(*form, "external")
    assert replayed(generate(content, NAME), core, STEPS).crc == golden_crc(content, STEPS)


# Beyond and below what a kernel takes at a time: 2 to 16 rows, 2 to 8 columns.
@pytest.mark.parametrize("size", [(1, 1), (7, 3), (9, 18), (18, 5), (34, 2)], ids=str)
@pytest.mark.parametrize(("dtype", "core"), [("int8", "m4"), ("int16", "m4"), ("int8", "m55"), ("int8", "m0")])
def test_products_of_any_size(dtype, core, size, replayed):
    columns, rows = size
    content = operator_models.product("FULLY_CONNECTED", dtype, 3, "given", columns=columns, rows=rows)
    assert replayed(generate(content, NAME), core, STEPS).crc == golden_crc(content, STEPS)


@pytest.mark.parametrize(("core", "kernel"), [("m4", "__smlad(a, b, upper)"), ("m55", "vmladavaq_s16(upper, a, b)"),
                                              ("m0", "a * pairs[0] + b * pairs[1]")])  # fmt: skip
def test_a_kernel_that_is_wrong_is_seen(core, kernel, replayed):
    content = operator_models.product("FULLY_CONNECTED", "int8", 3, "given", columns=18)
    source = generate(content, NAME)
    assert kernel in source.source
    broken = replace(source, source=source.source.replace(kernel, kernel.replace(" b", " a")))
    assert replayed(broken, core, STEPS).crc != golden_crc(content, STEPS)


def test_what_a_validation_record_holds(tools, capsys):
    """Of each core that budgets name; one whose integers are others' has no figures, and its budgets break."""
    content, _ = models.artifact("simple_rnn", "int8", "external")
    figures = core_figures(content, ("m0", "m4"), STEPS)
    assert {name: set(cores) for name, cores in figures.items()} == dict.fromkeys(CORE_FIGURES, {"m0", "m4"})
    assert figures["instructions"]["m4"] < figures["instructions"]["m0"] and figures["ram"]["m4"] < 512
    assert "warning" not in capsys.readouterr().out


def test_a_core_that_runs_another_model_has_no_figures(tools, monkeypatch, capsys):
    content, _ = models.artifact("simple_rnn", "int8", "external")
    monkeypatch.setattr("tflite.firmware.measure.golden_crc", lambda content, steps: 1)
    assert core_figures(content, ("m4",), STEPS) == dict.fromkeys(CORE_FIGURES, {})
    assert "warning: shipped on m4: its outputs are not TensorFlow Lite Micro's" in capsys.readouterr().out


HEADER = """#include <stdint.h>
typedef struct { uint32_t model; int8_t h[1]; } model_state;
void model_init(model_state *state);
int model_step(model_state *state, const int8_t x[1], int8_t y[1]);
"""
# 2 instructions, 3 in each of 100 rounds, 2 to leave; a called function of 2 among them every fourth step.
ASSEMBLY = """#include "model.h"
#define UNUSED __attribute__((unused))
void model_init(model_state *state) { state->model = 0; }
__attribute__((naked, noinline, used)) static void called(void) { __asm volatile("nop\\n bx lr"); }
__attribute__((naked)) int model_step(model_state *state UNUSED, const int8_t x[1] UNUSED, int8_t y[1] UNUSED)
{
    __asm volatile(".syntax unified\\n push {lr}\\n movs r3, #100\\n"
                   "1: nop\\n subs r3, #1\\n bne 1b\\n"
                   "ldr r3, [r0]\\n adds r3, #1\\n str r3, [r0]\\n lsls r3, r3, #30\\n bne 2f\\n bl called\\n"
                   "2: movs r0, #0\\n pop {pc}");
}
"""


@pytest.mark.parametrize("core", ["m0", "m4", "m33"])
def test_instructions_are_counted(core, replayed):
    """A step written by hand, whose instructions are known."""
    content, _ = models.artifact("gru", "int8", "external")
    x = generate(operator_models.unary("RELU", "int8", 0), NAME).inputs[0]
    one = (x[0], "x", replace(x[2], shape=(1, 1)))
    source = CSource(NAME, HEADER, ASSEMBLY, (one,), ((x[0], "y", one[2]),), ())
    said = replayed(source, core, 16)
    plain, calling = 2 + 3 * 100 + 5 + 2, 2 + 3 * 100 + 6 + 2 + 2
    assert (said.least, said.most) == (plain, calling)
    assert said.mean == (3 * plain + calling) / 4
    assert abs(said.clock - said.mean) < 12


def test_a_fault_is_an_error(replayed):
    source = generate(operator_models.unary("RELU", "int8", 0), NAME)
    broken = replace(source, source=source.source.replace("return 0;", '__asm volatile("udf #0"); return 0;'))
    with pytest.raises(UserError, match="qemu-system-arm for m4 failed: fault"):
        replayed(broken, "m4", 3)
