"""report.html: one page, everything inline, that shows what a scenario's model does and what it costs."""

import re
from pathlib import Path

from pipeline.atomic_write import atomic_write
from tflite.budget_table import verdict
from tflite.figure_text import figure_text
from tflite.report.anomaly_pictures import anomaly_pictures
from tflite.report.calendar_text import span_text
from tflite.report.cell_table import CELL_NAMES, cell_note, cell_rows
from tflite.report.event_table import event_rows
from tflite.report.evidence import gather_evidence
from tflite.report.forecast_pictures import forecast_pictures
from tflite.report.form_table import form_note, form_rows
from tflite.report.horizon_pictures import horizon_pictures
from tflite.report.key_figures import direction_text, key_figures, metric_text
from tflite.report.lead_pictures import lead_pictures
from tflite.report.model_card import use_lists, write_card
from tflite.report.provenance import provenance
from tflite.report.tables import (
    bench_rows,
    budget_rows,
    model_rows,
    operation_counts,
    parity_rows,
    published_sources,
    quality_note,
    quality_rows,
    tensor_rows,
)
from tflite.report.training_picture import training_pictures
from tflite.report.transformer_pictures import transformer_note, transformer_pictures, transformer_rows
from tflite.validation_record import form_name

FOLDER = Path(__file__).parent


def write_report(scenario, build_dir):
    """Write `<build_dir>/<scenario>/report.html` and tflite/model_card.md from what the other stages have written.

    The page needs nothing else: no network, no script, no font. The same inputs give the same bytes.

    Args:
        scenario: the Scenario.
        build_dir: the build folder.

    Returns:
        The path of the page.

    Raises:
        UserError: validation.json is missing, a file is damaged, or the page cannot be written.
    """
    if scenario.task == "translate":
        from tflite.report.translation_page import render_translation as render_page
    else:
        render_page = render_stream
    evidence = gather_evidence(scenario, build_dir)
    page, path = render_page(scenario, evidence), Path(build_dir) / scenario.name / "report.html"
    if evidence.artifact is not None:
        known = {"dataset": evidence.dataset, "record": evidence.record, "models": evidence.models}
        write_card(path.parent / "tflite", evidence.artifact, scenario=scenario, **known)
    with atomic_write(path) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return path


def render_stream(scenario, evidence):
    """Return the HTML text of the report of one Evidence."""
    return render("page.html.j2", page_content(scenario, evidence))


def render(template, content):
    """Return the text of a template of this folder."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=keep_units,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(content)


def keep_units(value):
    """Join figures and units with a space that breaks no line; what is not plain text stays as it is."""
    if type(value) is not str:
        return value
    return re.sub(r"(?<=\d) (?=(?:%|B|µs|s|h|min|x|quanta|quantum|points)(?!\w))", "\u00a0", value)


def page_content(scenario, evidence):
    """Everything the template shows, as text, rows and pictures."""
    from markupsafe import Markup

    record = evidence.record
    ours = form_name(record) or scenario.quantization.activations
    pictures = {"weeks": [], "error": [], "quantization": [], "overview": [], "streams": []}
    if evidence.trace is not None:
        draw = forecast_pictures if scenario.task == "forecast" else anomaly_pictures
        pictures |= draw(scenario, evidence.trace, ours)
    pictures["error"] = lead_pictures(record, ours) + pictures["error"]
    quality = quality_rows(record, ours, evidence.models, scenario.published)
    return {
        "style": Markup((FOLDER / "page.css").read_text(encoding="utf-8")),
        "markup": Markup,
        "scenario": scenario,
        "ours": ours,
        "subtitle": subtitle(scenario, ours, evidence.artifact or {}),
        "state": gate_state(evidence.gates),
        "badge": badge(scenario, evidence.gates),
        "lead": lead_sentence(scenario, record),
        "cards": key_figures(evidence, ours),
        "pictures": pictures,
        "traced": evidence.trace is not None,
        "budgets": budget_rows(evidence.gates),
        "checked": evidence.gates is not None,
        "quality": quality,
        "sources": published_sources(scenario.published),
        "nominal": figure_text((record.get("coverage") or {}).get("nominal"), "%") if record.get("coverage") else "",
        "events": event_rows(record, ours),
        "quality_note": quality_note(record, quality),
        "metric_name": str((record.get("metric") or {}).get("name") or "metric").upper(),
        "direction": direction_text((record.get("metric") or {}).get("name")),
        "parity": parity_rows(record),
        "drift": drift_sentence(record),
        "ops": operation_counts(record.get("ops")),
        "op_total": len(record.get("ops") or []),
        "tensors": tensor_rows(evidence.artifact),
        "models": model_rows(evidence.models),
        "bench": bench_rows(evidence.bench),
        "training": training_pictures(evidence.history, ours),
        "memory": horizon_pictures(evidence.horizon, span_text(scenario.data.step_seconds)),
        "rivalry": transformer_pictures(evidence.transformer),
        "rivalry_rows": transformer_rows(evidence.transformer),
        "rivalry_note": transformer_note(evidence.transformer),
        "cells": cell_rows(evidence.artifact),
        "cell_note": cell_note(evidence.artifact),
        "forms": form_rows(evidence.quantization),
        "form_note": form_note(scenario, evidence.quantization),
        "use": use_lists(scenario),
        "data": provenance(scenario, evidence.dataset),
        "prepared": evidence.dataset is not None,
        "footer": footer_facts(record, evidence.artifact),
    }


def subtitle(scenario, ours, artifact):
    """`streaming forecast · GRU, 32 units · int8 · external state`; cell and units as they were built."""
    cell, units = (artifact.get(key, getattr(scenario.model, key)) for key in ("cell", "units"))
    task = "streaming forecast" if scenario.task == "forecast" else "streaming anomaly detection"
    return (
        f"{task} · {CELL_NAMES.get(cell, cell)}, {units} units · "
        f"{ours} · {scenario.quantization.state} state"
    )


def gate_state(gates):
    """`ok`, `broken`, or `unknown` if no budget was checked."""
    if not gates:
        return "unknown"
    return "ok" if all(gate["ok"] for gate in gates) else "broken"


def badge(scenario, gates):
    """The verdict on the budgets in one short sentence."""
    from types import SimpleNamespace

    if gates is None:
        return f"Budgets not checked yet: run edgernn gates {scenario.path.name}"
    sentence = verdict(scenario.name, [SimpleNamespace(**{"skipped": False, **gate}) for gate in gates])
    sentence = sentence.removeprefix(f"{scenario.name}: ")
    return sentence[0].upper() + sentence[1:]


def lead_sentence(scenario, record):
    """What the model does, how well, in how many bytes and microseconds; only what was measured."""
    metric = record.get("metric") or {}
    name, value = metric.get("name"), metric.get("quantized")
    parts = [_purpose(scenario)]
    if value is not None:
        beside = f", the float model {metric_text(name, metric['float'])}" if metric.get("float") is not None else ""
        parts.append(f"Its {str(name).upper()} on the test part is {metric_text(name, value)}{beside}.")
    costs = []
    if record.get("bytes") is not None:
        costs.append(f"The file takes {figure_text(record['bytes'], 'B')}")
    if (record.get("latency_us") or {}).get("p50") is not None:
        costs.append(f"{'one' if costs else 'One'} step takes {figure_text(record['latency_us']['p50'], 'µs')}")
    if costs:
        parts.append(" and ".join(costs) + ".")
    return " ".join(parts)


def _purpose(scenario):
    seconds = scenario.data.step_seconds
    step = {1.0: "second", 60.0: "minute", 3600.0: "hour", 86400.0: "day"}.get(seconds) or span_text(seconds)
    targets = ", ".join(scenario.forecast.targets)
    reads = f"Every {step} the model reads {len(scenario.inputs)} values"
    if scenario.task == "forecast":
        ahead = span_text(scenario.forecast.last_lead * scenario.data.step_seconds)
        return f"{reads} and forecasts {targets} up to {ahead} ahead."
    return f"{reads} and says how abnormal they are; 1.0 is an alarm."


def drift_sentence(record):
    """What happens when both models run freely on their own states, or "" if that was not measured."""
    drift = record.get("drift") or {}
    if drift.get("rmse") is None:
        return ""
    steps = f"Over {drift['steps']:,} steps" if drift.get("steps") is not None else "Over the whole recording"
    size = figure_text(drift["rmse"], "")
    sentence = f"{steps} on its own states the shipped model differs from float by {size} (root mean square)"
    saturated = drift.get("saturated")
    if saturated is None:
        return sentence + "."
    return f"{sentence}; {figure_text(saturated, '%')} of its state values stand at the end of their range."


def footer_facts(record, artifact):
    """List of (name, text) that identify the model file."""
    artifact = artifact or {}
    facts = [("file", artifact.get("tflite")), ("sha256", artifact.get("sha256"))]
    if record.get("convert_seconds") is not None:
        facts.append(("converted in", figure_text(record["convert_seconds"], "s")))
    facts += sorted((artifact.get("versions") or {}).items())
    return [(name, str(text)) for name, text in facts if text is not None]
