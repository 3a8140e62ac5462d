"""The report of a translation: what it writes beside the references, its quality beside simple rivals, its cost."""

from pathlib import Path

from pipeline.data_sets import DATA_SETS
from tflite.figure_text import figure_text
from tflite.report.key_figures import key_figures, metric_text
from tflite.report.page import FOLDER, badge, footer_facts, gate_state, render
from tflite.report.tables import bench_rows, budget_rows, operation_counts, parity_rows, quality_note, tensor_rows
from tflite.report.training_picture import training_pictures
from tflite.translation.translation_table import NAMES
from tflite.validation_record import form_name

KINDS = {"quantized": "shipped"}


def render_translation(scenario, evidence):
    """Return the HTML text of the report of one Evidence."""
    from markupsafe import Markup

    record = evidence.record
    ours = form_name(record) or scenario.quantization.activations
    return render(
        "translation.html.j2",
        {
            "style": Markup((FOLDER / "page.css").read_text(encoding="utf-8")),
            "markup": Markup,
            "scenario": scenario,
            "subtitle": _subtitle(scenario, ours),
            "state": gate_state(evidence.gates),
            "badge": badge(scenario, evidence.gates),
            "lead": _lead(record),
            "cards": key_figures(evidence, ours),
            "examples": evidence.translations or [],
            "quality": quality_rows(record, evidence.models),
            "quality_note": quality_note(record, []),
            "budgets": budget_rows(evidence.gates),
            "parity": _parity(record),
            "arenas": sorted(((record.get("memory") or {}).get("signatures") or {}).items()),
            "bench": [row for row in bench_rows(evidence.bench) if row["name"].startswith(f"{scenario.name}:")],
            "signatures": _signatures(evidence.artifact),
            "ops": operation_counts(record.get("ops")),
            "training": training_pictures(evidence.history, ours),
            "facts": pair_facts(scenario, evidence.dataset or {}),
            "files": sorted((((evidence.dataset or {}).get("source") or {}).get("sha256") or {}).items()),
            "footer": footer_facts(record, evidence.artifact),
        },
    )


def quality_rows(record, models):
    """Rows of the quality table: our forms, a beam, then the rivals; text, and the share of the largest for the bar."""
    metric, exact = record.get("metric") or {}, record.get("exact_match") or {}
    sizes = {"quantized": record.get("bytes"), "ptq": record.get("ptq_bytes")}
    sizes["float"] = next((one.get("bytes") for one in models if one.get("activations") == "float32"), None)
    same = record.get("identity") or {}
    rows = [
        _row(name, KINDS.get(form, "ours"), metric.get(form), exact.get(form), same.get(form), sizes[form])
        for form, name in NAMES.items()
    ]
    if beam := record.get("beam"):
        rows.append(_row(f"shipped, beam {beam['width']}", "ours", beam["bleu"], beam["exact_match"]))
    for name, rival in (metric.get("rivals") or {}).items():
        rows.append(_row(name, "rival", rival.get("value"), (exact.get("rivals") or {}).get(name)))
    largest = max((row["number"] for row in rows if row["number"] is not None), default=0) or 1
    return [{**row, "share": None if row["number"] is None else row["number"] / largest} for row in rows]


def _row(name, kind, bleu, exact, same=None, size=None):
    return {
        "name": name,
        "kind": kind,
        "number": bleu,
        "bleu": metric_text("bleu", bleu),
        "exact": figure_text(exact, "%"),
        "same": "" if same is None else figure_text(same, "%"),
        "bytes": "" if size is None else figure_text(size, "B"),
    }


def _subtitle(scenario, ours):
    model = scenario.model
    reading = "attention" if model.attention else "context vector"
    return f"translation · GRU, {model.units} units, {reading}, {scenario.subwords.pieces:,} sub-words · {ours}"


def _lead(record):
    metric = record.get("metric") or {}
    if metric.get("quantized") is None:
        return "Sub-words go in one by one; the translation comes out one by one."
    return (
        f"Its BLEU on {record['sentences']:,} sentences of the test part, none of them seen in training, is"
        f" {metric_text('bleu', metric['quantized'])}, the float model's {metric_text('bleu', metric['float'])}. The"
        f" file takes {figure_text(record['bytes'], 'B')}; a sentence takes {figure_text(record['sentence_ms'], 'ms')}."
    )


def _parity(record):
    pairs = record.get("parity") or []
    return [{**row, "signature": pair["signature"]} for row, pair in zip(parity_rows(record), pairs, strict=True)]


def _signatures(artifact):
    return [(name, tensor_rows(ends)) for name, ends in ((artifact or {}).get("signatures") or {}).items()]


def pair_facts(scenario, dataset):
    """(name, text) of where the pairs came from and what became of them."""
    known, counts = DATA_SETS.get(scenario.data.set), dataset.get("counts") or {}
    facts = [("data set", known.name if known else f"your own files, {Path(scenario.data.path).name}")]
    if known:
        facts += [("from", known.source.address), ("licence", known.licence), ("please cite", known.citation)]
    facts.append(("split", "by source sentence" if scenario.split.by == "sentence" else "by files"))
    for name, title in (("rows_in", "rows in"), ("rows_rejected", "rejected"), ("rows_merged", "equal to another")):
        if name in counts:
            facts.append((title, f"{counts[name]:,}"))
    return facts + [(f"{part} pairs", f"{number:,}") for part, number in (counts.get("pairs") or {}).items()]


