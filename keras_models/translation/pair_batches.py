"""Batches of one bucket of lengths each, padded to its steps."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import tensorflow as tf

from keras_models.untuned_data import untuned
from pipeline.text.pair_shards import read_shards
from pipeline.text.unigram import END, PAD, START


class PairBatches:
    """((source with END, START with target), target with END), int32 (batch, steps), in another order every epoch.

    A source is read from its last sub-word to its first: that one, which the translation begins with, is then the one
    read last (Sutskever, Vinyals and Le, Sequence to Sequence Learning with Neural Networks, 2014, section 3.3).

    The last batch of a bucket is filled up with padding: XLA compiles the loops over time for every size of a batch.
    """

    def __init__(self, folder: Path, dataset: dict, part: str, batch: int, seed: int | None = None):
        """seed: of the order; None: always the same."""
        self.batch, self.random = batch, None if seed is None else np.random.default_rng(seed)
        self.buckets = [
            (
                _padded(map(reversed, table["source_ids"].to_pylist()), steps[0]),
                _padded(table["target_ids"].to_pylist(), steps[1]),
            )
            for steps, table in read_shards(folder, dataset["files"], part)
        ]

    def __len__(self) -> int:
        return sum(-(-len(sources) // self.batch) for sources, _ in self.buckets)

    def __iter__(self):
        batches = [part for bucket in self.buckets for part in self._batches(*bucket)]
        if self.random is not None:
            batches = [batches[i] for i in self.random.permutation(len(batches))]
        for sources, targets in batches:
            heads = np.full((self.batch, 1), START, np.int32)
            yield (sources, np.concatenate([heads, targets[:, :-1]], axis=1)), targets

    def dataset(self) -> tf.data.Dataset:
        """For `fit`; as long as one epoch."""
        ids = tf.TensorSpec((self.batch, None), tf.int32)
        data = tf.data.Dataset.from_generator(lambda: iter(self), output_signature=((ids, ids), ids))
        return untuned(data.apply(tf.data.experimental.assert_cardinality(len(self))))

    def _batches(self, sources: np.ndarray, targets: np.ndarray):
        order = np.arange(len(sources)) if self.random is None else self.random.permutation(len(sources))
        for start in range(0, len(order), self.batch):
            rows = order[start : start + self.batch]
            yield tuple(_filled(array[rows], self.batch) for array in (sources, targets))


def _padded(sentences: Iterable[Iterable[int]], steps: int) -> np.ndarray:
    """(sentences, steps): each with END behind it, then PAD."""
    rows = [[*tokens, END] for tokens in sentences]
    return np.array([row + [PAD] * (steps - len(row)) for row in rows], np.int32)


def _filled(rows: np.ndarray, batch: int) -> np.ndarray:
    return np.concatenate([rows, np.full((batch - len(rows), rows.shape[1]), PAD, rows.dtype)])
