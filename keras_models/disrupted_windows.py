"""Windows in which the targets are off for a while: a strike, a storm, an event; training data has few of them."""

import numpy as np

from keras_models.feature_encoding import FeatureEncoding

FACTORS = (0.2, 1.3)  # of what would have been: much less, or somewhat more
SHORTEST = 6  # steps
LONGEST_RAMP = 12  # steps to the factor, and back


def disrupted(x: np.ndarray, encoding: FeatureEncoding, random: np.random.Generator) -> np.ndarray:
    """(rows, columns) raw readings, the targets multiplied by one factor from one row on for a while.

    It lasts from SHORTEST steps to as long as lags reach back (the whole window where there are none), as often up to
    the geometric mean of the two as above it, and begins among the rows that are fed or asked for.
    """
    rows, first = np.arange(len(x)), encoding.history - encoding.memory  # before it only what is usual is learned
    steps = round(np.exp(random.uniform(*np.log([SHORTEST, max(encoding.memory or len(x), SHORTEST)]))))
    begin = random.integers(first - steps // 2, len(x))
    slope = np.minimum(rows - begin, begin + steps - rows) / random.integers(1, LONGEST_RAMP, endpoint=True)
    factor = 1 + (random.uniform(*FACTORS) - 1) * np.clip(slope, 0, 1)
    off = x.copy()
    off[:, list(encoding.targets)] *= factor[:, None].astype(x.dtype)
    return off
