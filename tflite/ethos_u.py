"""What Arm's compiler for the Ethos-U NPUs (ethos-u-vela) makes of a model: its estimate, nothing that was measured."""

import csv
import re
import subprocess
import sys
import tempfile
from collections import Counter
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from pipeline.user_error import UserError
from tflite.flatbuffer import operator_names, read_flatbuffer, write_flatbuffer
from tflite.foreign_model import foreign_model
from tflite.runtimes.step_signature import read_step_signature

ACCELERATORS = (
    *(f"ethos-u55-{macs}" for macs in (32, 64, 128, 256)),
    *(f"ethos-u65-{macs}" for macs in (256, 512)),
    *(f"ethos-u85-{macs}" for macs in (128, 256, 512, 1024, 2048)),
)
ACCELERATOR = "ethos-u55-128"
SECONDS = 120.0
KIBIBYTES = {"sram_bytes": ("sram",), "flash_bytes": ("on_chip_flash", "off_chip_flash"), "dram_bytes": ("dram",)}
ON_CPU = re.compile(r"Warning \(supported operators\) operator: (\w+),.*\nReason: (.*)")


def ethos_u(path: Path, accelerator: str = ACCELERATOR) -> dict[str, Any]:
    """Prints the estimate for a `.tflite` of one time step, or the folder of an artefact; returns it (see `estimate`).

    Raises:
        UserError: the file is missing or damaged, the compiler is missing or refuses it.
    """
    model = foreign_model(path)
    program = model.given_to(npu_program, made_for="one time step")
    try:
        record = estimate(*program, accelerator)
    except UserError as error:
        raise UserError(f"{model.label}: {error}") from error
    Console().print(estimate_table(model.stem, record))
    return record


def npu_program(content: bytes) -> tuple[bytes, list[str]]:
    """Bytes and operators of the step as the NPU's compiler is to see it; for a child process where it is foreign.

    The compiler leaves resource variables, and the second program that resets them, to the CPU: such states go in and
    out, and whoever calls carries them.
    """
    if read_step_signature(content).has_resources:
        content = write_flatbuffer(read_flatbuffer(content))
    return content, operator_names(content)


def estimate(content: bytes, operators: list[str], accelerator: str = ACCELERATOR) -> dict[str, Any]:
    """One step by ethos-u-vela, in its default system configuration and memory mode of that accelerator.

    Returns:
        A record: "estimate" (true), "by", "accelerator", "system", "memory_mode", "operators" and "on_npu" (of the
        file), "on_cpu" (a list of {operator, count, reason}); where the NPU runs any: "cycles", "macs", "us" (at the
        configuration's "clock_mhz"; of the NPU alone), "sram_bytes", "flash_bytes", "dram_bytes".

    Raises:
        UserError: the compiler is missing or refuses the model.
    """
    if accelerator not in ACCELERATORS:
        raise UserError(f"accelerator: expected one of {', '.join(ACCELERATORS)}, got {accelerator!r}")
    if find_spec("ethosu") is None:
        raise UserError("the compiler for Ethos-U, ethos-u-vela, is not installed; run `make env`")
    with tempfile.TemporaryDirectory(prefix="edgernn-") as folder:
        Path(folder, "model.tflite").write_bytes(content)
        told = _compiled(Path(folder), accelerator)
        (summary,) = csv.DictReader(next(Path(folder).glob("*_summary_*.csv")).open(encoding="utf-8"))
    on_cpu = Counter((operator, _reason(why)) for operator, why in ON_CPU.findall(told))
    on_npu = len(operators) - on_cpu.total()
    return {
        "estimate": True,
        "by": f"ethos-u-vela {version('ethos-u-vela')}",
        "accelerator": accelerator,
        "system": summary["system_config"],
        "memory_mode": summary["memory_mode"],
        "operators": len(operators),
        "on_npu": on_npu,
        "on_cpu": [{"operator": op, "count": n, "reason": why} for (op, why), n in sorted(on_cpu.items())],
        **(_figures(summary) if on_npu else {}),
    }


def estimate_table(name: str, record: dict[str, Any]) -> Table:
    """The record as a table."""
    title = f"{name} on {record['accelerator']}: an estimate of {record['by']}, not measured"
    table = Table(title=title, show_header=False)
    table.add_row("configuration", f"{record['system']}, {record['memory_mode']}")
    table.add_row("operators on the NPU", f"{record['on_npu']} of {record['operators']}")
    for reason in dict.fromkeys(entry["reason"] for entry in record["on_cpu"]):
        kinds = (f"{one['count']} {one['operator']}" for one in record["on_cpu"] if one["reason"] == reason)
        table.add_row("on the CPU", f"{', '.join(kinds)}: {reason}")
    if "cycles" in record:
        step = f"{record['cycles']:,} cycles, {record['us']:.1f} us at {record['clock_mhz']:g} MHz"
        table.add_row("one step of the NPU", f"{step}, {record['macs']:,} multiply-adds")
        memory = [f"{record[key]:,} bytes {key.removesuffix('_bytes')}" for key in KIBIBYTES if record[key]]
        table.add_row("memory of the NPU", ", ".join(memory))
    return table


def _compiled(folder: Path, accelerator: str) -> str:
    """What the compiler says; its summary and the compiled model are in the folder."""
    options = "--accelerator-config", accelerator, "--output-dir", "."
    command = [sys.executable, "-m", "ethosu.vela", "model.tflite", *options]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=SECONDS)
    except subprocess.TimeoutExpired as error:
        raise UserError(f"the compiler for Ethos-U was stopped after {SECONDS:g} s") from error
    if done.returncode or not list(folder.glob("*_summary_*.csv")):
        lines = [line for line in (done.stderr + done.stdout).splitlines() if "rror" in line] or ["no reason given"]
        raise UserError(f"the compiler for Ethos-U refuses the model ({lines[-1].strip()})")
    return done.stdout + done.stderr


def _reason(told: str) -> str:
    """Without the name of a tensor, so that equal reasons are counted together."""
    return re.sub(r" \(<?[^()]*>?\)$", "", told.strip())


def _figures(summary: dict[str, str]) -> dict[str, float]:
    memory = {
        key: round(1024 * sum(float(summary[f"{place}_memory_used"]) for place in places))
        for key, places in KIBIBYTES.items()
    }
    return {
        "cycles": round(float(summary["cycles_total"])),
        "macs": round(float(summary["nn_macs"])),
        "us": 1e6 * float(summary["inference_time"]),
        "clock_mhz": float(summary["core_clock"]) / 1e6,
        **memory,
    }
