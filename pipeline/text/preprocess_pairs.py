"""The Beam job of a translation: pairs of sentences -> build/<scenario>/dataset/."""

import time
from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console

from pipeline.atomic_write import write_json
from pipeline.beam_job import run_job, use_file_systems
from pipeline.data_files import DataFile, find_files
from pipeline.facts import FACTS, Facts, WriteFacts, count, problem, tagged
from pipeline.open_file import open_parquet
from pipeline.place import join
from pipeline.quiet_beam import beam
from pipeline.result_folder import FACTS_FILE, begin_results, remove_stale
from pipeline.stored_files import file_names
from pipeline.text.pair_shards import bucket, write_shard
from pipeline.text.read_pairs import Pair, PairFiles, ReadPairs, rejected_row, unique_pairs
from pipeline.text.split_pairs import PARTS, TEST, TRAIN, part_of
from pipeline.text.text_scenario import FileSplit, TextScenario
from pipeline.text.train_subwords import train_subwords
from pipeline.text.unigram import UNKNOWN, UnigramTokenizer
from pipeline.user_error import UserError
from pipeline.write_shards import WriteRejected

FORMAT = 1
SHOWN_NAMES = 300


def preprocess_pairs(
    scenario: TextScenario,
    build_dir: str | Path,
    data_dir: str | Path | None = None,
    runner: str = "FnApiRunner",
    runner_options: Sequence[str] = (),
    console: Console | None = None,
) -> str:
    """Writes the dataset of a translation; arguments and result as of `pipeline.preprocess.preprocess`.

    Raises:
        UserError: the data, the scenario, the runner or the folder cannot be used.
    """
    console = console or Console(soft_wrap=True)
    began = time.monotonic()
    use_file_systems(runner_options)
    folder = join(build_dir, scenario.name, "dataset")
    units = _units(scenario, find_files(scenario, join(build_dir, "data"), data_dir))
    begin_results(folder, "dataset.json")
    with console.status(f"{scenario.name}: preprocessing on {runner}") if console.is_terminal else nullcontext():
        run_job(lambda pipeline: build_pipeline(pipeline, scenario, units, folder), runner, runner_options)
    manifest = pairs_manifest(scenario, Facts.read(join(folder, FACTS_FILE)), folder)
    remove_stale(folder, (*PARTS, "rejected"), manifest["files"])
    place = join(folder, "dataset.json")
    write_json(place, manifest)
    for line in _summary(manifest, place, time.monotonic() - began):
        console.print(f"{scenario.name}: {line}", highlight=False, markup=False)
    return place


def build_pipeline(pipeline: beam.Pipeline, scenario: TextScenario, units: list[PairFiles], folder: str) -> None:
    """Wires the stages; all results are files below `folder`."""
    read = pipeline | "Files" >> beam.Create(units) | "Read" >> ReadPairs()
    unique = (
        read.rows
        | "ByPair" >> beam.Map(lambda pair: ((pair.part or "", pair.source, pair.target), pair))
        | "Same" >> beam.GroupByKey()
        | "Unique" >> beam.FlatMap(unique_pairs).with_outputs(FACTS, main="rows")
    )
    parted = unique.rows | "Part" >> beam.Map(lambda pair, split: (part_of(pair, split), pair), split=scenario.split)
    subwords = (
        parted
        | "Training" >> beam.Filter(lambda keyed: keyed[0] == TRAIN)
        | "Together" >> beam.Map(lambda keyed: (None, keyed[1]))
        | "Gather" >> beam.GroupByKey()
        | "Subwords" >> beam.FlatMap(_learned, scenario=scenario).with_outputs(FACTS, main="tokenizer")
    )
    cut = parted | "Cut" >> beam.FlatMap(
        _cut, tokenizers=beam.pvalue.AsList(subwords.tokenizer), longest=scenario.subwords.longest
    ).with_outputs("rejected", FACTS, main="pairs")
    shards = cut.pairs | "Buckets" >> beam.GroupByKey() | "Shards" >> beam.FlatMap(write_shard, folder=folder)
    rejected = (read.rejected, cut.rejected) | "Rejected" >> beam.Flatten() | WriteRejected(folder, 1)
    (
        (read[FACTS], unique[FACTS], subwords[FACTS], cut[FACTS], shards, rejected)
        | "Facts" >> beam.Flatten()
        | "WriteFacts" >> WriteFacts(join(folder, FACTS_FILE))
    )


def _units(scenario: TextScenario, files: list[DataFile]) -> list[PairFiles]:
    """What is read together."""
    if not isinstance(scenario.split, FileSplit):
        return [PairFiles((file,)) for file in files]
    by_name = {file.name: file for file in files}
    units = []
    for part in PARTS:
        names = getattr(scenario.split, part)
        for name in names:
            if name not in by_name:
                raise UserError(
                    f'{scenario.path}: split.{part}: no file "{name}"; there are {", ".join(by_name)[:SHOWN_NAMES]}'
                )
        units.append(PairFiles(tuple(by_name[name] for name in names), part))
    return units


def _learned(grouped: tuple, scenario: TextScenario):
    """The tokenizer of the training pairs, sorted so that it does not depend on how they came."""
    pairs = sorted(grouped[1])
    sentences = [text for pair in pairs for text in (pair.source, pair.target)]
    settings = scenario.subwords
    try:
        tokenizer = train_subwords(sentences, settings.pieces, settings.longest)
    except UserError as error:
        yield tagged(problem("subwords", f"{scenario.path}: {error}"))
        return
    yield tokenizer
    yield tagged(("tokenizer", "tokenizer", tokenizer.record()))


def _cut(keyed: tuple[str, Pair], tokenizers: list[UnigramTokenizer], longest: int):
    """The pair in sub-words, by part and bucket; too long a one is not learned from, but it is tested on."""
    if not tokenizers:  # none could be learned: that is told
        return
    part, pair = keyed
    source, target = (tokenizers[0].encode(text) for text in (pair.source, pair.target))
    if part != TEST and max(len(source), len(target)) > longest:
        column = "source" if len(source) > longest else "target"
        reason = f"more than subwords.longest = {longest} sub-words"
        yield beam.pvalue.TaggedOutput("rejected", rejected_row(pair.file, pair.row, column, pair.source, reason))
        return
    yield (part, bucket(source, target)), (pair, source, target)
    if part == TEST:
        yield tagged(count("test_subwords", len(source)))
        yield tagged(count("test_unknown", source.count(UNKNOWN)))


def pairs_manifest(scenario: TextScenario, facts: Facts, folder: str) -> dict[str, Any]:
    """The content of dataset.json.

    Raises:
        UserError: the first reason why the dataset cannot be used.
    """
    counts = {name: facts.total(name) for name in ("rows_in", "rows_merged", "rows_rejected")}
    counts["pairs"] = {part: facts.total(f"pairs {part}") for part in PARTS}
    for stage in ("write", "read", "subwords"):
        if problems := facts.problems(stage):
            if stage == "subwords":
                _check_rejected(scenario, counts, folder)
            raise UserError(problems[0])
    _check_rejected(scenario, counts, folder)
    counts["rows_kept"] = sum(counts["pairs"].values())
    for part, number in counts["pairs"].items():
        if not number:
            raise UserError(f"{scenario.path}: split: no pair in the part {part}; give more pairs or a larger share")
    if counts["rows_in"] != counts["rows_kept"] + counts["rows_merged"] + counts["rows_rejected"]:
        raise RuntimeError(f"rows were lost: {counts}")
    return {
        "format": FORMAT,
        "scenario": scenario.name,
        "task": scenario.task,
        "split": asdict(scenario.split),
        "counts": counts,
        "unknown_share_of_test": _ratio(facts.total("test_unknown"), facts.total("test_subwords")),
        "source": {"set": scenario.data.set, "sha256": facts.of("sha256")},
        "files": facts.of("file"),
        "tokenizer": facts.of("tokenizer")["tokenizer"],
    }


def _ratio(part: int, whole: int) -> float:
    return part / max(whole, 1)


def _check_rejected(scenario: TextScenario, counts: dict, folder: str) -> None:
    rejected, rows_in = counts["rows_rejected"], counts["rows_in"]
    if not rows_in:
        raise UserError(f"{scenario.path}: data: no line in the files; expected pairs of sentences")
    if rejected <= scenario.data.max_rejected * rows_in and rejected < rows_in:
        return
    names = [name for name in file_names(join(folder, "rejected")) if not name.startswith(".")]
    first = min(_rejected_rows(folder, names), key=lambda row: (row["file"], row["row"]))
    raise UserError(
        f"{rejected} of {rows_in} rows rejected, more than data.max_rejected = {scenario.data.max_rejected:g}; first"
        f' in {first["file"]} row {first["row"]}: {first["reason"]}: "{first["value"]}"; all are listed in'
        f" {join(folder, 'rejected')}"
    )


def _rejected_rows(folder: str, names: Iterable[str]) -> Iterable[dict[str, Any]]:
    return (row for name in names for row in open_parquet(join(folder, "rejected", name)).read().to_pylist())


def _summary(manifest: dict[str, Any], place: str, seconds: float) -> list[str]:
    counts, pairs = manifest["counts"], manifest["counts"]["pairs"]
    return [
        f"rows: {counts['rows_in']:,} in = {counts['rows_kept']:,} kept + {counts['rows_rejected']:,} rejected"
        f" + {counts['rows_merged']:,} equal to another",
        f"pairs: {pairs['train']:,} train, {pairs['validation']:,} validation, {pairs['test']:,} test;"
        f" {len(manifest['tokenizer']['pieces']):,} sub-words, {manifest['unknown_share_of_test']:.2%} of the test's"
        " are unknown",
        f"{place} ({seconds:.1f} s)",
    ]
