"""The loop over time against `keras.layers.RNN` and against loops written out, values and gradients."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_models.recurrence import run_recurrence

BATCH, TIMESTEPS, FEATURES, UNITS = 3, 7, 2, 4


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(0, 0.5, shape).astype(np.float32)


INPUTS, STATES = normal(BATCH, TIMESTEPS, FEATURES, seed=1), normal(BATCH, UNITS, seed=2)
KERNEL, RECURRENT = normal(FEATURES, UNITS, seed=3), normal(UNITS, UNITS, seed=4)
KNOWN = np.array([[1, 1, 1, 1, 1, 1, 1], [0, 0, 1, 1, 0, 1, 0], [0, 0, 0, 0, 0, 0, 0]], bool)


def two_state_step(kernel, recurrent):
    """Two inputs, two states of different widths, and an output that is none of them."""

    def step(inputs, states):
        (x, gain), (h, total) = inputs, states
        h = tf.tanh(tf.matmul(x, kernel) + tf.matmul(h, recurrent)) * gain
        total = 0.9 * total + tf.reduce_sum(h, axis=1, keepdims=True)
        return h[:, :3] * total, (h, total)

    return step


def run_two_states(run, inputs, states, kernel, recurrent, mask=None):
    gains = tf.concat([inputs[..., :1] ** 2, inputs[..., 1:] * 0 + 1] * 2, axis=-1)
    totals = tf.reduce_sum(states, axis=1, keepdims=True)
    return run(two_state_step(kernel, recurrent), (inputs, gains), (states, totals), mask=mask)


def written_out(step, sequences, states, mask=None):
    """What `run_recurrence` promises, step by step in eager TensorFlow."""
    outputs = []
    for t in range(sequences[0].shape[1]):
        output, new = step(tuple(sequence[:, t] for sequence in sequences), tuple(states))
        if mask is not None:
            before = outputs[-1] if outputs else tf.zeros_like(output)
            output = tf.where(mask[:, t, None], output, before)
            new = [tf.where(mask[:, t, None], *pair) for pair in zip(new, states, strict=True)]
        outputs.append(output)
        states = new
    return tf.stack(outputs, axis=1), tuple(states)


def values_and_gradients(run, mask):
    variables = [tf.constant(value) for value in (INPUTS, STATES, KERNEL, RECURRENT)]
    with tf.GradientTape() as tape:
        tape.watch(variables)
        outputs, last = run_two_states(run, *variables, mask=mask)
        weights = normal(*outputs.shape, seed=5)
        loss = tf.reduce_sum(outputs * weights) + tf.reduce_sum(last[0] ** 2) - tf.reduce_sum(last[1])
    return [outputs, *last], tape.gradient(loss, variables)


def assert_close(ours, expected, tolerance=1e-5):
    for our, wanted in zip(tf.nest.flatten(ours), tf.nest.flatten(expected), strict=True):
        np.testing.assert_allclose(our, wanted, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("mask", [None, KNOWN], ids=["no_mask", "mask"])
@pytest.mark.parametrize("compiled", [True, False], ids=["graph", "eager"])
def test_values_and_gradients(compiled, mask):
    ours = tf.function(values_and_gradients) if compiled else values_and_gradients
    found, wanted = ours(run_recurrence, mask), values_and_gradients(written_out, mask)
    assert_close(found, wanted)
    assert all(np.abs(gradient).max() > 0.1 for gradient in wanted[1])


@pytest.mark.parametrize("mask", [None, KNOWN], ids=["no_mask", "mask"])
@pytest.mark.parametrize("place", [0, 1])
def test_the_output_is_a_state(place, mask):
    """Which then is kept once; with a mask the output before the first is zeros all the same."""

    def step(inputs, states):
        (x,), (h, c) = inputs, states
        new = (tf.tanh(x + 2 * c), 0.5 * h - c)
        return new[place], new

    def differentiate(run):
        xs, h, c = tensors = [tf.constant(normal(*shape)) for shape in ((BATCH, TIMESTEPS, 2), (BATCH, 2), (BATCH, 2))]
        with tf.GradientTape() as tape:
            tape.watch(tensors)
            outputs, last = run(step, (xs,), (h, c), mask=mask)
            loss = tf.reduce_sum(outputs**2) + tf.reduce_sum(last[0]) - tf.reduce_sum(last[1] ** 3)
        return outputs, *last, tape.gradient(loss, tensors)

    assert_close(tf.function(differentiate)(run_recurrence), differentiate(written_out))


@pytest.mark.parametrize("mask", [None, KNOWN], ids=["no_mask", "mask"])
def test_gradients_from_outside_of_the_graph(mask):
    """The tape is outside of the function, as when a user differentiates a compiled model."""

    @tf.function
    def loss(*variables):
        outputs, last = run_two_states(run_recurrence, *variables, mask=mask)
        weights = normal(*outputs.shape, seed=5)
        return tf.reduce_sum(outputs * weights) + tf.reduce_sum(last[0] ** 2) - tf.reduce_sum(last[1])

    variables = [tf.constant(value) for value in (INPUTS, STATES, KERNEL, RECURRENT)]
    with tf.GradientTape() as tape:
        tape.watch(variables)
        value = loss(*variables)
    assert_close(tape.gradient(value, variables), values_and_gradients(written_out, mask)[1])


@pytest.mark.parametrize("mask", [None, KNOWN], ids=["no_mask", "mask"])
def test_lengths_not_known_when_traced(mask):
    masks = () if mask is None else (tf.TensorSpec((None, None), tf.bool),)
    traces = []

    @tf.function(input_signature=[tf.TensorSpec((None, None, FEATURES))] + [tf.TensorSpec((None, None))] * 3 + [*masks])
    def differentiate(inputs, *others):
        traces.append(1)
        (states, kernel, recurrent), known = others[:3], others[3] if masks else None
        for tensor, shape in ((states, (None, UNITS)), (kernel, KERNEL.shape), (recurrent, RECURRENT.shape)):
            tensor.set_shape(shape)
        outputs, last = run_two_states(run_recurrence, inputs, states, kernel, recurrent, mask=known)
        return outputs, *last, *tf.gradients(tf.reduce_sum(outputs) + tf.reduce_sum(last[1]), [inputs, kernel])

    for batch, timesteps in ((3, 7), (2, 5), (3, 4), (1, 1)):
        known = None if mask is None else mask[:batch, :timesteps]
        inputs, kernel = tf.constant(INPUTS[:batch, :timesteps]), tf.constant(KERNEL)
        found = differentiate(inputs, STATES[:batch], kernel, RECURRENT, *(() if mask is None else (known,)))
        with tf.GradientTape() as tape:
            tape.watch([inputs, kernel])
            outputs, last = run_two_states(written_out, inputs, STATES[:batch], kernel, RECURRENT, known)
            loss = tf.reduce_sum(outputs) + tf.reduce_sum(last[1])
        assert_close(found, [outputs, *last, *tape.gradient(loss, [inputs, kernel])])
    assert len(traces) == 1


class OwnRNN(keras.layers.Layer):
    """`keras.layers.SimpleRNN` over `run_recurrence`; the step reads the variables themselves."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.supports_masking = True

    def build(self, shape):
        self.kernel = self.add_weight(name="kernel", shape=(shape[-1], UNITS))
        self.recurrent_kernel = self.add_weight(name="recurrent_kernel", shape=(UNITS, UNITS))
        self.bias = self.add_weight(name="bias", shape=(UNITS,))
        self.scale = self.add_weight(name="scale", shape=(), initializer="ones", trainable=False)

    def step(self, inputs, states):
        product = keras.ops.matmul(inputs[0], self.kernel) + keras.ops.matmul(states[0], self.recurrent_kernel)
        state = tf.tanh(product * self.scale + self.bias)
        return state, (state,)

    def call(self, sequence, mask=None):
        state = tf.zeros((tf.shape(sequence)[0], UNITS))
        return run_recurrence(self.step, (sequence,), (state,), mask=mask)[0]

    def compute_output_shape(self, shape):
        return *shape[:2], UNITS


def networks(timesteps=TIMESTEPS, masked=False):
    """The same network over Keras' recurrence and over ours, with the same weights."""
    models = []
    for layer in (keras.layers.SimpleRNN(UNITS, return_sequences=True), OwnRNN()):
        x = keras.Input((timesteps, FEATURES))
        values = keras.layers.Masking()(x) if masked else x
        models.append(keras.Model(x, keras.layers.Dense(1)(layer(values))))
    weights = {w.name + str(w.shape): normal(*w.shape, seed=i) for i, w in enumerate(models[0].weights)}
    for model in models:
        for weight in model.weights:
            weight.assign(weights.get(weight.name + str(weight.shape), np.float32(1)))
    return models


def train(model, xs, batch_size=4, **compiled):
    model.compile(keras.optimizers.SGD(0.1), "mse", **compiled)
    model.fit(xs, xs[:, :, :1], epochs=2, batch_size=batch_size, shuffle=False, verbose=0)
    return [weight.numpy() for weight in model.trainable_weights]


@pytest.mark.parametrize(
    ("timesteps", "masked", "compiled"),
    [
        (TIMESTEPS, False, {}),
        (None, True, {}),
        (TIMESTEPS, True, {"jit_compile": True}),
        (TIMESTEPS, False, {"run_eagerly": True}),
        (TIMESTEPS, False, {"steps_per_execution": 2}),
    ],
)
def test_trains_as_keras_does(timesteps, masked, compiled):
    """Ten sequences in batches of four: the last batch is smaller. A masked step is one of zeros."""
    xs = normal(10, TIMESTEPS, FEATURES, seed=6)
    if masked:
        xs[1, 2:4] = xs[3, :] = xs[5, :3] = 0
    keras_model, own = networks(timesteps, masked)
    before = [weight.numpy() for weight in own.trainable_weights]
    expected = train(keras_model, xs)
    found = train(own, xs, **compiled)
    for ours, wanted, old in zip(found, expected, before, strict=True):
        np.testing.assert_allclose(ours, wanted, atol=1e-5)
        assert np.abs(ours - old).max() > 1e-3
    np.testing.assert_allclose(own.predict(xs, verbose=0), keras_model.predict(xs, verbose=0), atol=1e-5)


def test_the_same_training_gives_the_same_bytes():
    def trained():
        keras.utils.set_random_seed(0)
        return b"".join(weight.tobytes() for weight in train(networks()[1], normal(10, TIMESTEPS, FEATURES, seed=6)))

    assert trained() == trained()


def test_batches_of_many_lengths():
    """A dataset whose batches differ in their number of time steps, and say so only at run time."""
    lengths, xs = (5, 3, 7, 4), normal(2, TIMESTEPS, FEATURES, seed=7)
    batches = tf.data.Dataset.from_generator(
        lambda: ((xs[:, :n], xs[:, :n, :1]) for n in lengths),
        output_signature=(tf.TensorSpec((2, None, FEATURES)), tf.TensorSpec((2, None, 1))),
    )
    keras_model, own = networks(None)
    for model in (keras_model, own):
        model.compile(keras.optimizers.SGD(0.1), "mse")
        model.fit(batches, epochs=2, verbose=0)
    for ours, wanted in zip(own.trainable_weights, keras_model.trainable_weights, strict=True):
        np.testing.assert_allclose(ours, wanted, atol=1e-5)


@pytest.mark.parametrize("compiled", [True, False], ids=["graph", "eager"])
def test_integers(compiled):
    """An exact integer recurrence: table look-up, shift, saturation, and a float state beside."""
    table = np.arange(256)[::-1].astype(np.int64) - 128
    xs = np.random.default_rng(8).integers(-128, 128, (BATCH, TIMESTEPS, UNITS))

    def step(inputs, states):
        (x,), (h, mean) = inputs, states
        h = tf.gather(tf.constant(table), tf.clip_by_value(tf.bitwise.right_shift(3 * h + x, 1), -128, 127) + 128)
        mean = 0.5 * mean + tf.cast(h, tf.float32)
        return h, (h, mean)

    run = tf.function(run_recurrence) if compiled else run_recurrence
    outputs, (h, mean) = run(step, (xs,), (np.zeros((BATCH, UNITS), np.int64), np.zeros((BATCH, UNITS), np.float32)))
    state, average, expected = np.zeros((BATCH, UNITS), np.int64), np.zeros((BATCH, UNITS)), []
    for x in xs.transpose(1, 0, 2):
        state = table[np.clip((3 * state + x) >> 1, -128, 127) + 128]
        average = 0.5 * average + state
        expected.append(state)
    assert outputs.dtype == h.dtype == tf.int64
    np.testing.assert_array_equal(outputs, np.stack(expected, axis=1))
    np.testing.assert_array_equal(h, state)
    np.testing.assert_allclose(mean, average, rtol=1e-6)


def test_gradient_past_an_integer_state():
    """Counts are carried along as integers; the float state still learns."""

    def step(inputs, states):
        (x,), (h, count) = inputs, states
        h = tf.tanh(h + x) * tf.cast(count, tf.float32)
        return h, (h, count + 1)

    def differentiate(run):
        xs = tf.constant(normal(BATCH, TIMESTEPS, UNITS))
        with tf.GradientTape() as tape:
            tape.watch(xs)
            outputs, last = run(step, (xs,), (tf.zeros((BATCH, UNITS)), tf.ones((BATCH, UNITS), tf.int64)))
            loss = tf.reduce_sum(outputs) + tf.reduce_sum(last[0])
        return outputs, *last, tape.gradient(loss, xs)

    assert_close(tf.function(differentiate)(run_recurrence), differentiate(written_out))


def test_saturated_values_get_no_gradient():
    """Fake quantization inside of the step: zero gradient where the value left the range, one elsewhere."""

    def step(inputs, states):
        state = tf.quantization.fake_quant_with_min_max_vars(inputs[0] + states[0], -1.0, 1.0)
        return state, (state,)

    @tf.function
    def differentiate(xs):
        outputs, _ = run_recurrence(step, (xs,), (tf.zeros((1, 1)),))
        return outputs, tf.gradients(outputs, xs)[0]

    outputs, gradient = differentiate(tf.constant([[[0.5], [0.25], [3.0], [-0.5], [0.125]]]))
    np.testing.assert_allclose(outputs[0, :, 0], [0.5, 0.75, 1.0, 0.5, 0.625], atol=1 / 255)
    # A value counts as often as it reaches an output unclipped: the third clips all before it and itself.
    np.testing.assert_array_equal(gradient[0, :, 0], [2, 1, 0, 2, 1])


def test_a_step_may_observe():
    """As calibration does: every step widens a range that is kept in a variable."""
    largest = tf.Variable(0.0, trainable=False)

    def step(inputs, states):
        state = states[0] + inputs[0]
        largest.assign(tf.maximum(largest, tf.reduce_max(tf.abs(state))))
        return state, (state,)

    xs, run = normal(BATCH, TIMESTEPS, UNITS), tf.function(run_recurrence)
    run(step, (xs,), (tf.zeros((BATCH, UNITS)),), compiled=False)
    np.testing.assert_allclose(largest, np.abs(np.cumsum(xs, axis=1)).max(), rtol=1e-6)
    with pytest.raises(ValueError, match="side effect: AssignVariableOp"):
        run(step, (xs,), (tf.zeros((BATCH, UNITS)),))


@pytest.mark.parametrize("draw", [tf.random.uniform, keras.random.uniform])
def test_random_numbers_are_refused(draw):
    """The backward pass would draw other ones."""

    def step(inputs, states):
        return inputs[0] * draw((BATCH, UNITS)), states

    with pytest.raises(ValueError, match="side effect: "):
        tf.function(run_recurrence)(step, (normal(BATCH, TIMESTEPS, UNITS),), (tf.zeros((BATCH, UNITS)),))
