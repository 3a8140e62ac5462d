"""A causal Transformer as baseline of the recurrent forecasters: same inputs, same outputs, as many parameters.

Pre-norm blocks (Xiong et al. 2020) with attention over the last `context` steps, whose ages bias the scores (ALiBi,
Press et al. 2022): no table of positions, so a cache can slide. Three ways to say the same: over whole sequences for
training, of the last step of a window that is encoded anew, and of one step beside a cache of keys and values.
"""

from dataclasses import dataclass

import keras
import tensorflow as tf

from keras_models.feature_encoding import FeatureEncoding

EPSILON = 1e-5
NEVER = -1e9  # added to the score of a step that must not be seen


@dataclass(frozen=True)
class TransformerSizes:
    """`width` of a step inside, a multiple of `heads`; `outputs`: widths of forecast, following, and each quantile."""

    features: int
    outputs: tuple[int, ...]
    width: int
    context: int
    blocks: int = 2
    heads: int = 2
    widening: int = 2


class AttentionBlock(keras.layers.Layer):
    """x + attention(norm(x)), then x + feed-forward(norm(x))."""

    def __init__(self, sizes: TransformerSizes, **options):
        super().__init__(**options)
        self.heads, self.width = sizes.heads, sizes.width
        self.query, self.key, self.value = (keras.layers.Dense(sizes.width, use_bias=False) for _ in range(3))
        self.mix = keras.layers.Dense(sizes.width)
        self.widen = keras.layers.Dense(sizes.widening * sizes.width, activation="relu")
        self.narrow = keras.layers.Dense(sizes.width)
        self.gains = [self.add_weight(shape=(sizes.width,), initializer="ones", name=f"gain{i}") for i in range(2)]

    def build(self, shape):
        for layer in (self.query, self.key, self.value, self.mix, self.widen):
            layer.build((*shape[:-1], self.width))
        self.narrow.build((*shape[:-1], self.widen.units))

    def keys_values(self, x: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """(batch, steps, width) each."""
        normed = normalized(x, self.gains[0])
        return self.key(normed), self.value(normed)

    def attend(self, x: tf.Tensor, keys: tf.Tensor, values: tf.Tensor, ages: tf.Tensor, seen: tf.Tensor) -> tf.Tensor:
        """x (batch, queries, width) after seeing keys and values (batch, steps, width).

        Args:
            ages: (queries, steps), steps from key to query.
            seen: added to the scores, 0 or NEVER; broadcasts to (batch, queries, steps).
        """
        size, parts = self.width // self.heads, []
        query = self.query(normalized(x, self.gains[0])) * size**-0.5
        of_heads = zip(*(tf.split(tensor, self.heads, -1) for tensor in (query, keys, values)), strict=True)
        for head, (q, k, v) in enumerate(of_heads):
            slope = 2.0 ** (-8.0 * (head + 1) / self.heads)
            scores = tf.matmul(q, k, transpose_b=True) - slope * ages + seen
            parts.append(tf.matmul(tf.nn.softmax(scores), v))
        x = x + self.mix(tf.concat(parts, -1))
        return x + self.narrow(self.widen(normalized(x, self.gains[1])))


class StreamTransformer(keras.Model):
    """(batch, timesteps, features) -> [forecast, following, quantiles ..], as `build_forecaster`."""

    def __init__(self, sizes: TransformerSizes):
        super().__init__(name="transformer_forecaster")
        self.sizes = sizes
        self.embed = keras.layers.Dense(sizes.width)
        self.stack = [AttentionBlock(sizes, name=f"block{i}") for i in range(sizes.blocks)]
        self.gain = self.add_weight(shape=(sizes.width,), initializer="ones", name="gain")
        self.ends = [keras.layers.Dense(width) for width in sizes.outputs]

    def build(self, shape):
        self.embed.build(shape)
        for block in self.stack:
            block.build((*shape[:-1], self.sizes.width))
        for end in self.ends:
            end.build((*shape[:-1], self.sizes.width))

    def call(self, x, training=False):
        x, (ages, seen) = self.embed(x), self._band(tf.shape(x)[1])
        for block in self.stack:
            x = block.attend(x, *block.keys_values(x), ages, seen)
        return self._out(x)

    def last_of_window(self, x: tf.Tensor) -> list[tf.Tensor]:
        """(batch, steps, features) encoded anew -> outputs (batch, width) of the last step.

        Of the last block only the last step is computed, which nobody would do otherwise.
        """
        x, (ages, seen) = self.embed(x), self._band(x.shape[1])
        for block in self.stack[:-1]:
            x = block.attend(x, *block.keys_values(x), ages, seen)
        x = self.stack[-1].attend(x[:, -1:], *self.stack[-1].keys_values(x), ages[-1:], seen[-1:])
        return [output[:, 0] for output in self._out(x)]

    def step(self, x: tf.Tensor, past: list[tf.Tensor], seen: tf.Tensor) -> tuple[list[tf.Tensor], list[tf.Tensor]]:
        """One reading beside the cache: outputs (batch, width), and the rows to append to the cache.

        Args:
            x: (batch, features).
            past: keys and values of each block in turn, (batch, context - 1, width), the oldest first; the caller
                shifts them and appends the rows, so that no copy of the cache is made here.
            seen: (batch, context - 1), 0 or NEVER where there was no step yet.
        """
        steps = past[0].shape[1]
        ages = tf.range(steps, -1, -1, dtype=tf.float32)[tf.newaxis]
        seen = tf.concat([seen, tf.zeros_like(seen[:, :1])], 1)[:, tf.newaxis]
        x, rows = self.embed(x[:, tf.newaxis]), []
        for block, keys, values in zip(self.stack, past[::2], past[1::2], strict=True):
            key, value = block.keys_values(x)
            rows += [key, value]
            x = block.attend(x, tf.concat([keys, key], 1), tf.concat([values, value], 1), ages, seen)
        return [output[:, 0] for output in self._out(x)], rows

    def cache_of(self, x: tf.Tensor) -> list[tf.Tensor]:
        """Keys and values of each block in turn, (batch, steps, width), of a sequence (batch, steps, features)."""
        x, (ages, seen), cache = self.embed(x), self._band(tf.shape(x)[1]), []
        for block in self.stack:
            cache += block.keys_values(x)
            x = block.attend(x, *cache[-2:], ages, seen)
        return cache

    def _band(self, steps) -> tuple[tf.Tensor, tf.Tensor]:
        """Ages (steps, steps), and what must not be seen of them: the future, and what is older than the context."""
        at = tf.range(steps)
        ages = at[:, tf.newaxis] - at
        hidden = (ages < 0) | (ages >= self.sizes.context)
        return tf.cast(ages, tf.float32), tf.where(hidden, NEVER, 0.0)

    def _out(self, x: tf.Tensor) -> list[tf.Tensor]:
        x = normalized(x, self.gain)
        return [end(x) for end in self.ends]


def normalized(x: tf.Tensor, gain: tf.Tensor) -> tf.Tensor:
    """To mean 0 and variance 1 along the last axis, times `gain`."""
    x = x - tf.reduce_mean(x, -1, keepdims=True)
    return x * tf.math.rsqrt(tf.reduce_mean(tf.square(x), -1, keepdims=True) + EPSILON) * gain


def parameters(sizes: TransformerSizes) -> int:
    """How many weights there are."""
    width, wide = sizes.width, sizes.widening * sizes.width
    block = 3 * width**2 + width * (width + 1) + wide * (width + 1) + width * (wide + 1) + 2 * width
    return (sizes.features + 1) * width + sizes.blocks * block + width + sum(sizes.outputs) * (width + 1)


def build_transformer(encoding: FeatureEncoding, allowed: int, context: int) -> StreamTransformer:
    """The widest with at most as many parameters as allowed.

    Raises:
        ValueError: not even one of width 2 has so few.
    """
    outputs = encoding.outputs, encoding.measured, *[encoding.outputs] * len(encoding.quantiles)
    best = None
    width = TransformerSizes.heads
    while parameters(sizes := TransformerSizes(encoding.width, outputs, width, context)) <= allowed:
        best, width = sizes, width + TransformerSizes.heads
    if best is None:
        raise ValueError(f"no Transformer has at most {allowed:,} parameters with these inputs and outputs")
    model = StreamTransformer(best)
    model.build((None, context, encoding.width))
    return model
