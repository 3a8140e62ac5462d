"""Statistics: exact, whatever the order and the grouping."""

import math
from fractions import Fraction

import numpy as np
import pytest

from pipeline.exact_quantiles import PERCENT, rank, sortable, value_of
from pipeline.feature_stats import UNIT_BITS, Moments, exact_sums, merge_moments, moments_of


def test_moments_skip_missing_readings():
    moments = moments_of(np.array([1.0, math.nan, 3.0, math.nan], np.float32))
    assert moments.as_dict() == {"mean": 2.0, "std": 1.0, "min": 1.0, "max": 3.0, "missing_share": 0.5}


def test_a_constant_has_no_spread_at_all():
    assert moments_of(np.full(1_000, 0.1, np.float32)).std == 0.0


EXTREMES = np.array([3.4e38, -3.4e38, 1e-45, -1e-45, 1.1754944e-38, 0.0, -0.0, 1.0, -0.1], np.float32)


@pytest.mark.parametrize("values", [EXTREMES, np.random.default_rng(0).normal(1e6, 1e-2, 999).astype(np.float32)])
def test_sums_are_those_of_fractions(values):
    total, squares = exact_sums(values)
    exact = [Fraction(float(value)) for value in values]
    assert Fraction(total, 1 << UNIT_BITS) == sum(exact)
    assert Fraction(squares, 1 << 2 * UNIT_BITS) == sum(value * value for value in exact)


def test_neither_order_nor_grouping_matters():
    values = np.random.default_rng(1).normal(1e6, 1e-2, 5_000).astype(np.float32)
    whole = moments_of(values)
    assert moments_of(values[::-1]) == moments_of(np.sort(values)) == whole
    parts = [values[:10], values[10:10], values[10:500], values[500:]]
    assert merge_moments(moments_of(part) for part in parts[::-1]) == whole
    assert whole.mean == pytest.approx(values.astype(np.float64).mean(), rel=1e-14)
    assert whole.std == pytest.approx(values.astype(np.float64).std(), rel=1e-9)


def test_nothing_is_not_zero():
    nothing = merge_moments([moments_of(np.array([math.nan], np.float32)), Moments()])
    assert nothing.as_dict() == {"mean": None, "std": None, "min": None, "max": None, "missing_share": 1.0}


def test_sortable_integers_are_in_the_order_of_the_numbers_and_lead_back():
    values = np.sort(np.append(EXTREMES, np.random.default_rng(2).normal(size=1_000).astype(np.float32)))
    keys = sortable(values).astype(np.int64)
    assert (np.diff(keys) >= 0).all()
    assert [value_of(key) for key in keys.tolist()] == values.tolist()


@pytest.mark.parametrize("number", [1, 2, 99, 100, 101, 1_000_003])
def test_rank_is_numpys_inverted_cdf(number):
    values = np.arange(number)
    for percent in PERCENT:
        assert rank(percent, number) == np.quantile(values, percent / 100, method="inverted_cdf")


def test_stream_moments_are_those_of_its_first_rows(job):
    job.scenario(*job.anomaly, ("[forecast]", '[normalize]\nby = "stream"\nrows = 30\n\n[forecast]'))
    rows = job.seconds(60)
    rows[3][1] = ""
    job.rows(rows)
    first = np.array([float(row[1] or "nan") for row in rows[:30]], np.float32)
    statistics = job.manifest()["stream_statistics"]["a.csv"]
    assert statistics["speed"]["mean"] == pytest.approx(np.nanmean(first.astype(np.float64)), rel=1e-12)
    assert "fault" not in statistics


def test_quantiles_are_exact(job):
    job.rows(job.seconds(60))
    job.rows(job.seconds(100, 170), "b.csv")
    quantiles = job.manifest()["statistics"]["speed"]["quantiles"]
    training = np.array([float(row[1]) for row in job.seconds(30) + job.seconds(100, 130)], np.float32)
    for percent in PERCENT:
        expected = np.quantile(training, percent / 100, method="inverted_cdf")
        assert quantiles[f"{percent / 100:g}"] == expected
