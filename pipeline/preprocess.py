"""The Beam job: the rows of a scenario -> build/<scenario>/dataset/."""

import time
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

from rich.console import Console

from pipeline.atomic_write import write_json
from pipeline.beam_job import run_job, use_file_systems
from pipeline.data_files import DataFile, find_files
from pipeline.data_sets import DATA_SETS
from pipeline.dataset_manifest import dataset_manifest
from pipeline.dealt_rows import DEALT, DealRows
from pipeline.exact_quantiles import ExactQuantiles
from pipeline.facts import FACTS, Facts, WriteFacts, count
from pipeline.place import join
from pipeline.quiet_beam import beam
from pipeline.read_rows import ReadRows
from pipeline.result_folder import FACTS_FILE, begin_results, remove_stale
from pipeline.scenario import Scenario
from pipeline.stored_files import remove_folder
from pipeline.stream_segments import StreamSegments
from pipeline.unit_datasets import UnitDatasets
from pipeline.work_units import WorkUnits
from pipeline.write_shards import WriteRejected

SHOWN_OVERLAPS = 5
SHARD_FOLDERS = ("windows", "streams", "rejected")


def preprocess(
    scenario: Scenario,
    build_dir: str | Path,
    data_dir: str | Path | None = None,
    runner: str = "FnApiRunner",
    runner_options: Sequence[str] = (),
    console: Console | None = None,
) -> str:
    """Writes the dataset of a scenario; the same rows give the same bytes.

    Args:
        build_dir: gets `<scenario>/dataset/`, and `data/<set>/` for fetched files; a folder that all workers see, here
            or on a file system of Beam (gs://, s3://, hdfs://).
        data_dir: a folder with local copies of registered sets; default: EDGERNN_DATA.
        runner: a Beam runner's name, or the dotted path of its class.
        runner_options: Beam's own command-line options, passed on as they are.
        console: where the summary goes; default: standard output.

    Returns:
        The place of dataset.json. It is the last file written: while it is absent there is no dataset.

    Raises:
        UserError: the data, the scenario, the runner or the folder cannot be used.
    """
    console = console or Console(soft_wrap=True)
    began = time.monotonic()
    use_file_systems(runner_options)
    folder = join(build_dir, scenario.name, "dataset")
    files = find_files(scenario, join(build_dir, "data"), data_dir)
    begin_results(folder, "dataset.json")
    _print_source(console, scenario, files)
    with console.status(f"{scenario.name}: preprocessing on {runner}") if console.is_terminal else nullcontext():
        try:
            run_job(lambda pipeline: build_pipeline(pipeline, scenario, files, folder), runner, runner_options)
        finally:
            remove_folder(join(folder, DEALT))
    facts = Facts.read(join(folder, FACTS_FILE))
    manifest = dataset_manifest(scenario, facts, folder)
    remove_stale(folder, SHARD_FOLDERS, manifest["files"])
    place = join(folder, "dataset.json")
    write_json(place, manifest)
    _print_summary(console, manifest, place, time.monotonic() - began)
    return place


def build_pipeline(pipeline: beam.Pipeline, scenario: Scenario, files: Sequence[DataFile], folder: str) -> None:
    """Wires the stages; all results are files below `folder`."""
    units = WorkUnits.of(scenario, files)
    read = pipeline | "Files" >> beam.Create(files) | "Read" >> ReadRows(scenario)
    segments = read.rows | "Segments" >> StreamSegments(scenario)
    dealt = read.rows | "Deal" >> DealRows(units, folder)
    unit = (dealt, segments) | "Units" >> UnitDatasets(scenario, units, folder)
    quantiles = (unit.shards, unit.counts) | "Quantiles" >> ExactQuantiles(folder)
    rejected = (
        (read.rejected, unit.rejected) | "Rejected" >> beam.Flatten() | WriteRejected(folder, units.total)
    )
    number = segments | "CountSegments" >> beam.Map(lambda keyed: count("segments", len(keyed[1])))
    (
        (read[FACTS], unit[FACTS], quantiles, rejected, number)
        | "Facts" >> beam.Flatten()
        | "WriteFacts" >> WriteFacts(join(folder, FACTS_FILE))
    )


def _print_source(console: Console, scenario: Scenario, files: list[DataFile]) -> None:
    data_set = DATA_SETS.get(scenario.data.set)
    source = f"the set {data_set.name}, licence {data_set.licence}" if data_set else scenario.data.path
    _print(console, scenario.name, f"data: {len(files)} file{'s' * (len(files) > 1)} of {source}")


def _print(console: Console, name: str, line: str) -> None:
    console.print(f"{name}: {line}", highlight=False, markup=False)


def _print_summary(console: Console, manifest: dict, place: str, seconds: float) -> None:
    counts = manifest["counts"]
    windows = manifest["windows"]
    late = counts["rows_out_of_order"]
    rows_in, kept, merged, rejected = (
        counts[name] for name in ("rows_in", "rows_kept", "rows_merged", "rows_rejected")
    )
    for line in (
        f"rows: {rows_in:,} in = {kept:,} kept + {rejected:,} rejected"
        + (f" + {merged:,} merged with the same row" if merged else "")
        + (f"; {late:,} out of order, sorted" if late else ""),
        *(
            f"{' and '.join(one['files'])} overlap in {one['rows']:,} rows of the stream {one['stream']}"
            for one in manifest["overlaps"][:SHOWN_OVERLAPS]
        ),
        f"grid: {counts['bins']:,} bins of {manifest['step_seconds']:g} s, {counts['missing_bins']:,} without"
        f" a row; streams: {len(manifest['streams'])}"
        + (f" in {counts['segments']:,} segments" if counts["segments"] > len(manifest["streams"]) else ""),
        f"windows: {counts['windows']['train']:,} train, {counts['windows']['validation']:,} validation, of"
        f" {windows['length']} + {windows['last_lead']} steps",
        f"{place} ({seconds:.1f} s)",
    ):
        _print(console, manifest["scenario"], line)
