"""The tables of the report, as plain rows of text."""

from tflite.budget_table import margin_text
from tflite.budgets import Gate
from tflite.figure_text import figure_text
from tflite.report.key_figures import loss_text, metric_text
from tflite.task_metric import higher_is_better
from tflite.validation_record import model_name

FORMS = (("float", "float32"), ("ptq", "{} after training (PTQ)"), ("quantized", "{} shipped"))


def budget_rows(gates):
    """Rows of the budgets table: dicts of budget, measured, allowed, margin, ok, skipped."""
    return [_budget_row(gate) for gate in gates or []]


def _budget_row(gate):
    unit, at_least = gate.get("unit", ""), bool(gate.get("at_least"))
    whole = Gate(
        gate["budget"],
        gate.get("model", "-"),
        gate.get("measured"),
        gate.get("allowed"),
        bool(gate["ok"]),
        gate.get("margin"),
        unit,
        at_least,
        gate.get("reason", "not measured"),
        bool(gate.get("skipped")),
    )
    allowed = "not a number" if whole.allowed is None else figure_text(whole.allowed, unit)
    return {
        "budget": whole.budget,
        "measured": figure_text(whole.measured, unit),
        "ok": whole.ok,
        "skipped": whole.skipped,
        "allowed": f"{'at least' if at_least else 'at most'} {allowed}",
        "margin": margin_text(whole),
    }


def quality_rows(record, ours, models, published=()):
    """Rows of the quality table, our three forms first, then the rivals, each with its bytes, then what is published.

    Args:
        record: validation record.
        ours: what the shipped model is called, by its numbers: `int8`.
        models: all validation records; a float32 one among them tells the float model's bytes.
        published: figures of others, of the same metric (see `pipeline.scenario.Published`).

    Returns:
        list of dicts: name, kind (`shipped`, `ours`, `rival` or `published`), value, share (of the largest, 0 to 1, for
        the bar), loss, far, mar, nrmse, coverage, width and bytes as text.
    """
    metric = record.get("metric") or {}
    float_bytes = next((one.get("bytes") for one in models if one.get("activations") == "float32"), None)
    sizes = {"quantized": record.get("bytes"), "ptq": record.get("ptq_bytes"), "float": float_bytes}
    rows = [_quality_row(record, key, name.format(ours), sizes[key]) for key, name in FORMS]
    rows += [_rival_row(record, name, rival) for name, rival in sorted((metric.get("rivals") or {}).items())]
    rows += [_published_row(one) for one in published]
    largest = max((abs(row["number"]) for row in rows if row["number"] is not None), default=0) or 1
    for row in rows:
        number = row.pop("number")
        row["share"] = None if number is None else abs(number) / largest
        row["value"] = metric_text(metric.get("name"), number)
    return rows


def _quality_row(record, key, name, size):
    metric = record.get("metric") or {}
    return {
        "name": name,
        "kind": "shipped" if key == "quantized" else "ours",
        "number": metric.get(key),
        "bytes": figure_text(size, "B"),
        "loss": "" if key == "float" else loss_text(metric, key),
        "far": _share(record, "far", key),
        "mar": _share(record, "mar", key),
        "nrmse": figure_text((record.get("nrmse") or {}).get(key), ""),
        "coverage": _share(record, "coverage", key),
        "width": _share(record, "interval_width", key),
    }


def _rival_row(record, name, rival):
    rival = rival if isinstance(rival, dict) else {"value": rival}
    number = rival.get("value", rival.get("f1"))
    return {
        "name": name,
        "kind": "rival",
        "number": number,
        "bytes": figure_text(rival.get("bytes"), "B"),
        "loss": "",
        "far": figure_text(rival["far"], "%") if "far" in rival else _rival_share(record, "far", name),
        "mar": figure_text(rival["mar"], "%") if "mar" in rival else _rival_share(record, "mar", name),
        "nrmse": figure_text(((record.get("nrmse") or {}).get("rivals") or {}).get(name), ""),
        "coverage": "",
        "width": "",
    }


def _published_row(one):
    figures = (("nrmse", one.nrmse, ""), ("far", one.far, "%"), ("mar", one.mar, "%"))
    return {
        "name": f"{one.name} (published)",
        "kind": "published",
        "number": one.value,
        **{name: "" if figure is None else figure_text(figure, unit) for name, figure, unit in figures},
        **dict.fromkeys(("bytes", "loss", "coverage", "width"), ""),
    }


def _share(record, kind, key):
    return figure_text((record.get(kind) or {}).get(key), "%")


def _rival_share(record, kind, name):
    return figure_text(((record.get(kind) or {}).get("rivals") or {}).get(name), "%")


def quality_note(record, rows):
    """One sentence that places the shipped model among its rivals, or "" if there is nothing to compare."""
    metric = record.get("metric") or {}
    best, ours = strongest_rival(metric), metric.get("quantized")
    if best is None or ours is None:
        return ""
    rival, value = best
    wins = ours > value if higher_is_better(metric.get("name")) else ours < value
    name, outcome = metric.get("name"), "better" if wins else "not better"
    return (
        f"The shipped model is {outcome} than its strongest simple rival, {rival}: "
        f"{metric_text(name, ours)} against {metric_text(name, value)}."
    )


def strongest_rival(metric):
    """(name, value) of the best simple rival of a record's metric, or None if there is none."""
    rivals = {
        name: rival.get("value", rival.get("f1")) if isinstance(rival, dict) else rival
        for name, rival in sorted((metric.get("rivals") or {}).items())
    }
    known = [(name, value) for name, value in rivals.items() if value is not None]
    best = max if higher_is_better(metric.get("name")) else min
    return best(known, key=lambda rival: rival[1], default=None)


def published_sources(published):
    """The sources of published figures, each once, in the order of the scenario."""
    return list(dict.fromkeys(one.source for one in published))


def operation_counts(ops):
    """List of (operation, how often), in order of first appearance."""
    counts = {}
    for name in ops or []:
        counts[str(name)] = counts.get(str(name), 0) + 1
    return list(counts.items())


def model_rows(models):
    """Rows of the table of all validated models: name, bytes, arena, p50, p99, metric."""
    return [
        {
            "name": model_name(record),
            "bytes": figure_text(record.get("bytes"), "B"),
            "arena": figure_text((record.get("memory") or {}).get("arena_bytes"), "B"),
            "p50": figure_text((record.get("latency_us") or {}).get("p50"), "µs"),
            "p99": figure_text((record.get("latency_us") or {}).get("p99"), "µs"),
            "metric": _shipped_metric(record),
        }
        for record in models
    ]


def _shipped_metric(record):
    metric = record.get("metric") or {}
    return metric_text(metric.get("name"), metric.get("quantized"))


def parity_rows(record):
    """Rows of the parity table: runtime, reference, states, steps, max_lsb, mismatched (share or count) as text."""
    return [
        {
            "runtime": str(pair.get("runtime", "-")),
            "reference": str(pair.get("reference", "-")),
            "states": "made equal before each step" if pair.get("state_forced", True) else "each its own",
            "steps": figure_text(pair.get("steps"), ""),
            "max_lsb": figure_text(pair.get("max_lsb"), ""),
            "mismatched": figure_text(pair.get("mismatched"), _share_unit(pair.get("mismatched"))),
        }
        for pair in record.get("parity") or []
    ]


def _share_unit(figure):
    """Shares are written as floats, counts as integers."""
    return "%" if isinstance(figure, float) else ""


def tensor_rows(artifact):
    """Rows of the interface table: direction, name, shape, dtype, meaning."""
    rows = []
    for kind, title in (("inputs", "in"), ("outputs", "out"), ("states", "state")):
        for tensor in (artifact or {}).get(kind) or []:
            rows.append(
                {
                    "kind": title,
                    "name": tensor.get("name", "-"),
                    "dtype": tensor.get("dtype", "-"),
                    "shape": " × ".join(str(length) for length in tensor.get("shape") or []),
                    "meaning": _meaning(tensor),
                }
            )
    return rows


def _meaning(tensor):
    if tensor.get("columns"):
        columns = [(column.get("name"), column.get("unit")) for column in tensor["columns"]]
        return ", ".join(f"{name} ({unit})" if unit else str(name) for name, unit in columns)
    parts = [str(tensor["unit"])] if tensor.get("unit") else []
    if tensor.get("quantum") is not None:
        parts.append(f"one quantum is {tensor['quantum']:.4g}")
    if tensor.get("scale") is not None:
        parts.append(f"scale {tensor['scale']:.4g}, zero point {tensor.get('zero_point', 0)}")
    return ", ".join(parts)


def bench_rows(bench):
    """Rows of the races of bench.json: name, ours, rival, rival_name, ratio as text."""
    rows = []
    for row in bench or []:
        ratio = row.get("ratio") or {}
        spread = f" ({ratio['min']:.3g} to {ratio['max']:.3g})" if {"min", "max"} <= set(ratio) else ""
        rows.append(
            {
                "name": str(row.get("name", "-")),
                "rival_name": str(row.get("rival_name", "-")),
                "ours": figure_text(row.get("ours"), row.get("unit", "")),
                "rival": figure_text(row.get("rival"), row.get("unit", "")),
                "ratio": figure_text(ratio.get("median"), "") + spread,
            }
        )
    return rows
