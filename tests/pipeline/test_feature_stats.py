"""Moments: exact, the same in any grouping that is merged in a fixed order."""

import math

import numpy as np
import pyarrow as pa
import pytest

from pipeline.feature_stats import Moments, merge_moments, moments_of, stream_facts
from pipeline.row_schema import series_schema


def test_moments_skip_missing_readings():
    moments = moments_of(np.array([1.0, math.nan, 3.0, math.nan], np.float32))
    assert moments.as_dict() == {"mean": 2.0, "std": 1.0, "min": 1.0, "max": 3.0, "missing_share": 0.5}


def test_a_constant_has_no_spread_at_all():
    assert moments_of(np.full(1_000, 0.1, np.float32)).std == 0.0


def test_order_of_readings_does_not_matter():
    values = np.random.default_rng(1).normal(1e6, 1e-2, 5_000)
    assert moments_of(values) == moments_of(values[::-1]) == moments_of(np.sort(values))


def test_parts_merge_to_the_whole():
    values = np.random.default_rng(2).normal(300.0, 0.1, 999)
    parts = [values[:10], values[10:10], np.full(4, math.nan), values[10:500], values[500:]]
    whole = merge_moments(moments_of(part) for part in parts)
    assert (whole.bins, whole.number) == (1_003, 999)
    assert whole.mean == pytest.approx(values.mean(), rel=1e-14)
    assert whole.std == pytest.approx(values.std(), rel=1e-9)
    assert (whole.minimum, whole.maximum) == (values.min(), values.max())


def test_nothing_is_not_zero():
    nothing = merge_moments([moments_of(np.array([math.nan])), Moments(0)])
    assert nothing.as_dict() == {"mean": None, "std": None, "min": None, "max": None, "missing_share": 1.0}


def test_stream_moments_are_those_of_its_first_rows(job):
    scenario = job.scenario(*job.anomaly, ("[forecast]", '[normalize]\nby = "stream"\nrows = 3\n\n[forecast]'))
    columns = {
        "stream": ["s"] * 6,
        "time": range(0, 6000, 1000),
        "part": ["train"] * 2 + ["validation"] * 2 + ["test"] * 2,
        "observed": [True, False, True, True, True, True],
        "rows": [1, 0, 1, 1, 1, 1],
        "speed": [1.0, math.nan, 2.0, 6.0, 50.0, 50.0],
        "load": [0.0] * 6,
        "fault": [0.0] * 6,
    }
    facts = {
        kind: value for kind, _, value in stream_facts(pa.table(columns, series_schema(scenario)), scenario)
    }
    assert Moments(*facts["stream_moments"]["speed"]).as_dict()["mean"] == 3.0
    assert Moments(*facts["training_moments"]["speed"]).as_dict()["mean"] == 1.0
    assert facts["bins"] == {"train": 2, "validation": 2, "test": 2, "missing": 1}
    assert "fault" not in facts["stream_moments"]
