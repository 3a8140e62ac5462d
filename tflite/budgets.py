"""Budgets of a scenario: each one is a gate that the measured figures pass or break.

A gate passes only on a finite measured number. A figure that was not measured breaks its gate, latency_ratio
included: a gate that passed because nobody looked would be worth nothing. But for figures of emulated devices, on a
machine that has no emulator or cross-compiler: there the gate is skipped and says so, unless the environment has CI.
"""

import math
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pipeline.atomic_write import write_json
from pipeline.scenario import CORE_FIGURES, CORES
from pipeline.user_error import UserError
from tflite.budget_table import print_gates
from tflite.build_record import read_record
from tflite.task_metric import higher_is_better, metric_unit, relative_loss
from tflite.validation_record import (
    ARM64_BUILTIN,
    ARM64_GENERATED,
    ARM64_XNNPACK,
    kernel_pairs,
    model_name,
    read_validation,
    shipped_records,
)


@dataclass(frozen=True)
class Gate:
    """One budget held against one measured figure.

    Attributes:
        budget: key of the scenario's `[budgets]`.
        model: which model, `<cell>_<form>_<state>`.
        measured: the figure in the budget's unit, or None if there is no finite figure.
        allowed: the budget.
        ok: the figure is within the budget.
        margin: room left in the budget's unit; negative: missed by so much. None without a figure.
        unit: unit of measured, allowed and margin.
        at_least: the figure must not fall below the budget (else: must not exceed it).
        reason: why there is no figure, or "".
        skipped: there is no figure for want of a tool on this machine; `ok` is then True.
    """

    budget: str
    model: str
    measured: float | None
    allowed: float
    ok: bool
    margin: float | None
    unit: str
    at_least: bool
    reason: str = ""
    skipped: bool = False

    def as_record(self):
        """Return the gate as gates.json holds it; what was not measured is absent."""
        record = {
            "budget": self.budget,
            "model": self.model,
            "measured": self.measured,
            "allowed": self.allowed,
            "ok": self.ok,
            "margin": self.margin,
            "unit": self.unit,
            "at_least": self.at_least,
            "reason": self.reason or None,
            "skipped": self.skipped or None,
        }
        return {
            key: value
            for key, value in record.items()
            if value is not None and not (isinstance(value, float) and not math.isfinite(value))
        }


class NotMeasured(LookupError):
    """The record lacks the figure; the message says why and, where it helps, what measures it."""


class NotHere(NotMeasured):
    """This machine lacks a tool that measures it; the message says which."""


@dataclass(frozen=True)
class Rule:
    """How one budget finds its figure: `figure(record, bench)` returns a number or raises NotMeasured."""

    unit: str | Callable
    figure: Callable
    at_least: Callable = lambda record: False

    def unit_of(self, record):
        """The unit, which for a metric depends on which metric it is."""
        return self.unit if isinstance(self.unit, str) else self.unit(record)


def _number(record, *keys):
    """The value under nested keys, whatever it is; NotMeasured if any key is absent or null."""
    value = record
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    if value is None:
        raise NotMeasured("not measured")
    return value


def _metric_name(record):
    return (record.get("metric") or {}).get("name", "")


def _f1(record, bench):
    if str(_number(record, "metric", "name")).lower() != "f1":
        raise NotMeasured(f"not measured: the metric is {_metric_name(record)}")
    return _number(record, "metric", "quantized")


def _metric_loss(record, bench):
    reference, value = _number(record, "metric", "float"), _number(record, "metric", "quantized")
    if not (_is_finite(reference) and _is_finite(value)):
        return math.nan
    name = _number(record, "metric", "name")
    try:
        return relative_loss(name, reference, value)
    except LookupError as unknown:
        raise NotMeasured(f"not measured: {unknown}") from unknown


def _metric_points(record, bench):
    """How much worse the shipped model is than the float model, in the unit of the metric; better: below 0."""
    reference, value = _number(record, "metric", "float"), _number(record, "metric", "quantized")
    if not (_is_finite(reference) and _is_finite(value)):
        return math.nan
    return reference - value if higher_is_better(_metric_name(record)) else value - reference


def _coverage_gap(record, bench):
    """How far the share of values within their interval is from what the interval promises, either way."""
    covered, promised = _number(record, "coverage", "quantized"), _number(record, "coverage", "nominal")
    return abs(covered - promised) if _is_finite(covered) and _is_finite(promised) else math.nan


def _parity_lsb(record, bench):
    """Largest difference in quanta between LiteRT's reference kernels and TFLM, whichever of the two is the reference.

    Of steps from the same state; see `kernel_pairs`. LiteRT's built-in kernels and XNNPACK, the delegate before them,
    round their own way: reported, not gated.
    """
    pairs = kernel_pairs(record)
    compared = [p for p in pairs if _is_finite(p.get("steps")) and p["steps"] > 0 and p.get("max_lsb") is not None]
    if not compared:
        raise NotMeasured("not measured: no LiteRT against TFLM parity from the same state")
    largest = [p["max_lsb"] for p in compared]
    return max(largest) if all(map(_is_finite, largest)) else math.nan


def _latency_ratio(record, bench):
    """Median ratio of the bench row in which a step of this scenario races ONNX Runtime's `session.run`.

    Such a row names "step" and the scenario in its `name`, and ONNX and session.run in its `rival_name`: one call of a
    public Python API against one call of the other. Races in another form stand in the bench, but are not gated; of
    several such rows the worst counts.
    """
    scenario = str(record.get("scenario", "")).lower()
    own_step = re.compile(rf"(?=.*step).*(?<![a-z0-9]){re.escape(scenario)}(?![a-z0-9_])")
    rows = [
        row
        for row in bench or []
        if isinstance(row, dict)
        and own_step.match(str(row.get("name")).lower())
        and re.search(r"onnx.*session\.run", str(row.get("rival_name")).lower())
    ]
    if not rows:
        raise NotMeasured(f"not measured: run `edgernn bench {scenario or 'NAME'}`")
    ratios = [_number(row, "ratio", "median") for row in rows]
    return max(ratios) if all(map(_is_finite, ratios)) else math.nan


def _bleu_loss(record, bench):
    """Points of BLEU between float and quantized, whichever is better, on the same sentences."""
    reference, value = _number(record, "metric", "float"), _number(record, "metric", "quantized")
    return abs(reference - value) if _is_finite(reference) and _is_finite(value) else math.nan


def _window_ratio(record, bench):
    """Median ratio of the bench row in which a step on LiteRT races LiteRT's float model over a whole window."""
    own = f"{record.get('scenario', '')}: LiteRT "
    rows = [row for row in bench or [] if isinstance(row, dict) and str(row.get("name")).startswith(own)
            and re.match("LiteRT.*window", str(row.get("rival_name")))]  # fmt: skip
    if not rows:
        raise NotMeasured(f"not measured: run `edgernn bench {record.get('scenario', 'NAME')}`")
    return _number(rows[0], "ratio", "median")


def _field(*keys):
    return lambda record, bench: _number(record, *keys)


def _emulated(device, figure):
    """`figure` of a device that tools emulate; where they were missing the record says so under "not_measured"."""

    def measured(record, bench):
        try:
            return figure(record, bench)
        except NotMeasured as absent:
            reason = (record.get("not_measured") or {}).get(device)
            raise (NotHere(f"not measured here: {reason}") if reason else absent) from absent

    return measured


def _arm64_lsb(*runtimes):
    """Largest difference in quanta of what runs on ARM64 from its reference."""

    def measured(record, bench):
        found = {pair.get("runtime"): pair.get("max_lsb") for pair in record.get("parity") or []}
        largest = [found.get(name) for name in runtimes]
        if None in largest:
            raise NotMeasured("not measured")
        return max(largest) if all(map(_is_finite, largest)) else math.nan

    return measured


RULES = {
    "bytes": Rule("B", _field("bytes")),
    "arena_bytes": Rule("B", _field("memory", "arena_bytes")),
    "convert_seconds": Rule("s", _field("convert_seconds")),
    "metric": Rule(
        lambda record: metric_unit(_metric_name(record)),
        _field("metric", "quantized"),
        lambda record: higher_is_better(_metric_name(record)),
    ),
    "metric_loss": Rule("%", _metric_loss),
    "metric_points": Rule(lambda record: metric_unit(_metric_name(record)), _metric_points),
    "nrmse": Rule("", _field("nrmse", "quantized")),
    "coverage_gap": Rule("%", _coverage_gap),
    "f1": Rule("", _f1, lambda record: True),
    "far": Rule("%", _field("far", "quantized")),
    "mar": Rule("%", _field("mar", "quantized")),
    "event_recall": Rule("%", _field("events", "quantized", "recall"), lambda record: True),
    "event_delay": Rule("s", _field("events", "quantized", "median_delay")),
    "false_alarms_per_100_hours": Rule("", _field("events", "quantized", "false_alarms_per_100_hours")),
    "bleu": Rule("", _field("metric", "quantized"), lambda record: True),
    "bleu_loss": Rule("points", _bleu_loss),
    "exact_match": Rule("%", _field("exact_match", "quantized"), lambda record: True),
    "identity": Rule("%", _field("identity", "quantized"), lambda record: True),
    "parity_lsb": Rule("quanta", _parity_lsb),
    "step_us_p99": Rule("µs", _field("latency_us", "p99")),
    "latency_ratio": Rule("x", _latency_ratio),
    "window_ratio": Rule("x", _window_ratio),
    **{
        f"{figure}_{core}": Rule(
            "instructions" if figure == "instructions" else "B", _emulated("cores", _field(figure, core))
        )
        for core in CORES
        for figure in CORE_FIGURES
    },
    "arm64_lsb": Rule("quanta", _emulated("arm64", _arm64_lsb(ARM64_BUILTIN, ARM64_GENERATED))),
    "arm64_xnnpack_lsb": Rule("quanta", _emulated("arm64", _arm64_lsb(ARM64_XNNPACK))),
    "instructions_arm64": Rule("instructions", _emulated("arm64", _field("instructions", "arm64"))),
}


def check_budgets(budgets, validation, bench, may_skip=False):
    """Hold every budget against every model record.

    Args:
        budgets: budget key to allowed number, as in the scenario's `[budgets]`.
        validation: `{"models": [record, ...]}`; give only the records the budgets are meant for.
        bench: the rows of bench.json, or None if no bench was run.
        may_skip: a figure whose tools are missing on this machine skips its gate instead of breaking it.

    Returns:
        A list of Gate, records in order, budgets in the order given. Without a record all are broken.

    Raises:
        UserError: a budget key that has no rule.
    """
    unknown = sorted(set(budgets) - set(RULES))
    if unknown:
        raise UserError(f"[budgets] {unknown[0]}: no such budget; allowed: {', '.join(RULES)}")
    records = validation.get("models") or [{}]
    return [
        _gate(budget, float(allowed), record, bench, may_skip)
        for record in records
        for budget, allowed in budgets.items()
    ]


def _gate(budget, allowed, record, bench, may_skip):
    rule = RULES[budget]
    measured, reason, is_missing = _measure(rule, record, bench)
    at_least = rule.at_least(record)
    margin = None
    if measured is not None and math.isfinite(allowed):
        margin = measured - allowed if at_least else allowed - measured
    return Gate(
        budget,
        model_name(record),
        measured,
        allowed,
        is_missing and may_skip or (margin is not None and margin >= 0),
        margin,
        rule.unit_of(record),
        at_least,
        reason,
        is_missing and may_skip,
    )


def _measure(rule, record, bench):
    """Return (finite number, "", False) or (None, reason, whether a tool is missing here)."""
    try:
        value = rule.figure(record, bench)
    except NotMeasured as absent:
        return None, str(absent), isinstance(absent, NotHere)
    if not _is_finite(value):
        return None, f"not a finite number: {value!r}", False
    return float(value), "", False


def _is_finite(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def gates(scenario, build_dir):
    """Check a scenario's budgets, print the table, write gates.json.

    Args:
        scenario: the Scenario; its `budgets` are checked.
        build_dir: the build folder, which holds `<scenario>/validation.json` and perhaps `bench.json`.

    Returns:
        True if every budget holds.

    Raises:
        UserError: validation.json (or bench.json) is missing or damaged, or gates.json cannot be written.
    """
    folder = Path(build_dir) / scenario.name
    shipped = {"models": shipped_records(scenario, read_validation(scenario, folder))}
    bench = None
    if not {"latency_ratio", "window_ratio"}.isdisjoint(scenario.budgets):
        bench = read_record(Path(build_dir) / "bench.json", kind=list, made_by=f"edgernn bench {scenario.name}")
    checked = check_budgets(scenario.budgets, shipped, bench, may_skip=not os.environ.get("CI"))
    write_json(folder / "gates.json", {"gates": [gate.as_record() for gate in checked]})
    print_gates(scenario.name, checked)
    return all(gate.ok for gate in checked)
