"""What a validation record says of emulated devices, and what it says where a tool is missing."""

from types import SimpleNamespace

import numpy as np
import pytest

from pipeline.user_error import UserError
from tflite import emulated_figures as module
from tflite.emulated_figures import emulated_figures
from tflite.firmware.toolchain import MissingTool

XS = np.zeros((3, 2), np.float32)
PAIR = {"runtime": "arm64 generated c", "max_lsb": 0.0}


def figures(cores=("m4",), arm64=True):
    return emulated_figures(SimpleNamespace(cores=cores, arm64=arm64), b"", b"", XS, {}, "build")


@pytest.fixture
def measured(monkeypatch):
    """Both devices are there; what is measured is made up."""
    cores = {"instructions": {"m4": 100}, "flash": {"m4": 200}, "ram": {"m4": 300}}
    monkeypatch.setattr(module, "require_tools", lambda: None)
    monkeypatch.setattr(module, "core_figures", lambda content, cores_named: cores)
    monkeypatch.setattr(module, "require_arm64", lambda build: build)
    monkeypatch.setattr(module, "arm64_proof", lambda *_: {"parity": [PAIR], "instructions": {"arm64": 50}})
    return monkeypatch


def refuse(error):
    def refused(*_):
        raise error

    return refused


def test_figures_of_both(measured):
    assert figures() == {"instructions": {"m4": 100, "arm64": 50}, "flash": {"m4": 200}, "ram": {"m4": 300},
                         "parity": [PAIR]}  # fmt: skip


def test_nothing_is_measured_that_no_budget_asks_for(measured):
    assert figures(cores=(), arm64=False) == {}
    assert figures(cores=()) == {"instructions": {"arm64": 50}, "parity": [PAIR]}


def test_what_is_missing_is_told_and_the_rest_measured(measured, capsys):
    measured.setattr(module, "require_tools", refuse(MissingTool("arm-none-eabi-gcc not found")))
    assert figures() == {"instructions": {"arm64": 50}, "parity": [PAIR],
                         "not_measured": {"cores": "arm-none-eabi-gcc not found"}}  # fmt: skip
    assert "warning: cores: not measured here (arm-none-eabi-gcc not found)" in capsys.readouterr().out
    measured.setattr(module, "require_arm64", refuse(MissingTool("no ARM64 Python")))
    assert figures()["not_measured"] == {"cores": "arm-none-eabi-gcc not found", "arm64": "no ARM64 Python"}


def test_a_tool_that_fails_is_an_error(measured):
    measured.setattr(module, "core_figures", refuse(UserError("qemu-system-arm for m4 failed: fault")))
    with pytest.raises(UserError, match="failed: fault"):
        figures()
