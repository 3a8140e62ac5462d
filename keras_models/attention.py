"""Attention on real numbers."""

from keras import ops

EMPTY = -1e9  # the score of a place that holds nothing


def attended(query, memory, filled):
    """The mean of the memory, weighted by the softmax of its products with each query.

    Args:
        query: (batch, timesteps, width).
        memory: (batch, places, width).
        filled: (batch, 1), how many places count.
    """
    places = ops.arange(ops.shape(memory)[1], dtype="float32")
    scores = ops.matmul(query, ops.transpose(memory, (0, 2, 1)))
    scores = ops.where(places[None, None, :] < ops.cast(filled, "float32")[:, :, None], scores, EMPTY)
    return ops.matmul(ops.softmax(scores, axis=-1), memory)
