"""Window shards of a dataset as tf.data batches of network features and targets."""

from pathlib import Path

import numpy as np
import tensorflow as tf

from keras_models.feature_encoding import FeatureEncoding, fill_missing, stream_statistics


def training_batches(
    folder: Path, dataset: dict, encoding: FeatureEncoding, batch: int, seed: int
) -> tuple[tf.data.Dataset, tf.data.Dataset]:
    """The training batches, shuffled anew each epoch, and the validation batches."""
    return (
        window_batches(folder, "train", dataset, encoding, batch, seed),
        window_batches(folder, "validation", dataset, encoding, batch),
    )


def window_batches(
    folder: Path, part: str, dataset: dict, encoding: FeatureEncoding, batch: int, seed: int | None = None
) -> tf.data.Dataset:
    """Batches (features, (forecast, following, ...)) of one part, all in standard deviations, float32.

    features: (batch, steps, encoding.width), missing readings filled with the last one seen; the first readings of a
    window, to which lags reach back, are no steps. forecast: (batch, steps, leads * targets) and following:
    (batch, steps, measured), NaN where not known; behind them the forecast again for each quantile.
    Kept in memory after the first epoch; shuffled anew each epoch when `seed` is given.
    """
    files = sorted(str(path) for path in (Path(folder) / "windows").glob(f"{part}-*.tfrecord"))
    length, width = dataset["windows"]["length"], len(encoding.columns)
    rows = length + dataset["windows"]["last_lead"]
    statistics = stream_statistics(dataset, encoding)
    form = {"x": tf.io.FixedLenFeature((rows, width), tf.float32), "stream": tf.io.FixedLenFeature((), tf.string)}

    def arrays(x, stream):
        return encode_window(x, length, encoding, *statistics(stream.decode()))

    def parse(record):
        example = tf.io.parse_single_example(record, form)
        outputs = tf.numpy_function(arrays, [example["x"], example["stream"]], [tf.float32] * 3, stateful=False)
        widths, steps = (encoding.width, encoding.outputs, encoding.measured), length - encoding.history
        features, forecast, following = (tf.ensure_shape(o, (steps, w)) for o, w in zip(outputs, widths, strict=True))
        return features, (forecast, following, *[forecast] * len(encoding.quantiles))

    count = dataset["counts"]["windows"][part]
    windows = tf.data.TFRecordDataset(files).map(parse).apply(tf.data.experimental.assert_cardinality(count)).cache()
    if seed is not None:
        windows = windows.shuffle(16384, seed=seed, reshuffle_each_iteration=True)
    return windows.batch(batch).prefetch(2)


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
