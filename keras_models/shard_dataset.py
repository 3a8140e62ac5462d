"""Window shards of a dataset as tf.data batches of network features and targets."""

from functools import partial
from pathlib import Path

import numpy as np
import tensorflow as tf

from keras_models.disrupted_windows import disrupted
from keras_models.feature_encoding import FeatureEncoding, fill_missing, stream_statistics
from keras_models.untuned_data import untuned
from pipeline.scenario import ModelSettings


def training_batches(
    folder: Path, dataset: dict, encoding: FeatureEncoding, settings: ModelSettings, seed: int
) -> tuple[tf.data.Dataset, tf.data.Dataset]:
    """The training batches, shuffled and disrupted anew each epoch, and the validation batches."""
    return (
        window_batches(folder, "train", dataset, encoding, settings.batch, seed, settings.disruptions),
        window_batches(folder, "validation", dataset, encoding, settings.batch),
    )


def window_batches(
    folder: Path,
    part: str,
    dataset: dict,
    encoding: FeatureEncoding,
    batch: int,
    seed: int | None = None,
    disruptions: float = 0.0,
) -> tf.data.Dataset:
    """Batches (features, (forecast, following, ...)) of one part, all in standard deviations, float32.

    features: (batch, steps, encoding.width), missing readings filled with the last one seen; the first readings of a
    window, to which lags reach back, are no steps. forecast: (batch, steps, leads * targets) and following:
    (batch, steps, measured), NaN where not known; behind them the forecast again for each quantile.
    Kept in memory after the first epoch; shuffled anew each epoch when `seed` is given, and then a share of
    `disruptions` of the windows is `disrupted`, others each time.
    """
    files = sorted(str(path) for path in (Path(folder) / "windows").glob(f"{part}-*.tfrecord"))
    length, width = dataset["windows"]["length"], len(encoding.columns)
    rows = length + dataset["windows"]["last_lead"]
    statistics = stream_statistics(dataset, encoding)
    form = {"x": tf.io.FixedLenFeature((rows, width), tf.float32), "stream": tf.io.FixedLenFeature((), tf.string)}

    def arrays(x, stream, drawn):
        random = np.random.default_rng(drawn)
        if random.random() < disruptions:
            x = disrupted(x, encoding, random)
        return encode_window(x, length, encoding, *statistics(stream.decode()))

    def encode(example, drawn=0):
        example = tf.io.parse_single_example(example, form)
        given = [example["x"], example["stream"], drawn]
        outputs = tf.numpy_function(arrays, given, [tf.float32] * 3, stateful=False)
        widths, steps = (encoding.width, encoding.outputs, encoding.measured), length - encoding.history
        features, forecast, following = (tf.ensure_shape(o, (steps, w)) for o, w in zip(outputs, widths, strict=True))
        return features, (forecast, following, *[forecast] * len(encoding.quantiles))

    count = dataset["counts"]["windows"][part]
    records = tf.data.TFRecordDataset(files).apply(tf.data.experimental.assert_cardinality(count))
    shuffled = partial(tf.data.Dataset.shuffle, buffer_size=16384, seed=seed, reshuffle_each_iteration=True)
    if disruptions:
        draws = tf.data.Dataset.random(seed, rerandomize_each_iteration=True)
        windows = tf.data.Dataset.zip(shuffled(records.cache()), draws).map(encode)
    else:
        windows = records.map(encode).cache()
        windows = windows if seed is None else shuffled(windows)
    return untuned(windows.batch(batch).prefetch(2))


def encode_window(x: np.ndarray, length: int, encoding: FeatureEncoding, mean=None, std=None):
    """One window (length + last lead, columns) of raw readings -> features, forecast and following targets."""
    standardized = encoding.standardize(x[:, : encoding.measured], mean, std)
    features = fill_missing(encoding.encode(x[:length], mean, std))
    steps = np.arange(encoding.history, length)
    leads = steps[:, None] + np.arange(encoding.leads[0], encoding.leads[1] + 1)[None]
    forecast = standardized[leads][:, :, list(encoding.targets)].reshape(len(steps), -1)
    following = standardized[steps + 1]
    if encoding.level:
        levels = encoding.levels(features)[encoding.history - encoding.memory :]
        forecast = forecast - levels
        following[:, list(encoding.targets)] -= levels
    return encoding.with_lags(features), forecast, following
