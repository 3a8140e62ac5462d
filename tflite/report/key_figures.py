"""The key figures of a model, as cards: one number, its budget, how much of it is used."""

from dataclasses import dataclass

from tflite.figure_text import figure_text
from tflite.task_metric import higher_is_better, metric_unit, relative_loss
from tflite.validation_record import kernel_pairs


@dataclass(frozen=True)
class Card:
    """One key figure.

    Attributes:
        title: what it is.
        value: as text; `not measured` if there is none.
        detail: a second line.
        budget: the budget line, or "" if the scenario sets none.
        used: share of the budget used, 0 to 1 for the bar, or None.
        state: `ok`, `broken` or "" (no budget).
    """

    title: str
    value: str
    detail: str = ""
    budget: str = ""
    used: float | None = None
    state: str = ""


def key_figures(evidence, ours):
    """The cards of the report.

    Args:
        evidence: the Evidence.
        ours: what the shipped model is called, by its numbers: `int8`.

    Returns:
        A list of Card.
    """
    record = evidence.record
    gates = {gate["budget"]: gate for gate in evidence.gates or []}
    latency, memory = record.get("latency_us") or {}, record.get("memory") or {}
    return [
        _card(
            "Model file",
            figure_text(record.get("bytes"), "B"),
            _artifact_detail(evidence),
            gates.get("bytes"),
        ),
        _card(
            "Working memory",
            figure_text(memory.get("arena_bytes"), "B"),
            "arena of TFLite Micro on this host",
            gates.get("arena_bytes"),
        ),
        _card(
            "Time per step",
            _latency(latency),
            "median · 99 % of steps are faster than the second figure",
            gates.get("step_us_p99"),
        ),
        _quality_card(record.get("metric") or {}, gates, ours),
        _loss_card(record, gates.get("metric_loss"), ours),
        _parity_card(record, gates.get("parity_lsb")),
    ]


def _card(title, value, detail, gate):
    if gate is None:
        return Card(title, value, detail)
    unit, bound = gate.get("unit", ""), "at least" if gate.get("at_least") else "at most"
    allowed, measured = gate.get("allowed"), gate.get("measured")
    used = None
    if measured is not None and allowed:
        share = allowed / measured if gate.get("at_least") and measured else measured / allowed
        used = min(max(share, 0.0), 1.0)
    budget = f"{bound} {figure_text(allowed, unit)}" if allowed is not None else ""
    return Card(title, value, detail, budget, used, "ok" if gate["ok"] else "broken")


def _artifact_detail(evidence):
    states = (evidence.artifact or {}).get("states") or []
    numbers = sum(_size(state.get("shape") or []) for state in states)
    return f"flatbuffer; {numbers} numbers of state" if numbers else "the .tflite flatbuffer"


def _size(shape):
    size = 1
    for length in shape:
        size *= length
    return size


def _latency(latency):
    if latency.get("p50") is None:
        return figure_text(latency.get("p99"), "µs")
    return f"{figure_text(latency['p50'], '')} · {figure_text(latency.get('p99'), 'µs')}"


def metric_text(name, value):
    """A metric as people read it: WAPE and other shares in per cent, F1 as a fraction."""
    return figure_text(value, metric_unit(name))


def direction_text(name):
    """`higher is better` or `lower is better`."""
    return "higher is better" if higher_is_better(name) else "lower is better"


def _quality_card(metric, gates, ours):
    name = metric.get("name") or "task metric"
    gate = gates.get("f1" if str(name).lower() == "f1" else "metric")
    detail = f"float {metric_text(name, metric.get('float'))} · {direction_text(name)}"
    return _card(f"{str(name).upper()}, {ours}", metric_text(name, metric.get("quantized")), detail, gate)


def loss_text(metric, key):
    """Relative loss of metric[key] against the float model: `+0.42 %`, worse is plus."""
    if metric.get(key) is None or metric.get("float") is None:
        return "not measured"
    try:
        return f"{100 * relative_loss(metric.get('name'), metric['float'], metric[key]):+.2f} %"
    except LookupError as unknown:
        return f"not measured: {unknown}"


def _loss_card(record, gate, ours):
    metric = record.get("metric") or {}
    ptq = loss_text(metric, "ptq")
    detail = f"relative; without fine-tuning (PTQ) {ptq}" if metric.get("ptq") is not None else "relative to float"
    return _card(f"Lost by {ours}", loss_text(metric, "quantized"), detail, gate)


def _parity_card(record, gate):
    pairs = [pair for pair in kernel_pairs(record) if pair.get("max_lsb") is not None]
    if not pairs:
        return _card("Parity", "not measured", "largest difference between runtimes", gate)
    worst = max(pairs, key=lambda pair: pair["max_lsb"])
    unit = "quantum" if worst["max_lsb"] == 1 else "quanta"
    steps = f"{worst['steps']:,} steps" if worst.get("steps") is not None else "steps not counted"
    return _card(
        "Parity",
        f"{worst['max_lsb']:g} {unit}",
        f"largest difference, {worst.get('runtime')} against {worst.get('reference')}, {steps}",
        gate,
    )
