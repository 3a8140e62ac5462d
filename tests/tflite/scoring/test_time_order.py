"""The merge of a stream's pieces: by time, in the same blocks however the rows came, never all of them at once."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.user_error import UserError
from tflite.scoring import time_order
from tflite.scoring.deal_history import deal_file
from tflite.scoring.history import History
from tflite.scoring.segment_numbers import SegmentNumbers
from tflite.scoring.time_order import blocks_in_time_order


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(time_order, "BLOCK_ROWS", 16)
    monkeypatch.setattr(time_order, "AT_ONCE", 3)


def dealt(folder, files):
    """Pieces of one stream, from a file for each list of seconds."""
    pieces = []
    for number, seconds in enumerate(files):
        path = folder / f"{number}.parquet"
        times = pa.array(np.array(seconds, np.int64) * 1000).cast(pa.timestamp("ms"))
        pq.write_table(pa.table({"time": times, "a": pa.array(np.array(seconds, np.float32))}), path)
        history = History((str(path),), "time", None, ("a",))
        pieces += [piece for _, piece in deal_file(str(path), history, str(folder))]
    return pieces


def cuts(seed):
    """100 seconds dealt to 4 files in one of many ways: at random, or one after the other, in any order inside."""
    random = np.random.default_rng(seed)
    seconds = random.permutation(100)
    owner = random.integers(0, 4, 100) if seed % 2 else seconds // 25
    return [seconds[owner == file].tolist() for file in range(4) if (owner == file).any()]


@pytest.mark.parametrize("seed", range(12))
def test_by_time_in_equal_blocks(tmp_path, seed):
    blocks = list(blocks_in_time_order("", dealt(tmp_path, cuts(seed)), str(tmp_path)))
    assert [len(block) for block in blocks] == [16] * 6 + [4]
    assert np.array_equal(np.concatenate([block["time"].to_numpy() for block in blocks]), np.arange(100) * 1000)
    assert np.array_equal(np.concatenate([block["0"].to_numpy() for block in blocks]), np.arange(100))


@pytest.mark.parametrize(("seed", "most"), [(0, 1), (1, 4)])
def test_only_pieces_that_overlap_are_open(tmp_path, seed, most, monkeypatch):
    pieces, sizes = dealt(tmp_path, cuts(seed)), []
    whole = time_order._by_time
    monkeypatch.setattr(time_order, "_by_time", lambda parts: sizes.append(list(map(len, parts))) or whole(parts))
    list(blocks_in_time_order("", pieces, str(tmp_path)))
    assert max(map(len, sizes)) == most
    assert max(map(sum, sizes)) <= 3 * most + most  # so many rows of each are merged at once


def test_two_rows_of_a_time_in_two_files(tmp_path):
    with pytest.raises(UserError, match='stream "pump": two rows at 1970-01-01T00:00:15'):
        list(blocks_in_time_order("pump", dealt(tmp_path, [range(16), range(15, 40)]), str(tmp_path)))


def test_two_rows_of_a_time_either_side_of_a_block(tmp_path):
    with pytest.raises(UserError, match="two rows at 1970-01-01T00:00:15"):
        list(blocks_in_time_order("", dealt(tmp_path, [range(16), [15]]), str(tmp_path)))


@pytest.mark.parametrize("border", range(1, 7))
def test_segments_do_not_feel_the_blocks(border):
    times, marks = np.array([0, 1, 2, 9, 10, 11, 12]), np.array([0, 0, 0, 0, 0, 1, 1])
    numbers, begins = SegmentNumbers(5).of(times, marks)
    assert (numbers.tolist(), begins.tolist()) == ([0, 0, 0, 1, 1, 2, 2], [1, 0, 0, 1, 0, 1, 0])
    pieces = SegmentNumbers(5)
    halves = [pieces.of(times[part], marks[part]) for part in (slice(0, border), slice(border, None))]
    for whole, cut in zip((numbers, begins), zip(*halves, strict=True), strict=True):
        assert np.array_equal(whole, np.concatenate(cut))
