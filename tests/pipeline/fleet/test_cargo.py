"""The refrigerated box: balances by hand."""

import numpy as np
import pytest

from pipeline.fleet.cargo import compressor_power, compressor_share, cooling_power, refrigerate

ONE = np.ones(1)


def box_after(seconds, box=3.0, goods=3.0, cooling=0.0, air=25.0, sun=0.0, doors=0.0):
    box, goods = box * ONE, goods * ONE
    for _ in range(seconds):
        box, goods = refrigerate(box, goods, cooling * ONE, air * ONE, sun * ONE, doors * ONE, 24 * ONE)
    return float(box[0]), float(goods[0])


def test_cooling_that_equals_the_walls_keeps_the_temperature():
    """24 W/K * (25 + .02 * 500 - 3) K."""
    assert box_after(3600, cooling=24 * (25 + 0.02 * 500 - 3), sun=500) == pytest.approx((3.0, 3.0))


def test_everything_ends_at_the_air_outside():
    assert box_after(1, box=25.0, goods=25.0) == (25.0, 25.0)
    for start in (24.0, 26.0):
        box, goods = box_after(20_000, box=start, goods=start)
        assert abs(goods - 25) < 0.97 and abs(box - 25) < abs(goods - 25)


def test_heat_is_kept_account_of():
    """What comes through the walls in a second is what box and goods hold more."""
    box, goods = box_after(1, box=5.0, goods=3.0)
    assert 80e3 * (box - 5) + 6e6 * (goods - 3) == pytest.approx(24 * 20)
    assert goods > 3.0


def test_open_doors_and_sun_warm_it_and_the_compressor_cools():
    still = box_after(60)[0]
    assert box_after(60, doors=1.0)[0] > still + 2
    assert box_after(60, sun=800)[0] > still
    assert box_after(60, cooling=4000)[0] < 3.0 < still


def test_the_compressor_works_as_hard_as_it_is_warm():
    share = compressor_share(np.array([2.0, 3.0, 4.5, 20.0]), 3 * np.ones(4), np.ones(4))
    assert share.tolist() == pytest.approx([0.0, 0.0, 0.5, 1.0])
    assert compressor_share(20 * ONE, 3 * ONE, 0 * ONE) == 0.0


def test_a_hot_day_takes_cooling_and_costs_power():
    given = [cooling_power(ONE, 4000 * ONE, air * ONE, ONE)[0] for air in (25.0, 35.0)]
    taken = [compressor_power(ONE, 4000 * ONE, air * ONE, ONE)[0] for air in (25.0, 35.0)]
    assert given == pytest.approx([4000, 3600]) and taken == pytest.approx([4000 / 1.9, 4000 / 1.9 * 1.12])
    assert cooling_power(ONE, 4000 * ONE, 25 * ONE, 0 * ONE) == 0.0
