"""Weights that are kept near each other while they are learned, so that the int8 steps between them are fine."""

import keras
from keras import ops


@keras.saving.register_keras_serializable("edgernn")
class BoundedWeights(keras.constraints.Constraint):
    """Keeps the elements of a matrix within `bound` times their root mean square.

    The step of int8 weights is a 127th of the largest. Learned freely, the largest is 3 to 13 times the root mean
    square, and all the others are stored that much more coarsely for the few beyond, say, 2.5 times.
    """

    def __init__(self, bound: float):
        self.bound = bound

    def __call__(self, weights):
        limit = self.bound * ops.sqrt(ops.mean(ops.square(weights)))
        return ops.clip(weights, -limit, limit)

    def get_config(self):
        return {"bound": self.bound}


def bound_matrices(model: keras.Model, bound: float) -> None:
    """Has the optimizer keep every matrix of `model` so, its biases free."""
    for weight in model.trainable_variables:
        if len(weight.shape) == 2 and weight.name != "bias":
            weight.constraint = BoundedWeights(bound)
