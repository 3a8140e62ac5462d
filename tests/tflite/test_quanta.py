"""Quanta followed by hand through small graphs."""

import numpy as np

from keras_models.affine_quantization import Affine
from tflite.quanta import output_quanta
from tflite.step_graph import StepGraphBuilder


def graph(follow):
    """x int8 (1, 2), scale 0.5, made real; `follow(builder, real)` gives the tensor that is the output y."""
    builder = StepGraphBuilder()
    x = builder.tensor("x", 2, Affine(0.5, 3))
    builder.inputs.append(("x", x))
    builder.inputs.append(("raw", builder.tensor("raw", 2)))
    real = builder.op("DEQUANTIZE", [x], builder.tensor("real", 2))
    builder.outputs.append(("y", follow(builder, real)))
    return builder.build()


def quantum(follow):
    return output_quanta(graph(follow)).get("y")


def constant(builder, *values):
    return builder.constant("constant", np.array([values], np.float32))


def op(kind, *constants, width=2, **options):
    def follow(builder, real):
        inputs = [real, *([constant(builder, *constants)] if constants else [])]
        return builder.op(kind, inputs, builder.tensor("y", width), **options)

    return follow


def test_what_was_an_integer_keeps_its_step():
    np.testing.assert_array_equal(quantum(lambda builder, real: real), [[0.5, 0.5]])


def test_adding_and_clamping_keep_it():
    for kind in ("ADD", "SUB", "MAXIMUM", "MINIMUM"):
        np.testing.assert_array_equal(quantum(op(kind, 7.0, -9.0)), [[0.5, 0.5]])


def test_a_factor_scales_it_each_element_by_its_own():
    np.testing.assert_array_equal(quantum(op("MUL", 2.0, -8.0)), [[1.0, 4.0]])


def test_a_factor_for_all():
    np.testing.assert_array_equal(quantum(op("MUL", -3.0)), [[1.5, 1.5]])


def test_beside_what_never_was_an_integer():
    def follow(builder, real):
        return builder.op("CONCATENATION", ["raw", real], builder.tensor("y", 4), axis=1)

    np.testing.assert_array_equal(quantum(follow), [[0, 0, 0.5, 0.5]])


def test_one_of_two_sources():
    def follow(builder, real):
        return builder.op("ADD", ["raw", real], builder.tensor("y", 2))

    np.testing.assert_array_equal(quantum(follow), [[0.5, 0.5]])


def test_not_followed_through_a_curve():
    """tanh has no one step size: no quantum rather than a wrong one."""
    assert quantum(op("TANH")) is None


def test_no_integers_behind():
    assert quantum(lambda builder, real: builder.op("TANH", ["raw"], builder.tensor("y", 2))) is None


def test_a_product_of_two_signals_has_no_quantum():
    def follow(builder, real):
        return builder.op("MUL", ["raw", real], builder.tensor("y", 2))

    assert quantum(follow) is None


def test_states_too():
    builder = StepGraphBuilder()
    x, before = builder.tensor("x", 2, Affine(0.25, 0)), builder.tensor("before", 2)
    builder.inputs.append(("x", x))
    after = builder.op("DEQUANTIZE", [x], builder.tensor("after", 2))
    builder.states.append(("last_forecast", before, after))
    np.testing.assert_array_equal(output_quanta(builder.build())["last_forecast"], [[0.25, 0.25]])
