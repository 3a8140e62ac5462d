"""The loop over time of a recurrent layer, forward and backward, compiled by XLA.

A quantization-aware step is some thirty operators on small tensors: run one by one, calling them costs more than
computing them. XLA fuses them, but it cannot hand lists of intermediate values from a compiled forward pass to a
compiled backward pass. So the forward pass keeps the states only, and the backward pass computes every step again.
"""

import tensorflow as tf

# Timesteps not known when the loop is traced are padded to the next of these: XLA compiles anew for every shape.
PADDED_TIMESTEPS = [2**k for k in range(31)]


def run_recurrence(step, sequences, states, *, mask=None, compiled=True):
    """Runs `step` from the first time step to the last.

    Gradients flow to the sequences, the states, and to every tensor and trainable variable that `step` reads from
    outside. Executed eagerly, nothing is compiled.

    Args:
        step: (inputs, states) -> (output, new states), where `inputs` is a tuple of (batch, n_i), `states` and the new
            states are tuples of (batch, m_j), and the output is (batch, n). It is traced several times, and run once
            more for the gradient.
        sequences: tensors (batch, timesteps, n_i) of any types, at least one time step.
        states: the first states, tensors (batch, m_j) of any types.
        mask: (batch, timesteps) bool, or None. Where it is False, the states stay, and the output is the one before
            (zeros before the first), as in `keras.layers.RNN`.
        compiled: False for a step that assigns variables or draws random numbers.

    Returns:
        Outputs (batch, timesteps, n), and the tuple of last states.

    Raises:
        ValueError: a step to be compiled assigns variables or draws random numbers.
    """
    sequences, states = tuple(map(tf.convert_to_tensor, sequences)), tuple(map(tf.convert_to_tensor, states))
    traced, place = _trace(step, sequences, states)
    output = traced.structured_outputs[0]
    if mask is not None:
        place, sequences = len(states), (*sequences, tf.convert_to_tensor(mask)[..., None])
    before = tf.zeros((tf.shape(sequences[0])[0], *output.shape[1:]), output.dtype)
    carry = states if place < len(states) else (*states, before)
    advance = _advance(step, len(states), masked=mask is not None)

    if compiled and not tf.executing_eagerly():
        _require_pure(traced)
        read = [tensor for tensor in traced.captured_inputs if tensor.dtype != tf.resource]
        padded, timesteps = _pad(sequences)
        outputs, last = _run_compiled(advance, place, timesteps, padded, carry, read)
        outputs = outputs[:, :timesteps]
    else:
        last, trajectory = _forward(advance, tf.shape(sequences[0])[1], sequences, carry)
        outputs = _outputs(trajectory[place])
    outputs.set_shape((*sequences[0].shape[:2], *output.shape[1:]))
    return outputs, last[: len(states)]


def _trace(step, sequences, states):
    """`step` as a graph, and which of the new states is the output; the number of states where none is."""
    places = []

    def traced(inputs, states):
        output, new = step(inputs, states)
        places.append(next((k for k, state in enumerate(new) if state is output), len(new)))
        return output, new

    inputs = tuple(tf.TensorSpec((s.shape[0], *s.shape[2:]), s.dtype) for s in sequences)
    specs = tuple(tf.TensorSpec(s.shape, s.dtype) for s in states)
    return tf.function(traced, autograph=False).get_concrete_function(inputs, specs), places[0]


def _advance(step, states, masked):
    """(inputs, carry) -> carry, where the carry is the states and, if it is none of them, the output.

    With a mask, the last input is (batch, 1) bool: where it is False, the carry stays.
    """

    def advance(inputs, carry):
        (*inputs, known) = inputs if masked else (*inputs, None)
        output, new = step(tuple(inputs), carry[:states])
        new = (*new, output)[: len(carry)]
        return tuple(tf.where(known, *pair) for pair in zip(new, carry, strict=True)) if masked else new

    return advance


def _require_pure(traced):
    """XLA may drop assignments inside of a loop, and the backward pass would draw other random numbers."""
    for operation in traced.graph.get_operations():
        if operation.type.startswith(("Assign", "Random", "StatefulRandom")):
            raise ValueError(f"the step of a compiled recurrence has a side effect: {operation.type}")


def _pad(sequences):
    """The sequences, padded where the number of time steps is not known, and that number."""
    if sequences[0].shape[1] is not None:
        return sequences, sequences[0].shape[1]
    timesteps = tf.shape(sequences[0])[1]
    spare = tf.gather(PADDED_TIMESTEPS, tf.searchsorted(PADDED_TIMESTEPS, timesteps[None])[0]) - timesteps
    return tuple(tf.pad(sequence, [[0, 0], [0, spare], [0, 0]]) for sequence in sequences), timesteps


def _run_compiled(advance, place, timesteps, sequences, carry, read):
    """Outputs (batch, time, n), which the carry has at `place`, and the last carry.

    Args:
        read: the tensors that `advance` reads from outside.
    """

    @tf.custom_gradient
    def recurrence(*_):
        forward = _compile(lambda *args: _forward(advance, *args))
        last, trajectory = forward(timesteps, sequences, carry)

        def gradient(d_outputs, *d_last, variables=()):
            weights = (*_floating(read), *(variable for variable in variables if variable.trainable))
            backward = _compile(lambda *args: _backward(advance, place, weights, *args))
            found = iter(backward(timesteps, sequences, trajectory, d_outputs, _floating(d_last)))
            d_tensors = [next(found) if t.dtype.is_floating else None for t in (*sequences, *carry, *read)]
            d_variables = [next(found) if variable.trainable else None for variable in variables]
            return (d_tensors, d_variables) if variables else d_tensors

        return (_outputs(trajectory[place]), *last), gradient

    outputs, *last = recurrence(*sequences, *carry, *read)
    return outputs, tuple(last)


def _compile(function):
    return tf.function(function, jit_compile=True, autograph=False)


# In both loops the step reads and writes buffers of the loop only: the slice of the next time step is taken, and the
# results of the last one are stored, beside it. XLA would fuse them into the step's arithmetic otherwise, which then is
# not vectorized: three to eight times slower on some cells.


def _forward(advance, timesteps, sequences, carry):
    """The last carry, and the carries before every step and after the last, (time + 1, batch, m)."""
    size = tf.shape(sequences[0])[1]
    arrays = tuple(tf.TensorArray(value.dtype, size + 1, element_shape=value.shape) for value in carry)

    def inputs_at(t):
        return tuple(sequence[:, t] for sequence in sequences)

    def body(t, inputs, carry, arrays):
        following = inputs_at(tf.minimum(t + 1, size - 1))
        return t + 1, following, advance(inputs, carry), _write(t, arrays, carry)

    start = (0, inputs_at(0), carry, arrays)
    *_, last, arrays = tf.while_loop(lambda t, *_: t < timesteps, body, start)
    return last, tuple(array.stack() for array in _write(timesteps, arrays, last))


def _backward(advance, place, weights, timesteps, sequences, trajectory, d_outputs, d_last):
    """Gradients of whatever is floating of the sequences, of the first carry, and of the weights."""
    size = tf.shape(sequences[0])[1]
    arrays = tuple(
        tf.TensorArray(s.dtype, size, element_shape=(s.shape[0], *s.shape[2:])) for s in _floating(sequences)
    )

    def record_at(t):
        inputs = tuple(sequence[:, t] for sequence in sequences)
        return inputs, tuple(value[t] for value in trajectory), d_outputs[:, t]

    def body(t, record, d_carry, d_inputs, d_weights, arrays):
        arrays = _write(tf.minimum(t + 1, size - 1), arrays, d_inputs)
        inputs, carry, d_output = record
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            sources = (_floating(inputs), _floating(carry), weights)
            tape.watch(sources)
            targets = _floating(advance(inputs, carry))
        d_targets = list(d_carry)
        if carry[place].dtype.is_floating:
            d_targets[len(_floating(carry[:place]))] += d_output
        found = tape.gradient(targets, sources, d_targets, unconnected_gradients="zero")
        sums = tuple(old + new for old, new in zip(d_weights, found[2], strict=True))
        return t - 1, record_at(tf.maximum(t - 1, 0)), found[1], found[0], sums, arrays

    record = record_at(timesteps - 1)
    zeros = [tuple(map(tf.zeros_like, values)) for values in (_floating(record[0]), weights)]
    start = (timesteps - 1, record, d_last, *zeros, arrays)
    _, _, d_carry, d_inputs, d_weights, arrays = tf.while_loop(lambda t, *_: t >= 0, body, start)
    return *(_batch_major(array.stack()) for array in _write(0, arrays, d_inputs)), *d_carry, *d_weights


def _write(t, arrays, values):
    return tuple(array.write(t, value) for array, value in zip(arrays, values, strict=True))


def _outputs(trajectory):
    """(batch, time, n) of (time + 1, batch, n), which begins before the first step."""
    return _batch_major(trajectory[1:])


def _batch_major(sequence):
    """(time, batch, n) to (batch, time, n)."""
    return tf.transpose(sequence, (1, 0, 2))


def _floating(tensors):
    return tuple(tensor for tensor in tensors if tensor.dtype.is_floating)
