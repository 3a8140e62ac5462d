"""Bytes: a graph written, read and written again; what every runtime, and TensorFlow's own interpreter, makes of it."""

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from recurrent_models import Form, recurrent_model, stream
from step_models import StepModelWriter, delay_line_step

from keras_models import quantize_aware
from keras_models.numeric_form import NumericForm
from keras_models.qat_model import calibrate
from keras_models.step_model import step_model
from tflite.conversion import step_graph
from tflite.flatbuffer import operator_names, read_flatbuffer, write_flatbuffer
from tflite.runtimes import load_model

FORM = Form((7, 3))


@pytest.fixture(scope="module", params=["float32", "int8"])
def graph(request):
    if request.param == "float32":
        return step_graph(step_model(recurrent_model(FORM), NumericForm("float32")))
    model = quantize_aware(recurrent_model(FORM))
    calibrate(model, [stream(100, 3)[None]])
    return step_graph(model)


def test_write_read_write(graph):
    content = write_flatbuffer(graph)
    assert write_flatbuffer(read_flatbuffer(content)) == content == write_flatbuffer(graph)


def test_read_gives_the_graph_back(graph):
    """All but the names, which are not in the file."""
    again = read_flatbuffer(write_flatbuffer(graph))
    names = dict(zip([t.name for t in again.tensors], [t.name for t in graph.tensors], strict=True))
    for ours, theirs in zip(graph.tensors, again.tensors, strict=True):
        assert (ours.shape, ours.dtype, ours.affine) == (theirs.shape, theirs.dtype, theirs.affine)
        assert (ours.data is None) == (theirs.data is None)
        if ours.data is not None:
            np.testing.assert_array_equal(ours.data, theirs.data)
    for ours, theirs in zip(graph.ops, again.ops, strict=True):
        assert ours.kind == theirs.kind
        assert ours.inputs == tuple(names[name] for name in theirs.inputs)
        assert ours.outputs == tuple(names[name] for name in theirs.outputs)
    assert again.inputs == (("x", again.inputs[0][1]),) and [name for name, *_ in again.states] == ["h0", "h1"]


def test_equal_shapes_are_there_once(graph):
    content = write_flatbuffer(graph)
    subgraph = schema.Model.GetRootAs(content, 0).Subgraphs(0)
    tensors = [subgraph.Tensors(i) for i in range(subgraph.TensorsLength())]
    places = {tensor._tab.Vector(tensor._tab.Offset(4)) for tensor in tensors}  # 4: `shape`, the first field
    assert len(places) == len({tuple(tensor.ShapeAsNumpy().tolist()) for tensor in tensors}) < len(tensors) / 2


def test_equal_options_and_names_are_there_once(graph):
    content = write_flatbuffer(graph)
    subgraph = schema.Model.GetRootAs(content, 0).Subgraphs(0)
    ops = [subgraph.Operators(i) for i in range(subgraph.OperatorsLength())]
    options = [op.BuiltinOptions().Pos for op in ops if op.BuiltinOptions() is not None]
    different = {(op.kind, op.options) for op in graph.ops}
    assert len(set(options)) <= len(different) < len(options) / 1.5
    assert content.count(b"h1\0") == 1, "a state outside is named by input and output"


def test_identifier_and_alignment(graph):
    """Every constant starts at a multiple of 16 bytes: the schema demands it, a Cortex-M faults without."""
    content = write_flatbuffer(graph)
    assert content[4:8] == b"TFL3"
    model, starts = schema.Model.GetRootAs(content, 0), []
    base = np.frombuffer(content, np.uint8).__array_interface__["data"][0]
    for i in range(model.BuffersLength()):
        data = model.Buffers(i).DataAsNumpy()
        if not isinstance(data, int):
            raw = data.tobytes()
            start = data.__array_interface__["data"][0] - base
            assert content[start : start + len(raw)] == raw
            starts.append(start)
    assert len(starts) >= 5 and all(start % 16 == 0 for start in starts)


def test_tensorflows_own_interpreter_takes_it(graph):
    """The same state and reading give LiteRT's integers; its float sums may run in another order."""
    import tensorflow as tf

    content, xs = write_flatbuffer(graph), stream(20, 3)
    theirs = tf.lite.Interpreter(model_content=content, experimental_op_resolver_type=(
        tf.lite.experimental.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES)).get_signature_runner("step")
    ours = load_model(content, kernels="builtin")
    for x in xs:
        expected = theirs(x=x[None], **{name: values[None] for name, values in ours.states.items()})
        np.testing.assert_allclose(ours.step(x), expected["y"][0], rtol=0, atol=1e-6)
        for name, values in ours.states.items():
            np.testing.assert_allclose(values, expected[name][0], rtol=0, atol=1e-6)


def test_a_foreign_model_runs_as_before():
    """A file we did not write, two inputs, two states: read, written again, the same answers by name."""
    foreign = delay_line_step()
    again = write_flatbuffer(read_flatbuffer(foreign))
    one, other = load_model(foreign, "tflm"), load_model(again, "tflm")
    for a, b in zip(stream(30, 2), stream(30, 2, seed=9), strict=True):
        expected = one.step({"a": a, "b": b})
        for name, values in other.step({"a": a, "b": b}).items():
            np.testing.assert_array_equal(values, expected[name])


def tiny(kind="TANH", scale=0.0, key="step"):
    writer = StepModelWriter()
    x, y = (writer.tensor(name, [1, 2], np.int8 if np.any(scale) else np.float32, scale, np.zeros_like(scale, int))
            for name in "xy")
    writer.op(kind, [x], [y])
    content = writer.write({"x": x}, {"y": y})
    return content if key == "step" else content.replace(b"step", key.encode())


def test_an_unknown_operator():
    content = tiny("FLOOR")
    with pytest.raises(ValueError, match="operator 0 FLOOR is not one the step graph holds"):
        read_flatbuffer(content)
    assert operator_names(content) == ["FLOOR"]


def test_quantized_per_channel():
    with pytest.raises(ValueError, match="'x' is quantized per channel"):
        read_flatbuffer(tiny(scale=[0.5, 0.25]))


def test_two_tensors_of_one_name():
    """A file may do that; a step graph may not."""
    writer = StepModelWriter()
    x, between, y = (writer.tensor(name, [1, 2]) for name in ("x", "same", "same"))
    writer.op("TANH", [x], [between])
    writer.op("ABS", [between], [y])
    graph = read_flatbuffer(writer.write({"x": x}, {"y": y}))
    graph.check()
    assert [op.outputs for op in graph.ops] == [("t1",), ("t2",)]


def test_a_dtype_the_step_graph_does_not_hold():
    writer = StepModelWriter()
    x, y = writer.tensor("x", [1, 2]), writer.tensor("y", [1, 2])
    writer.op("ABS", [x], [y])
    for tensor in writer.graph.tensors:
        tensor.type = schema.TensorType.UINT8
    with pytest.raises(ValueError, match="tensor 'x' is of uint8"):
        read_flatbuffer(writer.write({"x": x}, {"y": y}))


def test_which_signature():
    """The only one there is, whatever its name; see test_foreign_models for the rest."""
    graph = read_flatbuffer(tiny(key="stop"))
    assert (graph.inputs, graph.outputs) == ((("x", "x"),), (("y", "y"),))
