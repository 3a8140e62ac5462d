"""Attention on real numbers."""

from keras import ops

EMPTY = -1e9  # the score of a place that holds nothing


def attended(query, memory, filled):
    """The mean of the memory, weighted by the softmax of its products with the query, (batch, width).

    Args:
        query: (batch, width).
        memory: (batch, places, width).
        filled: (batch, 1), how many places count.
    """
    places = ops.arange(ops.shape(memory)[1], dtype="float32")
    scores = ops.einsum("bw,bpw->bp", query, memory)
    scores = ops.where(places[None, :] < ops.cast(filled, "float32"), scores, EMPTY)
    return ops.einsum("bp,bpw->bw", ops.softmax(scores, axis=-1), memory)
