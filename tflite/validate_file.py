"""`edgernn validate model.tflite`: what a model of one time step is, and whether every runtime makes the same of it."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType

import numpy as np
from rich.console import Console
from rich.table import Table

from pipeline.user_error import UserError
from tflite.child_process import ChildFailure, run_in_child
from tflite.contract import REFERENCE, RUNTIMES, SATURATION, CheckResult, check_contract, open_on
from tflite.flatbuffer import operator_names
from tflite.latency import call_times, percentiles, step_latency, warm_up
from tflite.memory import measure_arena
from tflite.runtimes import StepRuntime, probe
from tflite.runtimes.model_bytes import read_model
from tflite.runtimes.step_signature import read_step_signature, state_warnings
from tflite.seeded_stream import seeded_readings, table_rows
from tflite.time_constant import RUNTIME as PACED_ON
from tflite.time_constant import stall_warnings

STEPS, LEAST_STEPS, LATENCY_STEPS = 2000, 40, 200
SECONDS, MEGABYTES = 300.0, 4096
CONTRACT_MICROSECONDS = 2e6  # about what one run over the readings may take, of some thirty
PHONE = "litert default"


@dataclass(frozen=True)
class Examination:
    """What was found out about a model.

    Attributes:
        facts: (name, text) in the order they are read.
        refusals: why a runtime does not run it, by its name.
        checks: of its contract, on seeded readings.
        warnings: sentences.
    """

    facts: list[tuple[str, str]]
    refusals: dict[str, str]
    checks: list[CheckResult]
    warnings: list[str]


def validate_file(path: Path) -> bool:
    """Prints operators, states, memory, latency and the contract of a model on seeded readings.

    Returns:
        Whether every check with a limit passed.

    Raises:
        UserError: the file is missing, damaged, or LiteRT refuses it. Whatever opens it does so in a child process.
    """
    content, name = read_model(path)
    probe(path, **RUNTIMES[PHONE])
    try:
        probe(path, **RUNTIMES[REFERENCE])
        refusals = {}
    except UserError as error:
        refusals = {REFERENCE: str(error).removeprefix(f"{name}: ")}
    try:
        found = run_in_child(
            examine,
            content,
            refusals,
            seconds=SECONDS,
            megabytes=MEGABYTES,
            remedy="convert the model again, and report it if that repeats",
        )
    except ChildFailure as failure:
        raise UserError(f"{name}: {failure}") from failure
    _print(path.name, len(content), found)
    return all(check.passed for check in found.checks)


def examine(model: bytes, refusals: Mapping[str, str] = MappingProxyType({})) -> Examination:
    """Everything `validate_file` prints; for a child process.

    Args:
        refusals: runtimes of `tflite.contract.RUNTIMES` that are known not to run the model, with the reason.
    """
    refusals = {**_refusals(model, refusals), **refusals}
    runtimes = tuple(runtime for runtime in RUNTIMES if runtime not in refusals)
    signature, phone = read_step_signature(model), open_on(model, PHONE)
    xs = seeded_readings(phone.inputs, STEPS, rows=table_rows(model))
    latency = _latency(phone, xs[:LATENCY_STEPS])
    steps = int(np.clip(CONTRACT_MICROSECONDS / latency["p50"], LEAST_STEPS, STEPS))
    facts = [
        (name, "\n".join(f"{s.name} {s.dtype} {s.shape}" for s in specs))
        for name, specs in zip(("inputs", "outputs", "states"), signature.specs, strict=True)
    ]
    inside = {"resource variables": signature.has_resources, "variables of its operators": signature.has_variables}
    facts.append(("state inside", ", ".join(kind for kind, there in inside.items() if there)))
    facts.append(("operators", ", ".join(f"{n} {kind}" for kind, n in Counter(operator_names(model)).items())))
    if REFERENCE in runtimes:
        facts.append(("TFLM arena", f"{measure_arena(model)['total']:,} bytes on this 64-bit host"))
    facts.append(("LiteRT step", f"p50 {latency['p50']:.1f} us, p99 {latency['p99']:.1f} us"))
    checks = check_contract(model, xs[:steps], runtimes=runtimes, strict=False)
    facts.append(("readings", f"{steps:,} steps, seeded"))
    if any(inside.values()) and not any("forced equal" in check.check for check in checks):
        facts.append(("note", "the state inside cannot be set from outside: runtimes are compared running freely"))
    warnings = state_warnings(signature)
    if PACED_ON in runtimes:
        warnings += stall_warnings(model, xs[:steps])
    return Examination([(name, text or "-") for name, text in facts], refusals, checks, warnings)


def _latency(runtime: StepRuntime, xs: list) -> dict[str, float]:
    """Microseconds of a step: as an application calls it where there is one real input, else in integers."""
    if [spec.dtype for spec in runtime.inputs] == ["float32"]:
        return step_latency(runtime, [next(iter(x.values())) for x in xs])
    step = partial(runtime.step, raw=True)
    warm_up(step, xs)
    return percentiles(call_times(step, xs))


def _refusals(model: bytes, known: Mapping[str, str]) -> dict[str, str]:
    """Why runtimes beside the known ones do not run the model; PHONE must."""
    reasons = {}
    for runtime in RUNTIMES:
        if runtime not in (PHONE, *known):
            try:
                open_on(model, runtime)
            except UserError as error:
                reasons[runtime] = str(error).removeprefix("model: ")
    return reasons


def _print(name: str, size: int, found: Examination) -> None:
    table = Table(title=f"{name}, {size:,} bytes", show_header=False)
    for fact in found.facts:
        table.add_row(*fact)
    for runtime, reason in found.refusals.items():
        table.add_row(runtime, f"does not run it: {reason}")
    saturation = [check for check in found.checks if check.check.startswith(SATURATION)]
    for check in dict.fromkeys(check.check for check in found.checks if check not in saturation):
        table.add_row(check, _figures([one for one in found.checks if one.check == check]))
    if saturation:
        table.add_row("at an end of the integers", _shares(saturation))
    console = Console()
    console.print(table)
    for warning in found.warnings:
        console.print(f"warning: {warning}", soft_wrap=True)


def _figures(checks: list[CheckResult]) -> str:
    """One check on all runtimes, what is equal said once."""
    by_figure = {}
    for check in checks:
        failed = "" if check.passed else "FAILED, "
        by_figure.setdefault(f"{failed}{check.figure:.3g} {check.unit}", []).append(check.runtime)
    if len(by_figure) == 1:
        return next(iter(by_figure))
    return "\n".join(f"{figure}: {', '.join(runtimes)}" for figure, runtimes in by_figure.items())


def _shares(checks: list[CheckResult]) -> str:
    """Every state, and the operators that ever were there."""
    shown = [check for check in checks if check.figure > 0 or check.check.startswith(f"{SATURATION} state")]
    lines = [f"{check.figure:.2%} {check.check.removeprefix(SATURATION).strip()}" for check in shown]
    others = len(checks) - len(shown)
    return "\n".join(lines + ([f"never {others} {'other ' if shown else ''}operators"] if others else []))
