"""Whatever comes in, every row ends as kept, merged or rejected, or the job says in one line why it stops."""

import contextlib
import gzip
import io
import json
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.__main__ import main
from tests.pipeline.conftest import HEADER, SCENARIO, csv_text, one_row

SETTINGS = settings(max_examples=15, deadline=None, derandomize=True)

times = st.one_of(
    st.integers(0, 59).map(lambda second: one_row(second)[0]),
    st.sampled_from(["", "soon", "2024-05-01 10:00:05", "1970-01-01", "9999-12-31 23:59:59", "-5", "1e400"]),
)
numbers = st.one_of(
    st.floats(-60, 60).map(str),
    st.sampled_from(["", "NA", "inf", "-inf", "nan", "1e39", "fast", "0x1", "1,5", '"', " 7 ", "\ufeff", "٣"]),
)
labels = st.sampled_from(["0", "1", "", "x"])
rows = st.lists(st.tuples(times, numbers, numbers, labels, st.text(max_size=3)), max_size=30)
shapes = st.sampled_from(["as it is", "row short", "row long", "comma after each row", "no last newline"])


def preprocess(files: dict[str, bytes], same_time: str = "reject") -> tuple[int, str, dict | None, list]:
    """(exit status, standard error, dataset.json, rejected rows) of a job over these files."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "rows").mkdir()
        for name, content in files.items():
            (folder / "rows" / name).write_bytes(content)
        text = SCENARIO.replace("max_rejected = 0.5", f'max_rejected = 1.0\nsame_time = "{same_time}"')
        (folder / "pump.toml").write_text(text.replace('stream = "file"\n', ""))
        errors = io.StringIO()
        with contextlib.redirect_stderr(errors), contextlib.redirect_stdout(io.StringIO()):
            status = main([str(folder / "pump.toml"), "--build", str(folder / "build")])
        dataset = folder / "build" / "pump" / "dataset"
        assert not list(dataset.rglob("*.tmp")) and not (dataset / ".dealt").exists()
        if status:
            assert not (dataset / "dataset.json").exists()
            return status, errors.getvalue(), None, []
        manifest = json.loads((dataset / "dataset.json").read_text())
        return status, errors.getvalue(), manifest, pq.read_table(dataset / "rejected").to_pylist()


def check_balance(files: dict[str, bytes], lines: dict[str, int], same_time: str = "reject") -> None:
    """`lines`: how many rows each file has."""
    status, errors, manifest, rejected = preprocess(files, same_time)
    if status:
        assert status == 2 and errors.startswith("edgernn: ") and errors.count("\n") == 1, errors
        return
    counts = manifest["counts"]
    assert counts["rows_in"] == sum(lines.values())
    assert counts["rows_in"] == counts["rows_kept"] + counts["rows_merged"] + counts["rows_rejected"]
    assert counts["rows_rejected"] == len(rejected)
    places = [(row["file"], row["row"]) for row in rejected]
    assert places == sorted(set(places))
    assert all(1 <= row <= lines[file] for file, row in places)


def quoted(cell: str) -> str:
    return '"' + cell.replace('"', '""') + '"'


def good_rows() -> list[list[str]]:
    return [one_row(second) for second in range(60)]


@SETTINGS
@given(rows, st.lists(st.integers(0, 59), max_size=9), shapes, st.sampled_from(["reject", "keep"]))
def test_random_rows_in_two_files_balance(bad, again, shape, same_time):
    good = [[quoted(cell) for cell in row] for row in good_rows()]
    other = [[quoted(cell) for cell in row] for row in bad] + [good[second] for second in again]
    if other and shape in ("row short", "row long"):
        other[0] = other[0][:-1] if shape == "row short" else [*other[0], "more"]
    if shape == "comma after each row":
        other = [[*row, ""] for row in other]
    text = csv_text(other) if shape != "no last newline" else csv_text(other).rstrip("\n")
    files = {"a.csv": csv_text(good).encode(), "b.csv": text.encode()}
    check_balance(files, {"a.csv": 60, "b.csv": len(other)}, same_time)


@SETTINGS
@given(
    kind=st.sampled_from(["csv", "csv.gz", "parquet", "jsonl"]),
    cut=st.none() | st.floats(0, 1),
    flips=st.lists(st.tuples(st.floats(0, 0.999), st.integers(1, 255)), max_size=3),
)
def test_damaged_files_balance_or_are_named(kind, cut, flips):
    content = bytearray(packed(kind))
    for place, mask in flips:
        content[int(place * len(content))] ^= mask
    if cut is not None:
        content = content[: int(cut * len(content))]
    files = {"a.csv": csv_text(good_rows()).encode(), f"b.{kind}": bytes(content)}
    status, errors, manifest, rejected = preprocess(files)
    if status:
        assert status == 2 and errors.startswith("edgernn: ") and errors.count("\n") == 1, errors
        return
    counts = manifest["counts"]
    assert counts["rows_in"] == counts["rows_kept"] + counts["rows_merged"] + counts["rows_rejected"]
    assert counts["rows_rejected"] == len(rejected)


def packed(kind: str) -> bytes:
    """The good rows as a file of this kind."""
    text = csv_text(good_rows()).encode()
    if kind == "parquet":
        sink = io.BytesIO()
        pq.write_table(pa.csv.read_csv(io.BytesIO(text)), sink)
        return sink.getvalue()
    if kind == "jsonl":
        return "\n".join(json.dumps(dict(zip(HEADER.split(","), row, strict=True))) for row in good_rows()).encode()
    return gzip.compress(text, mtime=0) if kind == "csv.gz" else text
