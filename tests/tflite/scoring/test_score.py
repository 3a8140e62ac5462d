"""Scores of recorded history: bit for bit what stepping the file says, however the rows come and the work is cut."""

import json
import random
from datetime import datetime

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from state_graphs import delay_graph

import edgernn
from tests.pipeline.bucket_file_system import stored
from tests.pipeline.bucket_file_system import tree as tree_of_address
from tests.pipeline.test_engines import RUNS
from tflite import load
from tflite.flatbuffer import write_flatbuffer
from tflite.scoring import time_order
from tflite.scoring.history import History, find_history
from tflite.scoring.litert_handler import LiteRTHandler, StepModel, run_block
from tflite.scoring.score import score
from tflite.scoring.score_files import KILLED, NAME, score_file_name

FEATURES = tuple("abcdefgh")
GRU_INPUT = (("x", tuple(range(8))),)
STREAMS = {"truck-1": 70, "truck-2": 41, "truck-3": 5, "truck-4": 1}


def readings(stream: str, steps: int) -> np.ndarray:
    return np.random.default_rng(list(stream.encode())).normal(size=(steps, 8)).astype(np.float32)


def rows(segment_of=lambda step: 0, skip=()) -> list[dict]:
    """A row a second of each stream, in order; without the steps in `skip`."""
    return [
        {"time": datetime(2024, 5, 1, 10, step // 60, step % 60), "stream": stream, "segment": segment_of(step)}
        | dict(zip(FEATURES, map(float, x), strict=True))
        for stream, steps in STREAMS.items()
        for step, x in enumerate(readings(stream, steps))
        if step not in skip
    ]


def write(folder, rows, files=1, row_group=None, drop=()):
    """The rows, dealt out to so many files."""
    folder.mkdir(exist_ok=True)
    schema = pa.schema(
        [("time", pa.timestamp("ms")), ("stream", pa.string()), ("segment", pa.int32())]
        + [(name, pa.float32()) for name in FEATURES]
    )
    for number in range(files):
        table = pa.Table.from_pylist(rows[number::files], schema).drop_columns(list(drop))
        pq.write_table(table, folder / f"{number}.parquet", row_group_size=row_group)
    return folder


def scored(model, place, out, stream="stream", max_gap_ms=None, runner_options=(), inputs=GRU_INPUT, **options):
    history = History(find_history(place), "time", stream, FEATURES[: len(inputs[0][1])], max_gap_ms)
    return score(model, inputs, history, out, runner_options=runner_options, **options)


def read(out) -> dict[str, list[dict]]:
    """The rows of every stream, in the order of the files."""
    streams = {}
    for path in sorted((out / "scores").iterdir()):
        for row in pq.read_table(path).to_pylist():
            streams.setdefault(row["stream"], []).append(row)
    return streams


def tree(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def stepped(model, path, x, **options):
    """What `load` says step by step."""
    path.write_bytes(model)
    loaded = load(path, **options)
    loaded.reset()
    return np.stack([loaded.step(one) for one in x])


@pytest.mark.parametrize("options", [{}, {"kernels": "reference"}, {"kernels": "builtin"}], ids=str)
def test_bit_for_bit_what_load_says(gru_model, tmp_path, options):
    """Vehicles interleaved, rows out of order, over several files and row groups."""
    mixed = rows()
    random.Random(1).shuffle(mixed)
    scored(gru_model, write(tmp_path / "rows", mixed, files=3, row_group=7), tmp_path / "out", **options)
    found = read(tmp_path / "out")
    assert sorted(found) == sorted(STREAMS)
    for stream, steps in STREAMS.items():
        expected = stepped(gru_model, tmp_path / "m.tflite", readings(stream, steps), **options)
        said = np.array([row["y"] for row in found[stream]], np.float32)
        assert said.tobytes() == expected.tobytes()
        assert [row["time"].second + 60 * row["time"].minute for row in found[stream]] == list(range(steps))


def test_a_long_stream_is_stepped_block_by_block(gru_model, tmp_path, monkeypatch):
    monkeypatch.setattr(time_order, "BLOCK_ROWS", 16)
    scored(gru_model, write(tmp_path / "rows", rows(lambda step: int(step >= 20)), files=2), tmp_path / "out")
    x = readings("truck-1", 70)
    expected = [stepped(gru_model, tmp_path / "m.tflite", part) for part in (x[:20], x[20:])]
    found = read(tmp_path / "out")["truck-1"]
    assert np.array([row["y"] for row in found], np.float32).tobytes() == np.concatenate(expected).tobytes()
    assert [row["segment"] for row in found] == [0] * 20 + [1] * 50
    (file,) = (path for path in (tmp_path / "out/scores").iterdir() if path.name.startswith("truck-1-"))
    assert pq.ParquetFile(file).num_row_groups == 5


@pytest.mark.parametrize("stream", ["a/b", "../a", ".", "", "Ä" * 300, "A", "a"])
def test_any_name_of_a_stream_is_a_file(stream):
    name = score_file_name(stream)
    assert NAME.fullmatch(name) and KILLED.fullmatch(f".{name}.0f.tmp") and len(name) < 120
    assert len({score_file_name(other).lower() for other in ("a", "A", "a/", "a_")}) == 4


@pytest.mark.parametrize(
    "runner_options",
    [(), ("--direct_num_workers=2", "--direct_running_mode=multi_threading")],
    ids=["one worker", "two threads"],
)
def test_the_same_bytes_however_it_is_cut(gru_model, tmp_path, runner_options):
    ordered, mixed = rows(), rows()
    random.Random(2).shuffle(mixed)
    scored(gru_model, write(tmp_path / "a", ordered), tmp_path / "one")
    place = write(tmp_path / "b", mixed, files=5, row_group=4)
    scored(gru_model, place, tmp_path / "two", runner_options=runner_options)
    assert tree(tmp_path / "one") == tree(tmp_path / "two")
    manifest = json.loads((tmp_path / "one/scores.json").read_text())
    assert (manifest["streams"], manifest["segments"], manifest["steps"]) == (4, 4, 117)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")  # see test_engines
@pytest.mark.parametrize("engine", ["multi_processing", "Prism", "Flink", "Spark"])
def test_the_same_bytes_from_every_engine(gru_model, tmp_path, engine):
    runner, options, needed = RUNS[engine]
    if needed is not None and not needed.exists():
        pytest.skip(f"{needed} is missing: `make engines` brings it")
    mixed = rows(lambda step: int(step >= 20))
    random.Random(3).shuffle(mixed)
    place = write(tmp_path / "rows", mixed, files=3, row_group=9)
    scored(gru_model, place, tmp_path / "one")
    scored(gru_model, place, tmp_path / "two", runner=runner, runner_options=options)
    assert tree(tmp_path / "one") == tree(tmp_path / "two")


def test_history_and_scores_on_a_file_system_of_beam(model_file, tmp_path, bucket):
    place = write(tmp_path / "rows", rows(), files=2)
    for path in place.iterdir():
        stored(f"bucket://fleet/rows/{path.name}").write_bytes(path.read_bytes())
    stored("bucket://fleet/rows/notes.txt").write_bytes(b"no rows")
    stored("bucket://fleet/out/scores.json").write_bytes(b"of another run")
    given = [str(model_file), "--stream", "stream", "--columns", ",".join(FEATURES), "--out"]
    assert edgernn.main(["score", *given, str(tmp_path / "out"), "--history", str(place)]) == 0
    assert edgernn.main(["score", *given, "bucket://fleet/out", "--history", "bucket://fleet/rows"]) == 0
    assert tree_of_address("bucket://fleet/out") == tree(tmp_path / "out")


def test_a_new_segment_begins_from_a_reset(gru_model, tmp_path):
    x = readings("truck-1", 70)
    expected = [stepped(gru_model, tmp_path / "m.tflite", part) for part in (x[:20], x[20:])]
    assert not np.array_equal(stepped(gru_model, tmp_path / "m.tflite", x)[20:], expected[1])
    scored(gru_model, write(tmp_path / "rows", rows(lambda step: int(step >= 20))), tmp_path / "out")
    found = read(tmp_path / "out")["truck-1"]
    assert np.array_equal(np.array([row["y"] for row in found], np.float32), np.concatenate(expected))
    assert [row["segment"] for row in found] == [0] * 20 + [1] * 50


@pytest.mark.parametrize(("max_gap_ms", "segments"), [(None, 1), (6000, 1), (5999, 2)])
def test_a_hole_longer_than_allowed_begins_anew(gru_model, tmp_path, max_gap_ms, segments):
    place = write(tmp_path / "rows", rows(skip=range(10, 15)), drop=["segment"])
    scored(gru_model, place, tmp_path / "out", max_gap_ms=max_gap_ms)
    assert {row["segment"] for row in read(tmp_path / "out")["truck-2"]} == set(range(segments))


def test_outputs_of_several_names_and_missing_readings(tmp_path):
    model = write_flatbuffer(delay_graph())
    table = rows()
    for row in table[10:12]:
        row["b"] = None
    scored(model, write(tmp_path / "rows", table), tmp_path / "out", inputs=(("x", (0, 1, 2)),))
    x = readings("truck-1", 70)[:, :3]
    x[10:12, 1] = np.nan
    (tmp_path / "m.tflite").write_bytes(model)
    loaded = load(tmp_path / "m.tflite")
    for row, one in zip(read(tmp_path / "out")["truck-1"], x, strict=True):
        said = loaded.step(np.ascontiguousarray(one))
        for name in ("sum", "late"):
            assert np.array(row[name], np.float32).tobytes() == said[name].tobytes()


def test_without_a_stream_column_all_rows_are_one(gru_model, tmp_path):
    only = [row for row in rows() if row["stream"] == "truck-1"]
    scored(gru_model, write(tmp_path / "rows", only, drop=["stream"]), tmp_path / "out", stream=None)
    assert len(read(tmp_path / "out")[""]) == 70


def test_each_thread_has_a_runtime_of_its_own(gru_model):
    import concurrent.futures

    shared = StepModel(gru_model, {})
    streams = [readings(f"truck-{number}", 300) for number in range(8)]

    def run(model, x):
        return run_block(model.runtime, x, np.arange(len(x)) == 0, GRU_INPUT)["y"]

    expected = [run(StepModel(gru_model, {}), x) for x in streams]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda x: run(shared, x), streams))
    assert all(np.array_equal(ours, theirs) for ours, theirs in zip(found, expected, strict=True))


def test_the_handler_travels_to_workers(gru_model):
    import pickle

    handler = pickle.loads(pickle.dumps(LiteRTHandler(gru_model, GRU_INPUT, None, "out")))
    assert handler.load_model().runtime.outputs[0].name == "y"


def test_leftovers_of_a_killed_run_go_and_what_is_not_ours_stays(gru_model, tmp_path):
    place, out = write(tmp_path / "rows", rows()), tmp_path / "out"
    (out / "scores").mkdir(parents=True)
    (out / f"scores/.{score_file_name('truck-1')}.1f.tmp").write_text("half")
    (out / "scores" / score_file_name("truck-1")).write_text("of another run")
    (out / "scores" / score_file_name("truck-9")).write_text("of a stream that is no more")
    (out / ".dealt").mkdir()
    (out / ".dealt/0.arrow").write_text("of a killed run")
    (out / "scores/notes.txt").write_text("the user's")
    scored(gru_model, place, out)
    assert (out / "scores/notes.txt").read_text() == "the user's"
    (out / "scores/notes.txt").unlink()
    scored(gru_model, place, tmp_path / "fresh")
    assert tree(out) == tree(tmp_path / "fresh")


def refused(capsys, *arguments):
    capsys.readouterr()
    assert edgernn.main(["score", *map(str, arguments)]) == 2
    error = capsys.readouterr().err
    assert error.startswith("edgernn: ") and error.count("\n") == 1, error
    return error


@pytest.fixture
def model_file(gru_model, tmp_path):
    (tmp_path / "gru.tflite").write_bytes(gru_model)
    return tmp_path / "gru.tflite"


def test_command(model_file, tmp_path, capsys):
    place = write(tmp_path / "rows", rows())
    given = ["--history", place, "--stream", "stream", "--columns", ",".join(FEATURES), "--out", tmp_path / "out"]
    assert edgernn.main(["score", str(model_file), *map(str, given)]) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'out/scores.json'}\n"
    expected = stepped(model_file.read_bytes(), tmp_path / "m.tflite", readings("truck-2", 41))
    assert np.array_equal(np.array([row["y"] for row in read(tmp_path / "out")["truck-2"]], np.float32), expected)


def test_bad_history_is_one_line_and_nothing_half_written(model_file, tmp_path, capsys):
    place, out = write(tmp_path / "rows", rows()), tmp_path / "out"
    given = ["--history", place, "--stream", "stream", "--columns", ",".join(FEATURES), "--out", out]
    assert "no Parquet file" in refused(capsys, model_file, *given[:1], tmp_path / "none", *given[2:])
    assert 'no column ""' in refused(capsys, model_file, *given[:3], "", *given[4:])
    assert 'no column "z"' in refused(capsys, model_file, *given[:5], "a,b,c,d,e,f,g,z", *given[6:])
    assert "reads 8 columns, got 2" in refused(capsys, model_file, *given[:5], "a,b", *given[6:])
    assert "--columns" in refused(capsys, model_file, *given[:4], *given[6:])
    assert "two rows at 2024-05-01T10:00:00" in refused(capsys, model_file, *given[:2], *given[4:])
    assert '"a" holds float, expected timestamps' in refused(capsys, model_file, *given, "--time", "a")
    holes = write(tmp_path / "holes", [row | {"time": None} if row["time"].second == 3 else row for row in rows()])
    assert "holes/0.parquet: 4 rows without a time" in refused(capsys, model_file, *given[:1], holes, *given[2:])
    write(tmp_path / "empty", [])
    assert "no row" in refused(capsys, model_file, *given[:1], tmp_path / "empty", *given[2:])
    (place / "cut.parquet").write_bytes((place / "0.parquet").read_bytes()[:300])
    assert "cut.parquet: not readable" in refused(capsys, model_file, *given)
    damaged = bytearray((place / "0.parquet").read_bytes())
    damaged[40:400] = bytes(360)  # pages; the footer is whole
    (place / "cut.parquet").write_bytes(damaged)
    assert "cut.parquet: not readable" in refused(capsys, model_file, *given)
    assert not (out / ".dealt").exists()
    assert not (out / "scores.json").exists()


def test_a_model_that_cannot_be_used(tmp_path, capsys):
    place = write(tmp_path / "rows", rows())
    (tmp_path / "text.tflite").write_text("time,count\n" * 100)
    assert "text.tflite" in refused(capsys, tmp_path / "text.tflite", "--history", place)
    assert "none.toml" in refused(capsys, tmp_path / "none.toml")


def test_readings_an_integer_model_cannot_take(integer_gru_model, tmp_path, capsys):
    table = rows()
    table[3]["c"] = None
    (tmp_path / "m.tflite").write_bytes(integer_gru_model)
    place, out = write(tmp_path / "rows", table), tmp_path / "out"
    given = ["--history", place, "--stream", "stream", "--columns", ",".join(FEATURES), "--out", out]
    error = refused(capsys, tmp_path / "m.tflite", *given)
    assert 'stream "truck-1"' in error and "NaN" in error
    assert not (out / "scores.json").exists()


def test_a_scenario_that_went_the_whole_road(built_anomaly, tmp_path):
    assert edgernn.main(["score", str(built_anomaly.scenario), "--build", str(built_anomaly.build)]) == 0
    first = tree(built_anomaly.folder / "scores")
    streams = read(built_anomaly.folder)
    trace = pq.read_table(built_anomaly.folder / "trace.parquet")
    for stream, found in streams.items():
        expected = trace.filter(pa.compute.equal(trace["stream"], stream))["score_quantized"].to_pylist()
        assert [row["score"] for row in found] == expected  # what validate said of the same steps
    assert edgernn.main(["score", str(built_anomaly.scenario), "--build", str(built_anomaly.build)]) == 0
    assert tree(built_anomaly.folder / "scores") == first


