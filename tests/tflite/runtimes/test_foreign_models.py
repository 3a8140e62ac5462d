"""Models nobody here wrote: other signatures or none, other inputs, state kept in their own ways."""

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from runtime_ways import WAYS
from step_models import StepModelWriter, quantized_gru_step, running_sum_step

from pipeline.user_error import UserError
from tflite.runtimes import load_model, probe


@pytest.fixture(params=WAYS)
def load(request):
    return lambda model: load_model(model, **WAYS[request.param])


def changed(content, change):
    """The bytes of the model after `change` of its schema object."""
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
    change(model)
    builder = flatbuffers.Builder(4096)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def without_signatures(model):
    model.signatureDefs = []


def without_names(model):
    without_signatures(model)
    for tensor in model.subgraphs[0].tensors:
        tensor.name = None


def readings(count=10, width=8):
    return np.random.default_rng(1).normal(0, 1, (count, width)).astype(np.float32)


def named(kind, x="x", y="y", dtype=np.float32, out=np.float32, options=None):
    writer = StepModelWriter()
    x, y = writer.tensor(x, [1, 2], dtype), writer.tensor(y, [1, 2], out)
    writer.op(kind, [x], [y], options)
    return writer.write({"x": x}, {"y": y})


def test_the_only_signature(load, gru_model):
    """Its states are the names on both sides, as ever."""
    foreign, ours = load(gru_model.replace(b"step", b"main")), load(gru_model)
    assert [spec.name for spec in foreign.state_specs] == ["h0"] and foreign.signature.unnamed_states == ()
    for x in readings():
        np.testing.assert_array_equal(foreign.step(x), ours.step(x))


def test_reset_is_not_the_step(load, sum_model):
    foreign = load(sum_model.replace(b"step", b"main"))
    assert [foreign.step(np.ones(3, np.float32))[0] for _ in range(3)] == [1, 2, 3]


def test_several_signatures():
    def add(model):
        model.signatureDefs.append(model.signatureDefs[0])
        model.signatureDefs[0].signatureKey = b"encode"

    two = changed(named("ABS"), add).replace(b"encode", b"decode", 1)
    with pytest.raises(UserError, match=r"^model: no signature `step` \(found: decode, encode\); convert the model"):
        load_model(two)


def test_no_signature(load):
    """The tensors' own names. Its state is called h going in and new_h coming out: the caller carries it."""
    ours = load(quantized_gru_step())
    foreign = load(changed(quantized_gru_step(), without_signatures))
    assert [spec.name for spec in foreign.inputs] == ["x", "h"] and foreign.state_specs == ()
    assert foreign.signature.unnamed_states == (("h", "new_h"),)
    state = np.zeros(32, np.int8)
    for x in readings():
        results = foreign.step({"x": x, "h": state}, raw=True)
        np.testing.assert_array_equal(results["y"], ours.step(x))
        state = results["new_h"]


def test_no_names_at_all(load):
    several = load(changed(quantized_gru_step(), without_names))
    assert [spec.name for spec in several.inputs] == ["x0", "x1"]
    assert [spec.name for spec in several.outputs] == ["y0", "y1"]
    one = load(changed(named("ABS"), without_names))
    assert ([spec.name for spec in one.inputs], [spec.name for spec in one.outputs]) == (["x"], ["y"])
    np.testing.assert_array_equal(one.step(np.array([-1, 2], np.float32)), [1, 2])


def test_a_forecast_as_wide_as_its_reading_is_no_state():
    assert load_model(named("ABS")).signature.unnamed_states == ()


def test_dynamic_batch(load):
    """A converter writes -1 into shape_signature and 1 into shape: one stream."""

    def free_batch(model):
        for tensor in model.subgraphs[0].tensors:
            tensor.shapeSignature = np.array([-1, 2], np.int32)

    runtime = load(changed(named("ABS"), free_batch))
    np.testing.assert_array_equal(runtime.step(np.array([-1, 2], np.float32)), [1, 2])


@pytest.fixture
def embedding():
    """step(id) -> the row of a table; out of its bounds LiteRT refuses to run."""
    writer = StepModelWriter()
    x, y = writer.tensor("x", [1], np.int32), writer.tensor("y", [1, 2])
    table = writer.tensor("table", data=np.arange(10, dtype=np.float32).reshape(5, 2))
    writer.op("GATHER", [table, x], [y], schema.GatherOptionsT())
    return writer.write({"x": x}, {"y": y})


def test_integer_input(load, embedding):
    runtime = load(embedding)
    assert (runtime.inputs[0].dtype, runtime.inputs[0].shape) == ("int32", ())
    np.testing.assert_array_equal(runtime.step(3), [6, 7])
    np.testing.assert_array_equal(runtime.step(np.array(2, np.int32)), [4, 5])
    for wrong in (2.5, np.array(2.0, np.float32), [1]):
        with pytest.raises(UserError, match="x: expected"):
            runtime.step(wrong)


def test_probe_of_an_embedding(embedding):
    """Whatever the memory held before, the first index it looks up is 0."""
    for way in WAYS.values():
        probe(embedding, **way)


def test_bool_input(load):
    runtime = load(named("CAST", dtype=np.bool_, options=schema.CastOptionsT()))
    np.testing.assert_array_equal(runtime.step([True, False]), [1, 0])
    with pytest.raises(UserError, match="x: expected dtype bool, got int32"):
        runtime.step(np.array([1, 0], np.int32))


def test_weights_quantized_per_channel(load):
    weights, scales = np.array([[127, -127], [64, 127]], np.int8), np.array([1 / 128, 1 / 64], np.float32)
    writer = StepModelWriter()
    x, y = writer.tensor("x", [1, 2], np.int8, 1 / 32), writer.tensor("y", [1, 2], np.int8, 1 / 16)
    w = writer.tensor("w", scale=scales, zero_point=[0, 0], data=weights)
    b = writer.tensor("b", scale=scales / 32, zero_point=[0, 0], data=np.array([128, 64], np.int32))
    writer.op("FULLY_CONNECTED", [x, w, b], [y], schema.FullyConnectedOptionsT())
    real = load(writer.write({"x": x}, {"y": y})).step(np.array([1, 0.5], np.float32))
    expected = weights * scales[:, None] @ [1, 0.5] + np.array([128, 64]) * scales / 32
    np.testing.assert_allclose(real, expected, rtol=0, atol=1 / 16)


def test_resource_variables_nobody_resets(load):
    """Without a signature `reset`, a fresh interpreter is the reset."""

    def without_reset(model):
        del model.signatureDefs[1]

    content = changed(running_sum_step(), without_reset)
    runtime, one = load(content), np.ones(3, np.float32)
    for _ in range(3):
        assert [runtime.step(one)[0] for _ in range(3)] == [1, 2, 3]
        runtime.reset()


def test_no_program():
    def empty(model):
        model.subgraphs, model.signatureDefs = [], []

    with pytest.raises(UserError, match="model: holds no program"):
        load_model(changed(named("ABS"), empty))
