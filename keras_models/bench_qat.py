"""What an epoch of quantization-aware training costs against one of the plain Keras layer, in one process, in turns."""

import time
from collections.abc import Callable

import keras
import numpy as np

CELLS = ("GRU", "LSTM", "SimpleRNN")
TIMESTEPS, FEATURES, UNITS, BATCH, BATCHES = 64, 8, 32, 64, 30
ROUNDS = 11
Entry = dict[str, object]


def bench_cells(twin: Callable[[keras.Model], keras.Model]) -> list[Entry]:
    """The entries of `bench_epoch` for one layer of each cell, 32 units over 64 time steps of 8 features.

    Args:
        twin: the quantization-aware model of a plain one, e.g. `quantize_aware`.
    """
    xs, ys = _sequences()
    entries = []
    for cell in CELLS:
        keras.utils.set_random_seed(0)
        x = keras.Input((TIMESTEPS, FEATURES))
        plain = keras.Model(x, getattr(keras.layers, cell)(UNITS, return_sequences=True)(x))
        name = f"QAT epoch, {cell} of {UNITS} units"
        entries.append(bench_epoch(name, twin(plain), plain, f"keras.layers.{cell}", xs, ys))
    return entries


def bench_epoch(
    name: str, ours: keras.Model, rival: keras.Model, rival_name: str, xs: np.ndarray, ys: np.ndarray
) -> Entry:
    """An epoch of `ours` against an epoch of `rival`, both compiled and fit as Keras does by default.

    Both are trained: by Adam on the mean squared error, an epoch per round, who goes first changes from round to round.
    What comes once (tracing, compiling, calibration) is not counted.

    Args:
        name, rival_name: of the entry.
        xs, ys: what both are fit to, (sequences, timesteps, ...) float32, in batches of 64.

    Returns:
        {name, unit, ours, rival, rival_name, ratio{min, median, max}}: milliseconds per batch, medians over the
        rounds. A ratio is formed within a round, below 1 means ours is faster.
    """
    sides = ((ours, []), (rival, []))
    for model, _ in sides:
        model.compile("adam", "mse")
        _epoch(model, xs, ys)
    for turn in range(ROUNDS):
        for model, times in sides if turn % 2 == 0 else sides[::-1]:
            times.append(_epoch(model, xs, ys) * 1000 / -(-len(xs) // BATCH))
    (_, our_times), (_, rival_times) = sides
    ratios = np.asarray(our_times) / np.asarray(rival_times)
    return {
        "name": name,
        "unit": "ms/batch",
        "ours": float(np.median(our_times)),
        "rival": float(np.median(rival_times)),
        "rival_name": rival_name,
        "ratio": {"min": float(ratios.min()), "median": float(np.median(ratios)), "max": float(ratios.max())},
    }


def _epoch(model: keras.Model, xs: np.ndarray, ys: np.ndarray) -> float:
    """Seconds."""
    start = time.perf_counter()
    model.fit(xs, ys, batch_size=BATCH, verbose=0)
    return time.perf_counter() - start


def _sequences() -> tuple[np.ndarray, np.ndarray]:
    """Noise, and its slow sum as what is to be learned of it."""
    xs = np.random.default_rng(0).normal(size=(BATCH * BATCHES, TIMESTEPS, FEATURES)).astype(np.float32)
    sums = np.tanh(np.cumsum(xs[..., :1], axis=1) / 5).astype(np.float32)
    return xs, np.repeat(sums, UNITS, axis=-1)
