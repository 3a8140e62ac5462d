"""The model card beside every artefact: data, protocol, quality, limits, use; Mitchell et al. 2019, "Model Cards".

It says what the records say. What nobody measured or stated is absent; times are, too, so that the same input gives the
same bytes.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.atomic_write import atomic_write
from pipeline.scenario import CardText, Scenario
from tflite.figure_text import figure_text
from tflite.report.calendar_text import span_text
from tflite.report.card_text import ABSENT, UNSTATED, bullets, card, facts, table
from tflite.report.cell_table import cell_note, cell_rows
from tflite.report.event_table import event_rows
from tflite.report.provenance import provenance
from tflite.report.tables import quality_note, quality_rows
from tflite.validation_record import form_name

CARD = "model_card.md"

QUALITY = (("model", "name"), ("metric", "value"), ("loss against float", "loss"), ("FAR", "far"), ("MAR", "mar"),
           ("bytes", "bytes"))  # fmt: skip
EVENTS = (("model, kind of event", "name"), ("events", "number"), ("detected", "recall"), ("median delay", "delay"),
          ("false alarms in 100 h", "false"))  # fmt: skip
COLUMNS = (("column", "name"), ("unit", "unit"), ("role", "role"), ("mean", "mean"), ("std", "std"), ("min", "min"),
           ("max", "max"), ("missing", "missing"))  # fmt: skip


CELLS = (("cell", "cell"), ("units", "units"), ("bytes", "bytes"), ("by seed", "errors"), ("mean", "mean"),
         ("against the GRU", "against"))  # fmt: skip


def write_card(folder: str | Path, manifest: Mapping[str, Any], **known: Any) -> Path:
    """Writes folder/model_card.md; see `model_card` for what may be known."""
    path, text = Path(folder) / CARD, model_card
    if manifest.get("task") == "translate":
        from tflite.report.translation_card import translation_card as text
    with atomic_write(path) as temporary:
        temporary.write_text(text(manifest, **known), encoding="utf-8")
    return path


def model_card(
    manifest: Mapping[str, Any],
    *,
    scenario: Scenario | None = None,
    dataset: Mapping[str, Any] | None = None,
    record: Mapping[str, Any] | None = None,
    models: Sequence[Mapping[str, Any]] = (),
) -> str:
    """The card of an artefact as Markdown.

    Args:
        manifest: content of artifact.json.
        scenario, dataset: what it was made by and of (dataset.json); None: a model of the user's own.
        record, models: its record in validation.json, and all of them; None: not validated yet.
    """
    use = use_lists(scenario)
    sections = [
        ("Intended use", bullets(use["intended use"])),
        ("Must not be used for", bullets(use["not for"])),
        ("Limits", bullets(use["limits"])),
        ("Data", _data(scenario, dataset)),
        ("Protocol", _protocol(scenario, manifest)),
        ("Quality", _quality(record or {}, models)),
        ("Inputs, outputs, states", _ends(manifest)),
        ("Form and bytes", _form(manifest, record or {})),
        ("How it was made", _origin(manifest, scenario, dataset)),
    ]
    return card(manifest, _summary(manifest, scenario), sections)


def use_lists(scenario: Scenario | None) -> dict[str, tuple[str, ...]]:
    """Sentences by heading: the scenario's own, and those that follow from its task."""
    if scenario is None:
        return dict.fromkeys(("intended use", "not for", "limits"), (UNSTATED,))
    text = scenario.card or CardText()
    return {
        "intended use": text.intended_use or (_intended(scenario),),
        "not for": (*text.not_for, *_misuse(scenario)),
        "limits": (*text.limits, *_limits(scenario)),
    }


def _summary(manifest: Mapping[str, Any], scenario: Scenario | None) -> str:
    kind = "A recurrent network that takes one reading per call and carries its state"
    if scenario is None:
        return f"{kind}, as TensorFlow Lite."
    task = {"forecast": "forecasts", "anomaly": "anomaly score"}[scenario.task]
    cell = manifest.get("cell")
    return f"{kind}: {task} of {', '.join(scenario.forecast.targets)}{f' by a {cell} layer' if cell else ''}."


def _intended(scenario: Scenario) -> str:
    step, targets = span_text(scenario.data.step_seconds), ", ".join(scenario.forecast.targets)
    if scenario.task == "forecast":
        ahead = span_text(scenario.forecast.last_lead * scenario.data.step_seconds)
        return f"Forecasts of {targets} up to {ahead} ahead, one reading every {step}, from the source the data is of."
    return f"To point a person at unusual readings of {targets}, one reading every {step}; 1.0 is the alarm."


def _misuse(scenario: Scenario) -> tuple[str, ...]:
    step = span_text(scenario.data.step_seconds)
    judged = "forecast" if scenario.task == "forecast" else "missed or a false alarm"
    return (
        f"Readings in other units, of other columns, or on another grid than one every {step}.",
        f"Decisions where a wrong {judged} can hurt someone, without a safeguard that does not depend on it."
        if scenario.task == "forecast"
        else f"The only protection of people or machines: a {judged} must not hurt anyone.",
    )


def _limits(scenario: Scenario) -> tuple[str, ...]:
    limits = {
        "time": "Measured on the time after its training data; a source that changes is not what was measured.",
        "rows": "Measured on later rows of the streams it was trained on, not on machines it never saw.",
        "stream": "Measured on streams that training never saw, of the same source.",
    }
    known = [column.name for column in scenario.inputs if column.role == "known" and column.calendar is None]
    ahead = f"{', '.join(known)} must be known in advance; in the test they are the recorded values." if known else ""
    beyond = "Not tested on purpose with readings beyond the ranges seen in training, see Data."
    return (limits[scenario.split.by], *([ahead] if ahead else []), beyond)


def _data(scenario: Scenario | None, dataset: Mapping[str, Any] | None) -> str:
    if scenario is None:
        return "Not known to the conversion."
    told = provenance(scenario, dataset)
    known = [fact for fact in told["facts"] if fact[0] != "split"]
    if scenario.data.set is None:
        known.append(("licence", scenario.card.data_licence if scenario.card else None))
    known += [fact for fact in told["counts"] if fact[1] not in ABSENT]
    return "\n\n".join(part for part in (facts(known), table(COLUMNS, told["columns"])) if part)


def _protocol(scenario: Scenario | None, manifest: Mapping[str, Any]) -> str:
    if scenario is None:
        return ""
    known = [fact for fact in provenance(scenario, None)["facts"] if fact[0] == "split"]
    windows = scenario.windows
    known.append(("windows", f"{windows.length} steps every {windows.stride}, no loss in the first {windows.warmup}"))
    if scenario.model.disruptions:
        share = f"{scenario.model.disruptions:.0%} of the training windows, others in each epoch"
        known.append(("disruptions", f"the targets a factor off for a while in {share}"))
    known.append(("chosen by", "the validation part; the test part only measures"))
    parts = (facts(known), cell_note(manifest), table(CELLS, cell_rows(manifest)))
    return "\n\n".join(filter(None, parts))


def _quality(record: Mapping[str, Any], models: Sequence[Mapping[str, Any]]) -> str:
    metric = record.get("metric") or {}
    if not metric:
        return "Not measured yet."
    ours = form_name(record)
    rows = [row for row in quality_rows(record, ours, models) if row["value"] not in ABSENT]
    parts = [
        f"{str(metric.get('name') or 'metric').upper()} of the test part, streamed step by step.",
        table(QUALITY, rows),
        quality_note(record, rows),
        table(EVENTS, event_rows(record, ours)),
    ]
    return "\n\n".join(part for part in parts if part)


def _ends(manifest: Mapping[str, Any]) -> str:
    columns = (("", "end"), *((key, key) for key in ("name", "shape", "type", "unit", "holds")))
    rows = [
        {
            "end": end.removesuffix("s"),
            "name": one["name"],
            "shape": " x ".join(map(str, one["shape"])),
            "type": one["dtype"],
            "unit": one.get("unit", ""),
            "holds": ", ".join(f"{column['name']} ({column['unit']})" for column in one.get("columns", ())),
        }
        for end in ("inputs", "outputs", "states")
        for one in manifest.get(end, ())
    ]
    return table(columns, rows)


def _form(manifest: Mapping[str, Any], record: Mapping[str, Any]) -> str:
    arena = (record.get("memory") or {}).get("arena_bytes")
    known = [(key.replace("_", " "), manifest.get(key)) for key in ("activations", "state_dtype", "weights", "state")]
    known += [("file", None if manifest.get("bytes") is None else figure_text(manifest["bytes"], "B"))]
    known += [("arena of TFLite Micro on a 64-bit host", None if arena is None else figure_text(arena, "B"))]
    return facts(known)


def _origin(
    manifest: Mapping[str, Any], scenario: Scenario | None, dataset: Mapping[str, Any] | None
) -> str:
    known = [("file", manifest.get("tflite")), ("sha256", manifest.get("sha256"))]
    if scenario is not None:
        known += [("scenario", scenario.path.name), ("seed", scenario.seed)]
    files = provenance(scenario, dataset)["files"] if scenario is not None else []
    known += [(f"data, {name}", digest) for name, digest in files]
    known += sorted((manifest.get("versions") or {}).items())
    return facts(known)
