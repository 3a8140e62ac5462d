"""Resampling, splitting and windows by hand."""

import numpy as np
import pytest

from pipeline.calendar_columns import calendar_values
from pipeline.resample_rows import grid_between, resample, segment_bins
from pipeline.split_rows import EMBARGO, PARTS, split
from pipeline.stream_segments import max_gap_ms, merge_runs
from pipeline.window_rows import cut_windows

NAN = float("nan")
BY_ROWS = 'by = "rows"\ntrain = 45\nvalidation = 15'


def gridded(scenario, times, speed):
    times = np.array(times, np.int64)
    segments = merge_runs([np.stack([times, times], axis=1)], max_gap_ms(scenario))
    values = {name: np.zeros(len(times)) for name in ("load", "fault")} | {"speed": np.array(speed, np.float64)}
    return resample(times, values, grid_between(segments, scenario.data.step_ms, None, None), scenario), segments


def part_names(scenario, times, stream="s"):
    series, _ = gridded(scenario, times, np.ones(len(times)))
    names = [*PARTS, EMBARGO]
    codes = split(series, stream, scenario).codes.tolist()
    return {bin * 1000: names[code] for bin, code in zip(series.grid.bins.tolist(), codes, strict=True)}


@pytest.mark.parametrize(
    "aggregate, expected",
    [
        ("mean", [2.0, NAN, 5.0, NAN, 7.0]),
        ("sum", [6.0, NAN, 5.0, NAN, 7.0]),
        ("last", [3.0, NAN, 5.0, NAN, 7.0]),
        ("max", [3.0, NAN, 5.0, NAN, 7.0]),
    ],
)
def test_rows_in_bins(job, aggregate, expected):
    scenario = job.scenario(('unit = "m/s"', f'unit = "m/s"\naggregate = "{aggregate}"'))
    times = [10_100, 10_500, 10_900, 12_000, 12_999, 13_000, 14_000]
    series, _ = gridded(scenario, times, [1.0, 2.0, 3.0, 5.0, NAN, NAN, 7.0])
    np.testing.assert_array_equal(series.values["speed"], np.array(expected, np.float32))
    assert series.grid.bins.tolist() == [10, 11, 12, 13, 14]
    assert series.rows.tolist() == [3, 0, 2, 1, 1]


def test_bins_before_1970_begin_before_their_rows(job):
    series, _ = gridded(job.scenario(), [-1500, 500], [1.0, 2.0])
    assert series.grid.bins.tolist() == [-2, -1, 0]


def test_a_long_gap_has_no_bins(job):
    series, segments = gridded(job.scenario(), [0, 10_000, 20_001, 21_000], [1.0] * 4)
    assert segments.tolist() == [[0, 10_000], [20_001, 21_000]]
    assert series.grid.bins.tolist() == [*range(11), 20, 21]
    assert series.grid.segment.tolist() == [0] * 11 + [1] * 2


@pytest.mark.parametrize("seed", range(20))
def test_segments_do_not_depend_on_how_the_rows_come(seed):
    draw = np.random.default_rng(seed)
    times = np.sort(draw.integers(0, 2_000, 100))
    breaks = np.flatnonzero(np.diff(times) > 30)
    expected = np.stack([times[np.append(0, breaks + 1)], times[np.append(breaks, 99)]], axis=1)
    shuffled = [np.sort(part) for part in np.array_split(draw.permutation(times), 7)]
    runs = [merge_runs([np.stack([part, part], axis=1)], 30) for part in shuffled]
    assert merge_runs(runs, 30).tolist() == expected.tolist()
    assert merge_runs([merge_runs(runs[:3], 30), *runs[3:]], 30).tolist() == expected.tolist()


def test_split_by_rows_counts_rows_not_bins(job):
    scenario = job.scenario(("train = 45", "train = 4"), ("validation = 15", "validation = 2"))
    parts = part_names(scenario, [0, 2000, 3000, 3500, 5000, 6000])
    assert [parts[time] for time in (0, 2000, 3000, 5000, 6000)] == ["train", "train", "validation", "test", "test"]


def test_split_by_time_begins_with_the_named_bin(job):
    scenario = job.scenario((BY_ROWS, 'by = "time"\nvalidation = 1970-01-01T00:00:02\ntest = 1970-01-01T00:00:03'))
    parts = part_names(scenario, range(0, 5000, 1000))
    assert list(parts.values()) == ["train", "train", "validation", "test", "test"]


def test_bins_just_before_a_border_are_in_no_part(job):
    times = 'by = "time"\nvalidation = 1970-01-01T00:00:04\ntest = 1970-01-01T00:00:08\nembargo = "2s"'
    parts = part_names(job.scenario((BY_ROWS, times)), range(0, 9000, 1000))
    assert list(parts.values()) == ["train"] * 2 + [EMBARGO] * 2 + ["validation"] * 2 + [EMBARGO] * 2 + ["test"]


def test_split_by_stream_is_whole_stable_and_salted(job):
    def drawn(salt):
        share = f'by = "stream"\nvalidation = 0.2\ntest = 0.3\nsalt = "{salt}"'
        scenario = job.scenario((BY_ROWS, share))
        parts = [set(part_names(scenario, [0, 1000], f"truck {index}").values()) for index in range(500)]
        assert all(len(part) == 1 for part in parts)
        return [part.pop() for part in parts]

    first = drawn("a")
    assert first[:8] == ["test", "test", "test", "test", "test", "train", "test", "train"]
    assert first == drawn("a") != drawn("b")
    assert abs(first.count("test") / 500 - 0.3) < 0.06 and abs(first.count("validation") / 500 - 0.2) < 0.06


@pytest.mark.parametrize("steps, windows", [(9, 0), (10, 1), (12, 1), (13, 2), (30, 7)])
def test_windows_fill_their_part_to_the_last_step(job, steps, windows):
    scenario = job.scenario()
    series, segments = gridded(scenario, range(0, steps * 1000, 1000), [1.0] * steps)
    parts, begins = split(series, "s", scenario), segment_bins(segments, 1000)[:, 0]
    assert len(cut_windows(series, parts, "train", begins, steps, scenario).start) == windows
    assert len(cut_windows(series, parts, "validation", begins, steps, scenario).start) == 0


def test_windows_begin_anew_in_each_segment(job):
    scenario = job.scenario()
    times = [*range(0, 12_000, 1000), *range(40_000, 53_000, 1000)]
    series, segments = gridded(scenario, times, range(25))
    begins = segment_bins(segments, 1000)[:, 0]
    windows = cut_windows(series, split(series, "s", scenario), "train", begins, 100, scenario)
    assert windows.start.tolist() == [0, 40_000, 43_000]
    assert windows.x[1].reshape(10, 2)[:, 0].tolist() == list(range(12, 22))


@pytest.mark.parametrize(
    "calendar, time, value",
    [
        ("hour_of_day", "2024-05-01T10:30", 10.5),
        ("day_of_week", "2024-04-29T00:00", 0.0),  # a Monday
        ("day_of_week", "2024-05-05T12:00", 6.5),
        ("hour_of_week", "2024-05-05T23:00", 167.0),
        ("hour_of_week", "1969-12-29T01:00", 1.0),
        ("day_of_year", "2024-01-01T06:00", 0.25),
        ("day_of_year", "2024-12-31T00:00", 365.0),
        ("us_holiday", "2014-11-27T23:59", 1.0),
        ("us_holiday", "2014-11-28T00:00", 0.0),
    ],
)
def test_calendar(calendar, time, value):
    times = np.array([time], "datetime64[ms]").astype(np.int64)
    assert calendar_values(calendar, times).tolist() == [value]


# Days off of the United States' Office of Personnel Management, and the day itself where another is observed for it.
HOLIDAYS = """2010-12-31 2011-01-01 2011-01-17 2011-02-21 2011-05-30 2011-07-04 2011-09-05 2011-10-10 2011-11-11
2011-11-24 2011-12-25 2011-12-26 2012-01-01 2012-01-02 2015-01-01 2015-01-19 2015-02-16 2015-05-25 2015-07-03
2015-07-04 2015-09-07 2015-10-12 2015-11-11 2015-11-26 2015-12-25""".split()


def test_us_holidays():
    days = [np.arange("2010-12-27", "2012-01-05", dtype="datetime64[D]"), np.arange("2015-01-01", "2016-01-01",
            dtype="datetime64[D]")]  # fmt: skip
    days = np.concatenate(days)
    off = calendar_values("us_holiday", days.astype("datetime64[ms]").astype(np.int64))
    assert [str(day) for day in days[off == 1]] == HOLIDAYS


AHEAD = ('unit = "N"', 'unit = "N"\nrole = "known"\nahead = "2s"')


def test_a_column_known_in_advance_is_fed_ahead_of_its_time(job):
    """By time, not by row: a bin without a row and the end of a segment leave a hole."""
    scenario = job.scenario(AHEAD)
    times = np.array([0, 1000, 2000, 4000, 5000, 60_000, 61_000, 62_000], np.int64)
    values = {"load": np.arange(10.0, 18), "speed": np.arange(8.0), "fault": np.zeros(8)}
    segments = merge_runs([np.stack([times, times], axis=1)], max_gap_ms(scenario))
    series = resample(times, values, grid_between(segments, 1000, None, None), scenario)
    assert series.grid.bins.tolist() == [0, 1, 2, 3, 4, 5, 60, 61, 62]
    np.testing.assert_array_equal(series.values["load"], np.float32([12, NAN, 13, 14, NAN, NAN, 17, NAN, NAN]))
    np.testing.assert_array_equal(series.values["speed"], np.float32([0, 1, 2, NAN, 3, 4, 5, 6, 7]))


@pytest.mark.parametrize(("ahead", "first"), [("1h", 1.0), ("-1h", 23.0)])
def test_a_calendar_may_be_that_of_another_time(job, ahead, first):
    hour = f'[[columns]]\nname = "hour"\nunit = "h"\ncalendar = "hour_of_day"\ncycles = [24.0]\nahead = "{ahead}"\n'
    scenario = job.scenario(("[split]", f"{hour}[split]"))
    series, _ = gridded(scenario, [0, 1000], [1.0, 1.0])
    np.testing.assert_allclose(series.values["hour"], [first, first + 1 / 3600], rtol=1e-6)
