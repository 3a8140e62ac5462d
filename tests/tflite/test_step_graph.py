"""StepGraph.check and the builder: a program that cannot run is refused where it is made."""

import numpy as np
import pytest

from keras_models.affine_quantization import Affine
from tflite.step_graph import ABSENT, Op, StepGraph, StepGraphBuilder, Tensor

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
        ({"tensors": (Tensor("x", (1, 2), data=np.zeros((1, 2), np.float32)), *TENSORS[1:])}, "'x' is an input"),
        ({"tensors": (Tensor("x", (1, 2), variable=True), *TENSORS[1:])}, "'x' is an input or state, and"),
        ({"states": (("h0", "h", "sum"), ("h1", "h", "y"))}, "tensor 'h' is an input or state, and something else"),
        ({"states": (("h0", "h", "sum"), ("h1", "x", "y"))}, "tensor 'x' is an input or state, and something else"),
        ({"tensors": (*TENSORS, Tensor("z", (1,), data=np.zeros(1, np.float32), variable=True))}, "'z' is a constant"),
        ({"tensors": (*TENSORS, Tensor("z", (1, 2), "uint8"))}, "'z': expected one of float32, .* got uint8"),
        ({"ops": (ADD, Op("TANH", ("sum",), ("y",), (), ("z",)))}, "operator 1 TANH has the unknown intermediate 'z'"),
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


def test_an_input_that_is_not_given_and_a_variable():
    variable = Tensor("kept", (1, 2), variable=True)
    graph((*TENSORS, variable), (ADD, Op("TANH", ("sum", ABSENT, "kept"), ("y",), (), ("kept",)))).check()
    with pytest.raises(ValueError, match="reads 'kept' before it is written"):
        graph((*TENSORS, Tensor("kept", (1, 2))), (ADD, Op("TANH", ("kept",), ("y",)))).check()


def test_builder_gives_every_tensor_a_name_of_its_own():
    builder = StepGraphBuilder()
    names = [builder.tensor("x", 2), builder.tensor("x", 3), builder.tensor("x:2", 4), builder.tensor("x", 5),
             builder.constant("x", np.zeros(6, np.float32))]
    assert len(set(names)) == 5 and names[0] == "x"
    assert [builder.width(name) for name in names] == [2, 3, 4, 5, 6]


def test_form_of_a_tensor():
    builder = StepGraphBuilder()
    names = [
        builder.tensor("real", 3),
        builder.tensor("int8", 3, Affine(0.5, 1)),
        builder.tensor("int16", 3, Affine(0.5, 0, 16)),
        builder.tensor("table", affine=Affine(0.5, 0, 16), dtype="float32", shape=(2, 3)),
        builder.tensor("state", 3, variable=True),
    ]
    assert [builder.dtype(name) for name in names] == ["float32", "int8", "int16", "float32", "float32"]
    assert [builder.shape(name) for name in names] == [(1, 3), (1, 3), (1, 3), (2, 3), (1, 3)]
    assert [tensor.variable for tensor in builder.tensors] == [False] * 4 + [True]


def test_an_operator_that_writes_nothing():
    builder = StepGraphBuilder()
    assert builder.op("CALL_ONCE", [], [], initSubgraphIndex=1) == ABSENT
    assert builder.ops == [Op("CALL_ONCE", (), (), (("initSubgraphIndex", 1),))]
