"""Errors and rivals by hand."""

import numpy as np
import pytest

from tflite.forecast_error import coverage, lead_truth, nrmse, seasonal_rivals, wape

NAN = np.nan


def test_lead_truth():
    truth = lead_truth(np.array([10.0, 11, 12, 13]), (1, 2))
    np.testing.assert_array_equal(truth, [[11, 12], [12, 13], [13, NAN], [NAN, NAN]])
    np.testing.assert_array_equal(lead_truth(np.array([10.0, 11, 12]), (2, 2)), [[12], [NAN], [NAN]])


def test_wape():
    assert wape(np.array([1.0, -2, 4]), np.array([2.0, -2, 2])) == pytest.approx((1 + 0 + 2) / (1 + 2 + 4))


def test_unknown_truth_is_left_out():
    assert wape(np.array([[1.0, NAN], [3.0, np.inf]]), np.array([[2.0, 9], [3.0, NAN]])) == pytest.approx(1 / 4)


def test_a_forecast_that_is_no_number_spoils_the_result():
    """NaN never passes a comparison: it must not be averaged away."""
    assert np.isnan(wape(np.array([1.0, 2]), np.array([1.0, NAN])))


@pytest.mark.parametrize("step_seconds", [3600, 21600])
@pytest.mark.parametrize("leads", [(1, 3), (4, 4), (20, 30)])
def test_rivals_repeat_the_past_and_never_see_the_future(step_seconds, leads):
    """At origin t the value t is known, t + 1 is not; series[t] = t makes the source of each forecast visible."""
    series = np.arange(400.0)
    rivals = seasonal_rivals(series, leads, step_seconds)
    assert set(rivals) == {"same time yesterday", "same time last week"}
    for name, days in (("same time yesterday", 1), ("same time last week", 7)):
        period = days * 86400 // step_seconds
        forecast = rivals[name]
        assert forecast.shape == (400, leads[1] - leads[0] + 1)
        for t in range(400):
            for i, lead in enumerate(range(leads[0], leads[1] + 1)):
                source = t + lead
                while source > t:
                    source -= period
                expected = series[source] if source >= 0 else NAN
                np.testing.assert_array_equal(forecast[t, i], expected)


def test_a_series_too_short_for_a_rival_has_none():
    assert set(seasonal_rivals(np.arange(100.0), (1, 1), 3600)) == {"same time yesterday"}
    assert seasonal_rivals(np.arange(10.0), (1, 1), 3600) == {}


def test_nrmse():
    truth, forecast = np.array([[1.0, NAN], [3.0, 5.0]]), np.array([[2.0, 9.0], [3.0, 3.0]])
    assert nrmse(truth, forecast, 2.0) == pytest.approx(np.sqrt((1 + 0 + 4) / 3) / 2)
    assert np.isnan(nrmse(np.array([1.0]), np.array([NAN]), 2.0))


def test_coverage():
    truth = np.array([1.0, 2.0, 3.0, NAN, 5.0])
    low, high = np.array([1.0, 2.5, 0.0, 0.0, NAN]), np.array([1.0, 3.0, 3.0, 9.0, 9.0])
    assert coverage(truth, low, high) == 2 / 4
