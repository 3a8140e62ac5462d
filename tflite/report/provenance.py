"""Where the data came from and what became of its rows."""

from pipeline.data_sets import DATA_SETS
from tflite.figure_text import figure_text
from tflite.report.calendar_text import date_text, span_text


def provenance(scenario, dataset):
    """What the report says about the data.

    Args:
        scenario: the Scenario.
        dataset: the parsed dataset.json, or None.

    Returns:
        dict: facts (list of (name, text)), counts (list of (name, text)), columns (list of dicts of text),
        files (list of (file, sha256)).
    """
    dataset = dataset or {}
    source = dataset.get("source") or {}
    return {
        "facts": _facts(scenario, source, dataset),
        "counts": _counts(dataset.get("counts") or {}),
        "columns": [_column_row(column, dataset.get("statistics") or {}) for column in dataset.get("columns") or []],
        "files": sorted((source.get("sha256") or {}).items()),
    }


def _facts(scenario, source, dataset):
    name = source.get("set") or scenario.data.set
    facts = [("data set", name or f"your own files, {scenario.data.path}")]
    if name in DATA_SETS:
        known = DATA_SETS[name]
        facts += [("from", known.source.address), ("licence", known.licence), ("please cite", known.citation)]
    facts += [("grid", f"one row every {span_text(scenario.data.step_seconds)}")]
    if dataset.get("streams"):
        facts.append(("streams", f"{len(dataset['streams']):,}"))
    if scenario.inject is not None:
        facts.append(("semi-synthetic", _injection_text(scenario.inject)))
    return facts + [("split", _split_text(scenario.split))]


def _injection_text(inject):
    return (
        f"faults of the sensor of {inject.column} are written into the recorded test part: stuck, off by"
        f" {inject.offset:g}, drifting by {inject.drift:g} a minute; nothing that was recorded is broken"
    )


def _split_text(split):
    if split.by == "rows":
        return (
            f"by rows: the first {split.train:,} of each stream train, the last {split.validation:,} of "
            "those validate, the rest is the test"
        )
    if split.by == "stream":
        return (
            f"by stream: {figure_text(split.validation, '%')} of the streams validate, {figure_text(split.test, '%')} "
            "are the test, the rest train; drawn by a salted hash of their names"
        )
    validation, test = (_epoch_date(seconds) for seconds in (split.validation, split.test))
    return f"by time: training before {validation}, validation from there, test from {test}"


def _epoch_date(seconds):
    import numpy as np

    return date_text(np.datetime64(int(seconds), "s"))


def _counts(counts):
    windows = counts.get("windows") or {}
    return [
        ("rows in", _count(counts.get("rows_in"))),
        ("rows kept", _count(counts.get("rows_kept"))),
        ("rows rejected", _share(counts.get("rows_rejected"), counts.get("rows_in"))),
        ("grid bins", _count(counts.get("bins"))),
        ("bins without a row", _share(counts.get("missing_bins"), counts.get("bins"))),
        ("training windows", _count(windows.get("train"))),
        ("validation windows", _count(windows.get("validation"))),
    ]


def _count(number):
    return "not measured" if number is None else f"{number:,}"


def _share(number, whole):
    if number is None or not whole:
        return _count(number)
    return f"{number:,} ({100 * number / whole:.2f} %)"


def _column_row(column, statistics):
    known = statistics.get(column.get("name")) or {}
    role = f"calendar, {column['calendar']}" if column.get("calendar") else column.get("role", "input")
    if column.get("ahead_seconds"):
        way = "ahead" if column["ahead_seconds"] > 0 else "before"
        role += f", {span_text(abs(column['ahead_seconds']))} {way}"
    row = {"name": column.get("name", "-"), "unit": column.get("unit") or "", "role": role}
    for key in ("mean", "std", "min", "max"):
        row[key] = "" if known.get(key) is None else f"{known[key]:,.4g}"
    row["missing"] = "" if known.get("missing_share") is None else figure_text(known["missing_share"], "%")
    return row
