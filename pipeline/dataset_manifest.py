"""dataset.json: made from the facts of a run, or refused with the reason why these data cannot be used."""

from collections import Counter, defaultdict
from dataclasses import asdict
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.facts import Facts
from pipeline.feature_stats import Moments, merge_moments
from pipeline.open_file import open_parquet
from pipeline.place import join
from pipeline.scenario import Scenario
from pipeline.user_error import UserError
from pipeline.window_rows import WINDOW_SHARDS

FORMAT = 1


def dataset_manifest(scenario: Scenario, facts: Facts, folder: str) -> dict[str, Any]:
    """The content of dataset.json.

    Raises:
        UserError: the first reason, in the order of the stages, why the dataset cannot be used.
    """
    _refuse(facts.problems("write"))
    _refuse(facts.problems("read"))
    _check_rejected(scenario, facts, folder)
    _check_windows(scenario, facts)
    moments = _training_moments(scenario, facts)
    _check_columns(scenario, moments)
    manifest = {
        "format": FORMAT,
        "scenario": scenario.name,
        "columns": [
            {
                "name": column.name,
                "unit": column.unit,
                "role": column.role,
                "calendar": column.calendar,
                "cycles": list(column.cycles),
                **({"ahead_seconds": column.ahead_seconds} if column.ahead_seconds else {}),
            }
            for column in scenario.inputs + scenario.labels
        ],
        "step_seconds": scenario.data.step_seconds,
        "windows": asdict(scenario.windows) | {"last_lead": scenario.forecast.reach},
        "split": {key: value for key, value in asdict(scenario.split).items() if value is not None},
        "counts": dataset_counts(facts),
        "statistics": _statistics(moments, facts),
        "source": {"set": scenario.data.set, "sha256": facts.of("sha256")},
        "files": facts.of("file"),
        "streams": list(stream_bins(facts)),
        "overlaps": _overlaps(facts),
    }
    if scenario.normalize.by == "stream":
        manifest["stream_statistics"] = {
            stream: {name: Moments(*one).as_dict() for name, one in columns.items()}
            for stream, columns in facts.of("stream_moments").items()
        }
    return manifest


def dataset_counts(facts: Facts) -> dict[str, Any]:
    """Rows, bins and windows; every row that came in is accounted for."""
    rows_in, kept, merged, rejected = (
        facts.total(name) for name in ("rows_in", "rows_kept", "rows_merged", "rows_rejected")
    )
    if rows_in != kept + merged + rejected:
        raise RuntimeError(f"{rows_in} rows in, but {kept} kept, {merged} merged, {rejected} rejected: rows were lost")
    bins = stream_bins(facts).values()
    return {
        "rows_in": rows_in,
        "rows_kept": kept,
        "rows_merged": merged,
        "rows_rejected": rejected,
        "rows_out_of_order": facts.total("rows_out_of_order"),
        "bins": sum(one["bins"] for one in bins),
        "missing_bins": sum(one["missing"] for one in bins),
        "segments": facts.total("segments"),
        "windows": {part: facts.total(f"windows {part}") for part in WINDOW_SHARDS},
    }


def _overlaps(facts: Facts) -> list[dict[str, Any]]:
    """The files that have rows of one stream for the same times."""
    rows = Counter()
    for stream, (first, other, number) in facts.all("overlap"):
        rows[(stream, first, other)] += number
    return [{"stream": key[0], "files": list(key[1:]), "rows": number} for key, number in sorted(rows.items())]


def stream_bins(facts: Facts) -> dict[str, Counter[str]]:
    """For each stream the bins of each part, all its bins, and those that no row fell into."""
    total = defaultdict(Counter)
    for stream, bins in sorted(facts.all("bins"), key=lambda fact: fact[0]):
        total[stream].update(bins)
    return total


def _refuse(problems: list[str]) -> None:
    if problems:
        more = f" (and {len(problems) - 1} more like it)" if len(problems) > 1 else ""
        raise UserError(problems[0] + more)


def _check_rejected(scenario: Scenario, facts: Facts, folder: str) -> None:
    counts = dataset_counts(facts)
    rejected, rows_in = counts["rows_rejected"], counts["rows_in"]
    if rejected <= scenario.data.max_rejected * rows_in and rejected < rows_in:
        return
    shards = [name for name in facts.of("file") if name.startswith("rejected/")]
    rows = pa.concat_tables(open_parquet(join(folder, name)).read() for name in shards)
    kinds = Counter(zip(rows["column"].to_pylist(), rows["reason"].to_pylist(), strict=True))
    (column, reason), number = kinds.most_common(1)[0]
    alike = rows.filter((pc.field("column") == column) & (pc.field("reason") == reason))
    first = alike.slice(0, 1).to_pylist()[0]
    limit = f"more than data.max_rejected = {scenario.data.max_rejected:g}"
    where = f'column "{column}" ' if column else ""
    raise UserError(
        f"{rejected} of {rows_in} rows rejected, {limit if rejected < rows_in else 'none is left'}; {number}"
        f' because: {where}{reason}, first in {first["file"]} row {first["row"]}: "{first["value"]}"; all are'
        f" listed in {join(folder, 'rejected')}"
    )


def _check_windows(scenario: Scenario, facts: Facts) -> None:
    steps = scenario.windows.length + scenario.forecast.reach
    windows = dataset_counts(facts)["windows"]
    for part, number in windows.items():
        if number == 0:
            longest = max((length for of, length in facts.all("longest") if of == part), default=0)
            raise UserError(
                f"{scenario.path}: no {part} window: one takes {steps} steps (windows.length"
                f" {scenario.windows.length} + last lead {scenario.forecast.reach}), the longest {part}"
                f" part of a segment has {longest}; shorten the windows, raise data.max_gap, move the split or give"
                " more rows"
            )


def _training_moments(scenario: Scenario, facts: Facts) -> dict[str, Moments]:
    return {
        column.name: merge_moments(Moments(*one) for name, one in facts.all("moments") if name == column.name)
        for column in scenario.inputs
    }


def _statistics(moments: dict[str, Moments], facts: Facts) -> dict[str, dict[str, Any]]:
    quantiles = defaultdict(dict)
    for column, found in sorted(facts.all("quantiles"), key=str):
        quantiles[column] |= found
    return {name: one.as_dict() | {"quantiles": quantiles[name]} for name, one in moments.items()}


def _check_columns(scenario: Scenario, moments: dict[str, Moments]) -> None:
    for column in scenario.inputs:
        if moments[column.name].number == 0:
            raise UserError(
                f'{scenario.path}: column "{column.name}" has no reading in the training rows; remove it'
                " from the scenario or move the split"
            )
        if moments[column.name].minimum == moments[column.name].maximum:
            raise UserError(
                f'{scenario.path}: column "{column.name}" is {moments[column.name].mean:g} {column.unit} in'
                " every training row; a constant teaches nothing: remove it from the scenario"
            )
