"""Cells, each judged alone."""

import math

import numpy as np
import pyarrow as pa
import pytest

from pipeline.cell_values import read_numbers, read_times


@pytest.mark.parametrize("kind", [pa.string(), pa.binary(), pa.large_string()])
def test_numbers_in_text(kind):
    cells = read_numbers(
        pa.array(["1", " 2.5 ", "x", "", "-1e3", "NaN", "3,5", None], pa.string()).cast(kind)
    )
    assert cells.unreadable.tolist() == [False, False, True, False, False, False, True, False]
    assert cells.missing.tolist() == [False, False, False, True, False, True, False, True]
    assert cells.values[[0, 1, 4]].tolist() == [1.0, 2.5, -1000.0]
    assert math.isnan(cells.values[3])


@pytest.mark.parametrize("kind", [pa.int8(), pa.float32(), pa.decimal128(5, 2), pa.int64()])
def test_numbers_that_are_numbers(kind):
    cells = read_numbers(pa.array([1, None, 3], pa.int8()).cast(kind))
    assert cells.values[[0, 2]].tolist() == [1.0, 3.0] and math.isnan(cells.values[1])
    assert cells.missing.tolist() == [False, True, False] and not cells.unreadable.any()


def test_a_column_of_another_kind_is_unreadable():
    assert read_numbers(pa.array([[1.0], [2.0]])).unreadable.tolist() == [True, True]
    assert read_times(pa.array([[1.0], [2.0]])).unreadable.tolist() == [True, True]


TEN = 1714557600000  # 2024-05-01 10:00:00 UTC


@pytest.mark.parametrize(
    "cell, expected",
    [
        ("2024-05-01 10:00:00", TEN),
        ("2024-05-01T10:00:00", TEN),
        (" 2024-05-01 10:00 ", TEN),
        ("2024-05-01", TEN - 10 * 3_600_000),
        ("2024-05-01 10:00:00.5", TEN + 500),
        ("2024-05-01 10:00:00.123456789", TEN + 123),
        ("2024-05-01T10:00:00Z", TEN),
        ("2024-05-01T12:00:00.25+02:00", TEN + 250),
        ("2024-05-01 05:00:00-0500", TEN),
        ("1969-12-31 23:59:59", -1000),
    ],
)
def test_times_in_text(cell, expected):
    cells = read_times(pa.array([cell, "never", "2024-05-01 10:00:00"]))
    assert cells.values[[0, 2]].tolist() == [expected, TEN]
    assert cells.unreadable.tolist() == [False, True, False]


@pytest.mark.parametrize(
    "cells, expected",
    [
        (["1714557600", "1714557600.25", " -1.5 "], [TEN, TEN + 250, -1500]),
        ([1714557600, 0, -2], [TEN, 0, -2000]),
        ([0.0, 0.5, 1714557600.1239], [0, 500, TEN + 123]),
    ],
)
def test_times_counted_in_seconds(cells, expected):
    times = read_times(pa.array(cells))
    assert times.values.tolist() == expected and not times.unreadable.any()


def test_numbers_that_cannot_be_seconds_are_no_times():
    assert read_times(pa.array(["1714557600000", "inf", "1e3"])).unreadable.all()
    assert read_times(pa.array([1714557600000.0, np.inf, np.nan])).unreadable.all()


def test_times_that_are_times():
    micros = pa.array([TEN * 1000 + 999, None], pa.timestamp("us", tz="Europe/Berlin"))
    cells = read_times(micros)
    assert cells.values[0] == TEN and cells.missing.tolist() == [False, True]
