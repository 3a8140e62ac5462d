"""What `edgernn firmware` says where something is missing, differs or costs more."""

import json
from types import SimpleNamespace

import pytest

import edgernn
from pipeline.scenario import CORES as SCENARIO_CORES
from pipeline.user_error import UserError
from tflite.firmware import toolchain
from tflite.firmware.baseline import BASELINE, differences, record
from tflite.firmware.core_table import failures
from tflite.firmware.cores import CORES
from tflite.firmware.reference_models import reference_models

TOOLS = {"compiler": "12.2.1", "emulator": "7.2.22"}


def figures(instructions=1000, flash=8000, ram=500):
    replayed = SimpleNamespace(crc=1, mean=1000.0, clock=1002.0)
    return SimpleNamespace(instructions=instructions, flash=flash, ram=ram, is_equal=True, clock_agrees=True,
                           replayed=replayed, expected_crc=1)  # fmt: skip


@pytest.fixture
def baseline(tmp_path):
    path = tmp_path / "baseline.json"
    record({("gru", "m4"): figures()}, TOOLS, path)
    return path


def test_what_is_as_recorded_passes(baseline):
    assert differences({("gru", "m4"): figures(1010, 7920, 500)}, TOOLS, baseline) == []


@pytest.mark.parametrize(
    ("changed", "line"),
    [
        ({"instructions": 1011}, "gru on m4: 1,011 instructions, +1.1% of the baseline's 1,000"),
        ({"instructions": 985}, "gru on m4: 985 instructions, -1.5% of the baseline's 1,000"),
        ({"flash": 8100}, "gru on m4: 8,100 flash, +1.2% of the baseline's 8,000"),
        ({"ram": float("nan")}, "gru on m4: nan ram, +nan% of the baseline's 500"),
    ],
)
def test_more_than_one_percent_off(baseline, changed, line):
    assert differences({("gru", "m4"): figures(**changed)}, TOOLS, baseline) == [line]


def test_other_tools_and_models_that_were_not_recorded(baseline):
    lines = differences({("lstm", "m4"): figures()}, {**TOOLS, "compiler": "13.2"}, baseline)
    assert lines[0] == "compiler 13.2: the baseline was recorded with 12.2.1"
    assert lines[1:] == [f"lstm on m4: no {name} in the baseline" for name in ("instructions", "flash", "ram")]


@pytest.mark.parametrize("content", [None, "", "[]", "{}"])
def test_a_baseline_that_cannot_be_read(tmp_path, content):
    path = tmp_path / "baseline.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(UserError, match="edgernn firmware --record"):
        differences({}, TOOLS, path)


def test_the_committed_baseline_is_of_the_reference_models():
    recorded = json.loads(BASELINE.read_text())
    assert set(recorded["figures"]) == {f"{one.name} on {core}" for one in reference_models() for core in one.cores}
    assert set(recorded["versions"]) == {"compiler", "emulator"}


def test_cores_are_called_alike_everywhere():
    assert tuple(CORES) == SCENARIO_CORES


def test_integers_that_are_not_tflms_are_told():
    wrong, slow = figures(), figures()
    wrong.is_equal, slow.clock_agrees, slow.replayed.clock = False, False, 1400.0
    lines = failures({("gru", "m0"): wrong, ("gru", "m3"): slow, ("gru", "m4"): figures()})
    assert list(lines) == [("gru", "m0"), ("gru", "m3")]
    assert lines["gru", "m0"] == ("gru on m0: its outputs are not TensorFlow Lite Micro's (crc32 00000001, expected "
                                  "00000001)")  # fmt: skip
    assert lines["gru", "m3"] == "gru on m3: 1000.0 instructions a step by the plugin, 1400.0 by the core's clock"


def test_a_tool_that_is_missing_is_named(monkeypatch, capsys):
    monkeypatch.setenv("PATH", "/nowhere")
    assert edgernn.main(["firmware"]) == 2
    assert capsys.readouterr().err == "edgernn: arm-none-eabi-gcc not found; `make system-packages` installs it\n"


def test_a_counter_that_does_not_compile(monkeypatch):
    monkeypatch.setenv("CC", "false")
    toolchain.instruction_counter.cache_clear()
    with pytest.raises(UserError, match="compiling the instruction counter failed"):
        toolchain.instruction_counter()
    toolchain.instruction_counter.cache_clear()
