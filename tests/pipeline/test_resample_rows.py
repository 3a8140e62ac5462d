"""Resampling, splitting and windows by hand."""

import numpy as np
import pyarrow as pa
import pytest

from pipeline.calendar_columns import calendar_values
from pipeline.resample_rows import resample
from pipeline.row_schema import clean_schema
from pipeline.split_rows import split_series
from pipeline.window_rows import cut_windows

NAN = float("nan")


def clean_rows(scenario, times_ms, speed):
    columns = {name: [0.0] * len(speed) for name in ("load", "fault")}
    table = {"@file": ["a"] * len(speed), "@row": range(len(speed)), "@stream": ["s"] * len(speed)}
    return pa.table(table | {"@time": times_ms, "speed": speed} | columns, schema=clean_schema(scenario))


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
    series = resample(clean_rows(scenario, times, [1.0, 2.0, 3.0, 5.0, NAN, NAN, 7.0]), "s", scenario)
    np.testing.assert_array_equal(series["speed"].to_numpy(), np.array(expected, np.float32))
    assert series["time"].cast(pa.int64()).to_pylist() == [10_000, 11_000, 12_000, 13_000, 14_000]
    assert series["rows"].to_pylist() == [3, 0, 2, 1, 1]
    assert series["observed"].to_pylist() == [True, False, True, True, True]


def test_bins_before_1970_begin_before_their_rows(job):
    scenario = job.scenario()
    series = resample(clean_rows(scenario, [-1500, 500], [1.0, 2.0]), "s", scenario)
    assert series["time"].cast(pa.int64()).to_pylist() == [-2000, -1000, 0]


def test_split_by_rows_counts_rows_not_bins(job):
    scenario = job.scenario(("train = 45", "train = 4"), ("validation = 15", "validation = 2"))
    times = [0, 2000, 3000, 3500, 5000, 6000]
    series = split_series(resample(clean_rows(scenario, times, [1.0] * 6), "s", scenario), scenario.split)
    parts = dict(zip(series["time"].cast(pa.int64()).to_pylist(), series["part"].to_pylist(), strict=True))
    assert [parts[time] for time in (0, 2000, 3000, 5000, 6000)] == [
        "train",
        "train",
        "validation",
        "test",
        "test",
    ]


def test_split_by_time_begins_with_the_named_bin(job):
    rows = 'by = "rows"\ntrain = 45\nvalidation = 15'
    scenario = job.scenario(
        (rows, 'by = "time"\nvalidation = 1970-01-01T00:00:02\ntest = 1970-01-01T00:00:03')
    )
    series = resample(clean_rows(scenario, range(0, 5000, 1000), [1.0] * 5), "s", scenario)
    parts = split_series(series, scenario.split)["part"].to_pylist()
    assert parts == ["train", "train", "validation", "test", "test"]


@pytest.mark.parametrize("steps, windows", [(9, 0), (10, 1), (12, 1), (13, 2), (30, 7)])
def test_windows_fill_their_part_to_the_last_step(job, steps, windows):
    scenario = job.scenario()
    series = resample(clean_rows(scenario, range(0, steps * 1000, 1000), [1.0] * steps), "s", scenario)
    series = series.set_column(series.schema.get_field_index("part"), "part", pa.repeat("train", steps))
    assert len(cut_windows(series, "train", scenario)) == windows
    assert len(cut_windows(series, "validation", scenario)) == 0


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
    ],
)
def test_calendar(calendar, time, value):
    times = np.array([time], "datetime64[ms]").astype(np.int64)
    assert calendar_values(calendar, times).tolist() == [value]
