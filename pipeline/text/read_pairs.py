"""Files -> pairs of normalized sentences, and the rows set aside with their reason."""

from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa

from pipeline.data_files import DataFile
from pipeline.facts import FACTS, count, problem, tagged
from pipeline.fetch_data import sha256_of
from pipeline.open_file import open_file
from pipeline.quiet_beam import beam
from pipeline.row_schema import REJECTED
from pipeline.text.normalize_text import normalize

SHOWN = 200  # characters of a rejected value


@dataclass(frozen=True)
class PairFiles:
    """One unit of reading: a file of TAB-separated pairs, or two files whose lines belong together, and their part."""

    files: tuple[DataFile, ...]
    part: str | None = None


@dataclass(frozen=True, order=True)
class Pair:
    """Normalized sentences and where they stood. `part`: None where a hash of the source decides."""

    source: str
    target: str
    part: str | None
    file: str
    row: int


class ReadPairs(beam.PTransform):
    """PairFiles -> Pair (main), rejected rows ("rejected"), facts ("facts")."""

    def expand(self, units):
        return units | beam.Reshuffle() | beam.ParDo(_ReadUnit()).with_outputs("rejected", FACTS, main="rows")


class _ReadUnit(beam.DoFn):
    def process(self, unit: PairFiles):
        try:
            contents = [_lines(file) for file in unit.files]
            for file in unit.files:
                yield tagged(("sha256", file.name, sha256_of(file.path)))
        except (OSError, pa.ArrowException) as error:
            yield tagged(problem("read", f"{unit.files[0].name}: cannot be read ({error})"))
            return
        if len({len(lines) for lines in contents}) > 1:
            told = " and ".join(f"{f.name} has {len(c):,}" for f, c in zip(unit.files, contents, strict=True))
            yield tagged(problem("read", f"{told} lines; expected two files whose lines belong together"))
            return
        rows = 0
        for rows, lines in enumerate(zip(*contents, strict=True), start=1):
            yield _judged(unit, rows, lines)
        yield tagged(count("rows_in", rows))


def _lines(file: DataFile) -> list[bytes]:
    with open_file(file.path) as opened:
        lines = opened.read().removeprefix(b"\xef\xbb\xbf").split(b"\n")
    return lines[:-1] if lines[-1] == b"" else lines


def _judged(unit: PairFiles, row: int, lines: tuple[bytes, ...]):
    """A pair, or the row with its reason."""
    name = unit.files[0].name
    try:
        texts = [line.decode() for line in lines]
    except UnicodeDecodeError:
        return _rejected(name, row, "pair", repr(lines[0])[2:-1], "not UTF-8")
    columns = texts[0].split("\t") if len(unit.files) == 1 else texts
    if len(columns) < 2:
        return _rejected(name, row, "pair", texts[0], "no TAB between two sentences")
    source, target = (normalize(column) for column in columns[:2])
    for column, sentence in (("source", source), ("target", target)):
        if not sentence:
            return _rejected(name, row, column, texts[0], "empty sentence")
    return Pair(source, target, unit.part, name, row)


def _rejected(file: str, row: int, column: str, value: str, reason: str) -> beam.pvalue.TaggedOutput:
    return beam.pvalue.TaggedOutput("rejected", rejected_row(file, row, column, value, reason))


def rejected_row(file: str, row: int, column: str, value: str, reason: str) -> pa.RecordBatch:
    """One row set aside, in the columns of every scenario."""
    said = {"file": file, "row": row, "column": column, "value": value[:SHOWN], "reason": reason}
    return pa.RecordBatch.from_pylist([said], schema=REJECTED)


def unique_pairs(grouped: tuple) -> Iterator:
    """Of equal pairs the first; the others are counted as duplicates."""
    _, pairs = grouped
    first, *others = sorted(pairs)
    yield first
    if others:
        yield tagged(count("rows_merged", len(others)))
