"""The sensor shell in the graph: raw readings in, real units or a score out, against a hand-made loop."""

import dataclasses

import numpy as np
import pytest
from sensor_oracle import SensorOracle, forecaster

from keras_models import quantize_aware
from keras_models.anomaly_score import AnomalyScore
from keras_models.feature_encoding import FeatureEncoding
from keras_models.qat_model import calibrate
from tflite import convert
from tflite.runtimes import load_model

DEMAND = FeatureEncoding(
    columns=("count", "temperature", "hour", "day"), units=("rides/h", "degC", "h", "d"), mean=(40.0, 12.0),
    std=(90.0, 7.0), readings=None, cycles=((0, 24.0), (0, 12.0), (1, 7.0)), advance=(1.0, 1 / 24), targets=(0,),
    leads=(1, 3), non_negative=True)
PUMP = FeatureEncoding(
    columns=("speed", "load", "flow"), units=("m/s", "N", "l/min"), mean=(3.0, -200.0, 0.5), std=(2.0, 40.0, 0.01),
    readings=None, cycles=(), advance=(), targets=(0, 1, 2), leads=(1, 1), non_negative=False)
LEARNED = dataclasses.replace(PUMP, mean=(0.0, 0.0, 0.0), std=(0.2, 4.0, 0.001), readings=20)
SCORE3 = AnomalyScore(0.1, ((0.5, 0.1, 0.0), (0.0, 0.4, -0.2), (0.3, 0.0, 0.6)))
SCORE1 = AnomalyScore(0.3, ((0.8,),))
WAYS = {"litert": {}, "litert-builtin": {"kernels": "builtin"}, "tflm": {"runtime": "tflm"}}


@pytest.fixture(params=WAYS)
def way(request):
    return WAYS[request.param]


def demand_stream(steps=120, seed=1):
    rng, hours = np.random.default_rng(seed), np.arange(steps) + 5.0
    count = 140 + 120 * np.sin(hours / 24 * 2 * np.pi) + rng.normal(0, 30, steps)
    return np.stack([count, 12 + rng.normal(0, 5, steps), hours % 24, hours / 24 % 7], axis=1).astype(np.float32)


def pump_stream(steps=120, seed=1):
    rng, time = np.random.default_rng(seed), np.arange(steps)[:, None]
    waves = np.sin(time / np.array([5, 9, 23])) + rng.normal(0, 0.4, (steps, 3))
    return (waves * [2.0, 40.0, 0.01] + [3.0, -200.0, 0.5]).astype(np.float32)


def missing_some(xs, seed=2):
    """NaN and infinities of both signs: first reading, single channels, a whole stretch."""
    xs, rng = xs.copy(), np.random.default_rng(seed)
    holes = rng.random(xs.shape) < 0.15
    xs[holes] = rng.choice([np.nan, np.inf, -np.inf], holes.sum())
    xs[0, 0] = np.nan
    xs[40:55] = np.nan
    return xs


def run(model, xs, options):
    """Outputs side by side, a score's in the order score, alarm, contributions."""
    runtime = load_model(model, **options)
    return np.stack([side_by_side(runtime.step(x)) for x in xs])


def side_by_side(output):
    if not isinstance(output, dict):
        return output
    return np.concatenate([output[name] for name in ("score", "alarm", "contributions") if name in output])


def float_model(net, encoding, score=None):
    return convert(net, activations="float32", encoding=encoding, score=score).tflite


def assert_close(ours, expected):
    """1e-4 of the largest value: float32 sines and sums, fed back over a hundred steps."""
    assert np.isfinite(expected).all()
    np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-4 * np.abs(expected).max())


def test_raw_in_real_out_is_encoding_and_keras_sequence(way):
    """Without missing readings: the arithmetic training uses (FeatureEncoding) around the whole-sequence model."""
    net, xs = forecaster(DEMAND), demand_stream()
    forecast, _ = net.predict(DEMAND.encode(xs)[None], verbose=0)
    expected = DEMAND.decode(forecast[0]).reshape(len(xs), -1)
    assert_close(run(float_model(net, DEMAND), xs, way), expected)
    assert (expected == 0).any(), "some forecasts must be clamped for this test to mean anything"


@pytest.mark.parametrize("seed", [1, 2])
def test_missing_readings_become_the_last_forecast(way, seed):
    net, xs = forecaster(DEMAND, seed=seed), missing_some(demand_stream(seed=seed))
    ours = run(float_model(net, DEMAND), xs, way)
    assert_close(ours, SensorOracle(net, DEMAND).run(xs))
    assert ours.min() == 0, "forecasts of a count are clamped"


def test_every_reading_missing_from_the_first_on(way):
    net, xs = forecaster(DEMAND), np.full((50, 4), np.nan, np.float32)
    assert_close(run(float_model(net, DEMAND), xs, way), SensorOracle(net, DEMAND).run(xs))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, np.float32(3e38), np.float32(-3e38)])
def test_what_is_not_a_reading_leaves_no_trace(way, bad):
    """Whatever the reason a reading is unusable, the answer is the same as for NaN."""
    net, xs = forecaster(PUMP), pump_stream(30)
    missing, broken = xs.copy(), xs.copy()
    missing[10:13, 1], broken[10:13, 1] = np.nan, bad
    model = float_model(net, PUMP)
    np.testing.assert_array_equal(run(model, broken, way), run(model, missing, way))


def test_forecasts_below_zero_pass_where_they_may(way):
    encoding = dataclasses.replace(DEMAND, non_negative=False)
    net, xs = forecaster(encoding), demand_stream()
    ours = run(float_model(net, encoding), xs, way)
    assert_close(ours, SensorOracle(net, encoding).run(xs))
    assert ours.min() < 0


def test_readings_far_outside_are_clipped(way):
    net, xs = forecaster(PUMP), pump_stream(40)
    xs[10] = [1e6, -1e6, 1e6]
    assert_close(run(float_model(net, PUMP), xs, way), SensorOracle(net, PUMP).run(xs))


def test_several_targets_and_leads_are_ordered_lead_after_lead(way):
    encoding = dataclasses.replace(PUMP, targets=(2, 0), leads=(2, 4))
    net, xs = forecaster(encoding), pump_stream()
    ours = run(float_model(net, encoding), xs, way)
    assert ours.shape == (len(xs), 6)
    assert_close(ours, SensorOracle(net, encoding).run(xs))


@pytest.mark.parametrize("lead", [1, 2, 30])
@pytest.mark.parametrize("targets", [(0, 1, 2), (1,), (1, 2), (2, 0)], ids=str)
def test_score(way, lead, targets):
    """Forecasts wait `lead` steps for the reading they speak of; 0 until the first is due."""
    encoding = dataclasses.replace(PUMP, leads=(lead, lead), targets=targets)
    score = AnomalyScore(0.2, tuple(tuple(row[: len(targets)]) for row in SCORE3.whitening[: len(targets)]))
    net, xs = forecaster(encoding), missing_some(pump_stream())
    xs[0] = pump_stream()[0]  # what is forecast of missing inputs is no reason for a score
    ours = run(float_model(net, encoding, score), xs, way)
    assert ours.shape == (len(xs), 1)
    assert (ours[:lead] == 0).all() and (ours[lead:] > 0).all()
    assert_close(ours, SensorOracle(net, encoding, score).run(xs))


@pytest.mark.parametrize("inputs, targets", [((0,), (1, 2)), ((0, 2), (1,)), ((1, 2), (0,))], ids=str)
def test_virtual_sensors(way, inputs, targets):
    """Lead 0, and the network reads other channels than it forecasts."""
    encoding = dataclasses.replace(PUMP, leads=(0, 0), inputs=inputs, targets=targets)
    score = AnomalyScore(0.2, tuple(tuple(row[: len(targets)]) for row in SCORE3.whitening[: len(targets)]))
    net, xs = forecaster(encoding), missing_some(pump_stream())
    xs[0] = pump_stream()[0]
    ours = run(float_model(net, encoding, score), xs, way)
    assert (ours > 0).all(), "nothing to wait for"
    assert_close(ours, SensorOracle(net, encoding, score).run(xs))


def test_a_fault_does_not_enter_forecasts_that_do_not_read_it():
    """A channel that runs away shows in its own residual only, however long it does."""
    encoding = dataclasses.replace(PUMP, leads=(0, 0), inputs=(0,), targets=(1, 2))
    score = AnomalyScore(0.2, ((0.5, 0.0), (0.0, 0.4)), contributions=True)
    model, sound = float_model(forecaster(encoding), encoding, score), pump_stream(80)
    broken = sound.copy()
    broken[30:, 1] += 60.0
    sound, broken = run(model, sound, {}), run(model, broken, {})
    np.testing.assert_array_equal(broken[:, 2], sound[:, 2])
    assert broken[50:, 1].mean() > 4 * sound[50:, 1].mean(), "and it stays"


@pytest.mark.parametrize("encoding", [PUMP, LEARNED], ids=["fixed", "learned"])
@pytest.mark.parametrize("channel", range(3))
@pytest.mark.parametrize(("inputs", "targets"), [((0,), (1, 2)), ((1,), (0, 2)), ((2,), (0, 1))])
def test_a_channel_that_is_missing_in_the_field(encoding, channel, inputs, targets):
    """Never a reading of it: the network's own forecasts stand in, an input's as well as a target's."""
    virtual = dataclasses.replace(encoding, leads=(0, 0), inputs=inputs, targets=targets)
    score = AnomalyScore(0.2, ((0.5, 0.0), (0.0, 0.4)), recentre=10, settle=4, repeats=(5.0, 5.0), contributions=True)
    net, xs = forecaster(virtual), pump_stream(80)
    xs[:, channel] = np.nan
    ours = run(float_model(net, virtual, score), xs, {})
    assert_close(ours, SensorOracle(net, virtual, score).run(xs))


@pytest.mark.parametrize("lead", [0, 3])
def test_an_input_that_falls_silent_is_no_fault_of_what_is_forecast_of_it(way, lead):
    """The load jumps while its sensor is lost: forecasts do not know, and no score rises, until it is lost for long."""
    encoding = dataclasses.replace(PUMP, leads=(lead, lead), inputs=(0,), targets=(1, 2))
    score = AnomalyScore(0.2, ((0.5, 0.0), (0.0, 0.4)))
    net, xs = forecaster(encoding), np.tile(np.float32(encoding.mean), (120, 1))
    xs[60:, 1] += 4 * encoding.std[1]
    heard, lost = (run(float_model(net, encoding, score), part, way)[:, 0] for part in (xs, without(xs, 60, 0)))
    long = 60 + lead + int(np.ceil(np.log(0.2) / np.log(0.8)))  # as little as one step weighs is left
    assert heard[60 + 6] > 1 > lost[60 + lead : long].max(), "a lead's forecasts are of what was still heard"
    assert lost[long + 5] > 1, "a wire that is cut does not silence the score"
    assert_close(lost[:, None], SensorOracle(net, encoding, score).run(without(xs, 60, 0)))


def without(xs, first, channel):
    """Not heard of `channel` any more from step `first` on."""
    return np.where((np.arange(len(xs)) >= first)[:, None] & (np.arange(xs.shape[1]) == channel), np.nan, xs)


def test_readings_lost_for_a_while_are_those_of_this_machine(way):
    """Three standard deviations from all others, as it always was: no reason for a score while nothing is heard."""
    encoding = dataclasses.replace(PUMP, leads=(0, 0), inputs=(0,), targets=(1, 2))
    net, xs = forecaster(encoding), pump_stream(120)
    heads = [net.get_layer(name) for name in ("forecast", "following")]  # trained ones agree
    heads[1].set_weights([np.concatenate([one[..., :1], two], axis=-1) for one, two in zip(
        heads[1].get_weights(), heads[0].get_weights(), strict=True)])
    xs[:, 0], xs[:, 1:] = encoding.mean[0], np.array(encoding.mean)[1:] + 3 * np.array(encoding.std)[1:]
    xs[90:110, 1] = np.nan
    score = run(float_model(net, encoding, AnomalyScore(0.5, ((1.0, 0.0), (0.0, 1.0)), recentre=40)), xs, way)
    assert score[60:].max() < 0.05


def test_score_is_the_score_of_numpy_residuals(way):
    """The class that fits the threshold and the graph agree, from the first settled step on."""
    encoding = dataclasses.replace(PUMP, leads=(4, 4))
    net, xs = forecaster(encoding), pump_stream()
    standardized = (xs - np.float32(encoding.mean)) / np.float32(encoding.std)
    forecast, _ = net.predict(np.clip(standardized, -5, 5)[None], verbose=0)
    residuals = np.clip(standardized, -5, 5)[4:] - forecast[0, :-4]
    assert_close(run(float_model(net, encoding, SCORE3), xs, way)[4:, 0], SCORE3.score(residuals))


# Each part of a score alone, then all of them; thresholds that the streams of these tests cross both ways.
PARTS = {
    "contributions": {"contributions": True},
    "recentre": {"recentre": 12, "freeze": 0.8},
    "settle": {"recentre": 12, "freeze": 0.8, "settle": 9},
    "repeats": {"repeats": (3.0, 4.5, 2.0)},
    "persistence": {"persistence": 3},
    "cool_down": {"cool_down": 4},
    "reliance": {"reliance": 0.5, "contributions": True},
    "own_limit": {"recentre": 30, "own_limit": 20, "freeze": 0.8},
    "own_limit_of_all": {"recentre": 30, "own_limit": 20, "freeze": 0.8, "repeats": (3.0, 4.5, 2.0), "persistence": 2,
                         "contributions": True},
    "all": {"recentre": 12, "freeze": 0.8, "repeats": (3.0, 4.5, 2.0), "persistence": 2, "cool_down": 3,
            "contributions": True},
}  # fmt: skip


def stuck_stream():
    """Readings that are missing here and there, and three stretches in which a sensor says the same."""
    xs = missing_some(pump_stream(200))
    for channel, begin, end in ((0, 60, 75), (1, 90, 92), (2, 120, 160)):
        xs[begin:end, channel] = xs[58, channel] if np.isfinite(xs[58, channel]) else 1.0
    return xs


@pytest.mark.parametrize("way", [*WAYS, "c"])
@pytest.mark.parametrize(("part", "encoding"), [
    *((part, PUMP) for part in PARTS), ("all", LEARNED), ("own_limit_of_all", LEARNED)])
def test_every_part_of_a_score(way, part, encoding):
    encoding, way = dataclasses.replace(encoding, leads=(3, 3)), WAYS.get(way, {"runtime": way})
    score = dataclasses.replace(SCORE3, whitening=tuple((2 * np.array(SCORE3.whitening)).tolist()), **PARTS[part])
    net, xs = forecaster(encoding), stuck_stream()
    expected = SensorOracle(net, encoding, score).run(xs)
    alarms = expected[:, 0] >= 1 if not score.has_alarm else expected[:, 1] > 0
    assert 0 < alarms.mean() < 0.95, "an alarm must come and go for this test to mean anything"
    assert_close(run(float_model(net, encoding, score), xs, way), expected)


@pytest.mark.parametrize("way", [*WAYS, "c"])
@pytest.mark.parametrize(("lead", "part"), [(0, "contributions"), (0, "all"), (3, "all")])
def test_residuals_count_by_the_trust_of_the_network(way, lead, part):
    """That which was said with the forecast; a reading that is missing or stands still is treated as without."""
    roles = {} if lead else {"inputs": (0,), "targets": (1, 2)}
    encoding = dataclasses.replace(PUMP, leads=(lead, lead), **roles)
    channels, parts = len(encoding.targets), dict(PARTS[part])
    if "repeats" in parts:
        parts["repeats"] = parts["repeats"][-channels:]
    whitening = tuple(tuple(4 * value for value in row[-channels:]) for row in SCORE3.whitening[-channels:])
    score = AnomalyScore(0.2, whitening, **parts)
    net, xs = forecaster(encoding, trust=True), stuck_stream()
    expected = SensorOracle(net, encoding, score).run(xs)
    assert (expected[:, 0] >= 1).any()
    ours = run(float_model(net, encoding, score), xs, WAYS.get(way, {"runtime": way}))
    assert_close(ours, expected)


def test_trust_is_forgotten_at_a_reset(way):
    encoding = dataclasses.replace(PUMP, leads=(2, 2))
    xs, net = missing_some(pump_stream(60)), forecaster(encoding, trust=True)
    runtime = load_model(float_model(net, encoding, dataclasses.replace(SCORE3, **PARTS["all"])), **way)
    first = [side_by_side(runtime.step(x)) for x in xs]
    runtime.reset()
    np.testing.assert_array_equal([side_by_side(runtime.step(x)) for x in xs], first)


def test_integer_trust_is_the_same_in_every_runtime():
    """int8 products and an int16 state, as shipped; near the numbers of the real network."""
    encoding = dataclasses.replace(PUMP, leads=(0, 0), inputs=(0,), targets=(1, 2))
    score = AnomalyScore(0.2, ((0.5, 0.0), (0.0, 0.4)), recentre=12, contributions=True)
    net, xs = forecaster(encoding, trust=True), pump_stream(300)
    twin = quantize_aware(net, state_dtype="int16")
    calibrate(twin, [encoding.encode(pump_stream(500, seed=7))[None]])
    model = convert(twin, encoding=encoding, score=score).tflite
    ways = {"runtime": "tflm"}, {"kernels": "reference"}, {"runtime": "c"}
    tflm, litert, c = (run(model, xs, way) for way in ways)
    assert_close(litert, tflm)
    assert_close(c, tflm)
    expected = SensorOracle(net, encoding, score).run(xs)
    np.testing.assert_allclose(tflm[:, 0], expected[:, 0], rtol=0, atol=0.05 * expected[:, 0].max())


def test_parts_a_score_does_not_use_cost_nothing():
    net = forecaster(PUMP)
    plain, full = (len(float_model(net, PUMP, dataclasses.replace(SCORE3, **part))) for part in ({}, PARTS["all"]))
    assert plain < full < plain + 4000
    assert len(float_model(net, PUMP, dataclasses.replace(SCORE3, contributions=True))) < plain + 250


def test_score_with_all_parts_is_the_twin_over_arrays(way):
    """`AnomalyScore.judge`, which thresholds are fitted with, and the graph."""
    encoding = dataclasses.replace(PUMP, leads=(4, 4))
    score = dataclasses.replace(SCORE3, **PARTS["all"])
    net, xs = forecaster(encoding), pump_stream(200)
    xs[60:75, 0], xs[120:160, 2] = xs[59, 0], xs[119, 2]
    standardized = np.clip((xs - np.float32(encoding.mean)) / np.float32(encoding.std), -5, 5)
    forecast, _ = net.predict(standardized[None], verbose=0)
    judged = score.judge(standardized[4:] - forecast[0, :-4], standardized[4:])
    expected = np.column_stack([judged["score"], judged["alarm"], judged["contributions"]])
    assert_close(run(float_model(net, encoding, score), xs, way)[4:], expected)


def test_a_channel_missing_in_the_field(way):
    """It is replaced by its own forecasts: the score stays finite, the others are judged on, it is not blamed."""
    score = dataclasses.replace(SCORE3, **PARTS["all"])
    net, xs = forecaster(PUMP), pump_stream(150)
    xs[:, 1] = np.nan
    ours = run(float_model(net, PUMP, score), xs, way)
    assert_close(ours, SensorOracle(net, PUMP, score).run(xs))


@pytest.mark.parametrize("lead", [1, 5])
def test_mean_and_spread_learned_on_the_device(way, lead):
    encoding = dataclasses.replace(LEARNED, leads=(lead, lead))
    net, xs = forecaster(encoding), missing_some(pump_stream(150))
    ours = run(float_model(net, encoding, SCORE3), xs, way)
    assert_close(ours, SensorOracle(net, encoding, SCORE3).run(xs))
    assert (ours[:20] == 0).all() and (ours[20:] > 0).all()


def test_steps_without_any_reading_do_not_count_while_a_machine_is_learned(way):
    """A gap in the first readings: mean, spread and limit wait, and so does the score."""
    score = dataclasses.replace(SCORE3, own_limit=15)
    net, xs = forecaster(LEARNED), pump_stream(150)
    xs[5:35] = np.nan
    ours = run(float_model(net, LEARNED, score), xs, way)
    assert_close(ours, SensorOracle(net, LEARNED, score).run(xs))
    assert (ours[:50] == 0).all() and (ours[50:] > 0).all()


def test_learned_statistics_are_those_of_the_first_readings(way):
    """The states say them: mean, and spread = n * variance; missing readings do not count; then they are frozen."""
    net, xs = forecaster(LEARNED), missing_some(pump_stream(150))
    runtime = load_model(float_model(net, LEARNED, SCORE3), **way)
    at = {}
    for t, x in enumerate(xs):
        runtime.step(x)
        at[t] = runtime.states
    for channel in range(3):
        known = np.flatnonzero(np.isfinite(xs[:, channel]))
        for count in (1, 7, 20):
            t, first = known[count - 1], xs[known[:count], channel].astype(np.float64)
            np.testing.assert_allclose(at[t]["mean"][channel], first.mean(), rtol=1e-5)
            np.testing.assert_allclose(at[t]["spread"][channel], count * first.var(), rtol=1e-3, atol=1e-6)
            assert at[t]["count"][channel] == count
        for name in ("count", "mean", "spread"):
            assert at[149][name][channel] == at[known[19]][name][channel]


def test_a_channel_that_rests_while_learned_gets_the_floor(way):
    """Variance 0 does not divide by zero; a channel that never spoke neither."""
    net, xs = forecaster(LEARNED), pump_stream(80)
    xs[:30, 0], xs[:, 1] = 3.0, np.nan
    ours = run(float_model(net, LEARNED, SCORE3), xs, way)
    assert np.isfinite(ours).all()
    assert_close(ours, SensorOracle(net, LEARNED, SCORE3).run(xs))


def test_large_mean_small_spread_is_learned_in_float32(way):
    """A pressure of 101,325 +- 20 Pa: the recurrence must not lose the spread as a sum of squares would."""
    encoding = dataclasses.replace(LEARNED, std=(1e-3, 1e-3, 1e-3), readings=200)
    xs = (101325 + 20 * np.random.default_rng(3).normal(size=(200, 3))).astype(np.float32)
    runtime = load_model(float_model(forecaster(encoding), encoding, SCORE3), **way)
    for x in xs:
        runtime.step(x)
    spread = np.sqrt(runtime.states["spread"] / 200)
    np.testing.assert_allclose(spread, xs.astype(np.float64).std(axis=0), rtol=0.01)


def refused(net, encoding, score=None):
    """The model, or None where `convert` says in words that it cannot: both are honest, a wrong model is not."""
    try:
        return float_model(net, encoding, score)
    except ValueError as error:
        assert "learn" in str(error) or "normalize" in str(error)
        return None


def test_learned_statistics_beside_calendar_columns(way):
    """[normalize] by = "stream" and a calendar column: the calendar is neither standardized nor breaks the graph."""
    encoding = dataclasses.replace(DEMAND, mean=(0.0, 0.0), std=(5.0, 0.5), readings=15, leads=(2, 2))
    net, xs = forecaster(encoding), demand_stream()
    model = refused(net, encoding, SCORE1)
    if model is not None:
        assert_close(run(model, xs, way), SensorOracle(net, encoding, SCORE1).run(xs))


def test_a_forecast_with_learned_statistics_is_in_real_units(way):
    """[normalize] by = "stream" with task "forecast": real units come from the learned mean and spread."""
    net, xs = forecaster(LEARNED), pump_stream(60)
    model = refused(net, LEARNED)
    if model is None:
        return
    mean, std = xs[:20].mean(axis=0), xs[:20].std(axis=0)
    forecast, _ = net.predict(((xs - mean) / std)[None], verbose=0)
    # The 20 steps of learning saw other statistics; a GRU of 6 units has forgotten them 30 steps later.
    np.testing.assert_allclose(run(model, xs, way)[50:], (forecast[0] * std + mean)[50:], rtol=0.05)


def test_reset_forgets_everything(way):
    xs = missing_some(pump_stream(60))
    model = float_model(forecaster(LEARNED), LEARNED, SCORE3)
    runtime = load_model(model, **way)
    first = [runtime.step(x) for x in xs]
    runtime.reset()
    np.testing.assert_array_equal([runtime.step(x) for x in xs], first)


def quantized(encoding, xs):
    net = forecaster(encoding)
    twin = quantize_aware(net)
    calibrate(twin, [encoding.encode(xs)[None]])
    return net, twin


def test_int8_inside_float_outside():
    """TFLite Micro and LiteRT's built-in kernels agree to the bit on what the integers decide; only the float
    arithmetic around (SIN, order of sums) may differ, by rounding."""
    net, twin = quantized(DEMAND, demand_stream(500, seed=7))
    artifact, xs = convert(twin, encoding=DEMAND), missing_some(demand_stream(500))
    tflm, builtin = (run(artifact.tflite, xs, WAYS[way]) for way in ("tflm", "litert-builtin"))
    quantum = artifact.manifest["outputs"][0]["quantum"]
    np.testing.assert_allclose(builtin, tflm, rtol=0, atol=quantum * 1.01)
    expected = SensorOracle(net, DEMAND).run(xs)
    # 10 % of the span: int8 state and 15 % of the readings replaced by forecasts of an untrained network.
    assert np.sqrt(np.mean((tflm - expected) ** 2)) < 0.1 * np.ptp(expected)


def test_int8_score_with_a_delay_line_of_integers():
    encoding = dataclasses.replace(PUMP, leads=(30, 30))
    net, twin = quantized(encoding, pump_stream(500, seed=7))
    artifact, xs = convert(twin, encoding=encoding, score=SCORE3), pump_stream(400)
    pending = next(state for state in artifact.manifest["states"] if state["name"] == "pending")
    assert (pending["dtype"], pending["shape"]) == ("int8", [90])
    expected = SensorOracle(net, encoding, SCORE3).run(xs)
    for way in ("tflm", "litert"):
        ours = run(artifact.tflite, xs, WAYS[way])
        assert (ours[:30] == 0).all()
        np.testing.assert_allclose(ours, expected, rtol=0, atol=0.1 * expected.max())


def test_manifest_says_columns_units_and_quantum():
    _, twin = quantized(DEMAND, demand_stream(200))
    manifest = convert(twin, encoding=DEMAND).manifest
    assert manifest["inputs"][0]["columns"] == [
        {"name": name, "unit": unit} for name, unit in zip(DEMAND.columns, DEMAND.units, strict=True)]
    (output,) = manifest["outputs"]
    assert (output["name"], output["targets"], output["unit"]) == ("forecast", ["count"], "rides/h")
    assert output["leads"] == [1, 3]
    assert output["quantum"] == pytest.approx(twin.get_layer("forecast").output_quantizer.affine.scale * 90)
    anomaly = convert(forecaster(PUMP), activations="float32", encoding=PUMP, score=SCORE3).manifest
    assert (anomaly["outputs"][0]["name"], anomaly["outputs"][0]["shape"], anomaly["threshold"]) == ("score", [1], 1.0)
