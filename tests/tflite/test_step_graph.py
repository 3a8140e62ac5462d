"""StepGraph.check and the builder: a program that cannot run is refused where it is made."""

import numpy as np
import pytest

from keras_models.affine_quantization import Affine
from tflite.step_graph import Op, StepGraph, StepGraphBuilder, Tensor

TENSORS = (Tensor("x", (1, 2)), Tensor("h", (1, 2)), Tensor("sum", (1, 2)), Tensor("y", (1, 2)))
ADD, TANH = Op("ADD", ("x", "h"), ("sum",)), Op("TANH", ("sum",), ("y",))


def graph(tensors=TENSORS, ops=(ADD, TANH), states=(("h0", "h", "sum"),)):
    return StepGraph(tensors, ops, (("x", "x"),), (("y", "y"),), states)


def test_a_whole_graph_passes():
    graph().check()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"ops": (TANH, ADD)}, "operator 0 TANH reads 'sum' before it is written"),
        ({"ops": (ADD, TANH, ADD)}, "operator 2 ADD cannot write 'sum': written before"),
        ({"ops": (ADD, Op("TANH", ("sum",), ("nowhere",)))}, "operator 1 TANH cannot write 'nowhere'"),
        ({"ops": (Op("ADD", ("x", "sum"), ("h",)), TANH)}, "reads 'sum' before it is written"),
        ({"tensors": (*TENSORS, Tensor("x", (1, 2)))}, "share a name"),
        ({"tensors": (TENSORS[0], Tensor("h", (1, 3)), *TENSORS[2:])}, "state 'h0' changes its form"),
        ({"tensors": (TENSORS[0], Tensor("h", (1, 2), "int8"), *TENSORS[2:])}, "state 'h0' changes its form"),
        ({"tensors": (TENSORS[0], Tensor("h", (1, 2), affine=Affine(0.5, 1)), *TENSORS[2:])}, "changes its form"),
        ({"states": (("h0", "h", "y"),), "ops": (ADD,)}, "state 'h0'"),
    ],
)
def test_what_cannot_run(changed, message):
    with pytest.raises(ValueError, match=message):
        graph(**changed).check()


def test_an_output_nobody_writes():
    with pytest.raises(ValueError, match="y"):
        graph(ops=(ADD,)).check()


def test_builder_stores_equal_constants_once():
    builder, ones = StepGraphBuilder(), np.ones((1, 2), np.int8)
    first = builder.constant("a", ones, Affine(0.5, 0))
    assert builder.constant("b", ones.copy(), Affine(0.5, 0)) == first
    others = [builder.constant("c", ones, Affine(0.25, 0)), builder.constant("d", ones.astype(np.float32)),
              builder.constant("e", ones.T.copy(), Affine(0.5, 0)), builder.constant("f", 2 * ones, Affine(0.5, 0))]
    assert len({first, *others}) == 5


def test_builder_refuses_a_name_twice():
    builder = StepGraphBuilder()
    builder.tensor("x", 2)
    with pytest.raises(ValueError, match="'x' exists already"):
        builder.tensor("x", 2)
