"""The loss by hand, and a training round that never leaves a worse model."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_models.fit_model import (
    beside_trust,
    fit_model,
    masked_geometric,
    masked_mae,
    masked_pinball,
    masked_trusted,
    write_history,
)

NAN = np.nan


def test_loss_by_hand():
    """Warm-up steps and unknown targets do not count."""
    truth = tf.constant([[[100.0], [1.0], [NAN], [3.0]]])
    forecast = tf.constant([[[0.0], [2.0], [50.0], [1.0]]])
    assert float(masked_mae(1)(truth, forecast)) == pytest.approx((1 + 2) / 2)


def test_geometric_loss_by_hand():
    """Warm-up steps and unknown targets do not count, nor does an output of which nothing is known."""
    truth = tf.constant([[[100.0, 0.0, NAN], [1.0, 0.1, NAN], [NAN, -0.1, NAN], [3.0, 0.1, NAN]]])
    forecast = tf.constant([[[0.0, 9.0, 1.0], [2.0, 0.0, 1.0], [50.0, 0.0, 1.0], [1.0, 0.0, 1.0]]])
    assert float(masked_geometric(1)(truth, forecast)) == pytest.approx((2.5 * 0.01) ** 0.5, rel=0.01)
    assert float(masked_geometric(0)(truth * NAN, forecast)) == 0


@pytest.mark.parametrize(("loss", "learned"), [("absolute", 0.0), ("geometric", 0.25)])
def test_what_a_loss_learns(tmp_path, loss, learned):
    """A channel that rests three times of four: the median of its readings is 0, the mean a fourth."""
    x = keras.Input((None, 1))
    heads = [keras.layers.Dense(1, kernel_initializer="zeros", name=name)(x) for name in ("forecast", "following")]
    model = keras.Model(x, heads)
    truth = np.tile(np.float32([0, 0, 0, 1]), 8).reshape(4, 8, 1)
    batches = tf.data.Dataset.from_tensor_slices((np.zeros_like(truth), (truth, truth))).batch(4)
    options = dict(epochs=60, rate=0.05, patience=60, warmup=0, weight_decay=0.0, logs=tmp_path)
    fit_model(model, batches, batches, loss=loss, **options)
    assert float(model.predict_on_batch(np.zeros((1, 1, 1)))[0].item()) == pytest.approx(learned, abs=0.02)


def test_trusted_loss_by_hand():
    """Window by window three tenths of the mean error stay; what is left is weighted and smoothed from the first step
    on; log mean of its square less mean log trust^2, by output."""
    rng = np.random.default_rng(4)
    truth, forecast = rng.normal(size=(2, 3, 7, 2)).astype(np.float32)
    trust = rng.uniform(0.1, 0.9, size=(3, 7, 2)).astype(np.float32)
    truth[0, 4:, 0], truth[1, 5, 1], truth[2, :, 0] = NAN, NAN, NAN
    likelihoods = []
    for output in range(2):
        weighted, logs = [], []
        for window in range(3):
            errors = [float(truth[window, t, output] - forecast[window, t, output]) for t in range(7)]
            judged = [error for error in errors[2:] if np.isfinite(error)]
            smoothed = 0.0
            for t, error in enumerate(errors):
                gate = float(trust[window, t, output])
                moved = gate * (error - 0.7 * sum(judged) / len(judged)) if np.isfinite(error) else 0.0
                smoothed = 0.8 * smoothed + 0.2 * moved
                if t >= 2 and np.isfinite(error):
                    weighted.append(smoothed**2 + 1e-4 * gate**2)
                    logs.append(np.log(gate**2))
        likelihoods.append(np.log(np.mean(weighted)) - np.mean(logs))
    outputs = np.concatenate([forecast, trust], axis=-1)
    expected = pytest.approx(np.exp(np.mean(likelihoods)), rel=1e-4)
    loss = masked_trusted(2, 0.2)
    assert float(loss(truth, outputs)) == expected
    assert float(loss(truth, outputs / np.float32([1, 1, 2, 2]))) == expected, "what counts is the change"
    assert float(loss(truth * NAN, outputs)) == 0


def test_trust_is_learned_where_the_forecast_can_know(tmp_path):
    """Noise of 1 in windows whose feature is 1 and of .1 where it is 0: the trust of these steps is as 1 to 10."""
    x = keras.Input((None, 1))
    heads = [keras.layers.Dense(1, name="forecast")(x), keras.layers.Dense(1, name="following")(x),
             keras.layers.Dense(1, "sigmoid", name="trust")(x)]  # fmt: skip
    model, rng = keras.Model(x, heads), np.random.default_rng(0)
    features = np.repeat(rng.integers(0, 2, size=(64, 1, 1)), 50, axis=1).astype(np.float32)
    truth = (rng.normal(size=features.shape) * np.where(features > 0, 1.0, 0.1)).astype(np.float32)
    batches = tf.data.Dataset.from_tensor_slices((features, (truth, truth))).batch(16)
    options = dict(epochs=150, rate=0.05, patience=150, warmup=0, weight_decay=0.0, logs=tmp_path)
    fit_model(beside_trust(model), batches, batches, loss="geometric", trust=1.0, **options)
    known, unknown = model.predict_on_batch(np.float32([[[0.0], [1.0]]]))[2][0, :, 0]
    assert known / unknown == pytest.approx(10, rel=0.1)


def test_an_error_that_goes_on_is_trusted_less_than_noise(tmp_path):
    """Both are as large step by step. Smoothed by .05 noise is sqrt(.05 / 1.95) = .16 of that; what turns its sign
    every 100 steps stays, but for where it turns.
    """
    x = keras.Input((None, 1))
    heads = [keras.layers.Dense(1, name="forecast")(x), keras.layers.Dense(1, name="following")(x),
             keras.layers.Dense(1, "sigmoid", name="trust")(x)]  # fmt: skip
    model, rng = keras.Model(x, heads), np.random.default_rng(0)
    features = np.repeat(np.arange(64).reshape(64, 1, 1) % 2, 400, axis=1).astype(np.float32)
    slow = np.sign(np.sin(np.arange(400)[:, None] * np.pi / 100 + rng.uniform(0, 6, size=(64, 1, 1))))
    truth = np.where(features > 0, slow, rng.choice([-1.0, 1.0], size=features.shape)).astype(np.float32)
    batches = tf.data.Dataset.from_tensor_slices((features, (truth, truth))).batch(16)
    options = dict(epochs=150, rate=0.05, patience=150, warmup=60, weight_decay=0.0, logs=tmp_path)
    fit_model(beside_trust(model), batches, batches, loss="geometric", trust=0.05, **options)
    noise, lasting = model.predict_on_batch(np.float32([[[0.0], [1.0]]]))[2][0, :, 0]
    levels = np.zeros(400)
    for t in range(1, 400):
        levels[t] = levels[t - 1] + 0.05 * (slow[0, t, 0] - levels[t - 1])
    assert noise / lasting == pytest.approx(np.sqrt(np.mean(levels[60:] ** 2)) / np.sqrt(0.05 / 1.95), rel=0.15)


def test_pinball_by_hand():
    """An error above the 0.9 quantile costs nine times as much as one below it; that of the median is the MAE."""
    truth = tf.constant([[[100.0], [1.0], [NAN], [3.0]]])
    forecast = tf.constant([[[0.0], [2.0], [50.0], [1.0]]])
    assert float(masked_pinball(0.9, 1)(truth, forecast)) == pytest.approx(2 * (0.1 * 1 + 0.9 * 2) / 2)
    assert float(masked_pinball(0.5, 1)(truth, forecast)) == pytest.approx(float(masked_mae(1)(truth, forecast)))


@pytest.mark.parametrize("quantile", [0.1, 0.75])
def test_pinball_is_least_at_the_quantile(quantile):
    truth = tf.constant(np.random.default_rng(3).normal(size=(1, 1001, 1)).astype(np.float32))
    loss, tried = masked_pinball(quantile, 0), np.arange(0.05, 1, 0.05)
    losses = {q: float(loss(truth, truth * 0 + np.quantile(truth, q))) for q in tried}
    assert min(losses, key=losses.get) == pytest.approx(quantile)


@pytest.mark.parametrize("masked", [masked_mae, masked_geometric])
def test_nothing_known_is_no_loss_and_no_gradient(masked):
    forecast = tf.Variable([[[1.0]]])
    with tf.GradientTape() as tape:
        loss = masked(0)(tf.constant([[[NAN]]]), forecast)
    assert float(loss) == 0
    np.testing.assert_array_equal(tape.gradient(loss, forecast), [[[0.0]]])


def two_headed():
    keras.utils.set_random_seed(1)
    x = keras.Input((None, 2))
    state = keras.layers.GRU(3, return_sequences=True)(x)
    return keras.Model(x, [keras.layers.Dense(1)(state), keras.layers.Dense(2)(state)], name="small")


def windows(seed):
    x = np.random.default_rng(seed).normal(size=(16, 10, 2)).astype(np.float32)
    forecast = x[:, :, :1] * 0.5
    forecast[0, 0] = NAN
    return tf.data.Dataset.from_tensor_slices((x, (forecast, x))).batch(8)


def fit(model, tmp_path, **changes):
    options = dict(epochs=4, rate=0.01, patience=4, warmup=1, weight_decay=0.0, logs=tmp_path) | changes
    return fit_model(model, windows(0), windows(1), **options)


def validation_loss(model):
    model.compile(loss=[masked_mae(1)] * 2, loss_weights=[1.0, 0.1])
    return model.evaluate(windows(1), verbose=0, return_dict=True)["loss"]


def test_it_learns_and_keeps_the_best_epoch(tmp_path):
    model = two_headed()
    before = validation_loss(model)
    history = fit(model, tmp_path)
    best = min(record["val_loss"] for record in history)
    assert [record["epoch"] for record in history] == [1, 2, 3, 4]
    assert validation_loss(model) == pytest.approx(best, rel=1e-5) and best < before


def test_a_rate_that_ruins_the_model_leaves_it_as_it_was(tmp_path):
    model = two_headed()
    before = model.get_weights()
    history = fit(model, tmp_path, rate=50.0, patience=2)
    assert len(history) == 2, "it stops when the loss stalls"
    for one, other in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(one, other)


def test_history_file(tmp_path):
    write_history(tmp_path / "history.csv", {"float": [{"epoch": 1, "loss": 0.5, "val_loss": 1 / 3}], "qat": []})
    assert (tmp_path / "history.csv").read_text().split() == ["epoch,loss,val_loss,phase", "1,0.5,0.333333,float"]
