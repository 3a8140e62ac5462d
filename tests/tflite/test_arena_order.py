"""The plan of the arena is TFLite Micro's own, and another order changes nothing but it."""

from dataclasses import replace

import keras
import numpy as np
import pytest

from keras_models.affine_quantization import Affine
from tflite import convert
from tflite.arena_order import ordered_for_arena, planned_bytes
from tflite.flatbuffer import read_flatbuffer, write_flatbuffer
from tflite.memory import arena_bytes
from tflite.runtimes import load_model
from tflite.step_graph import StepGraph, StepGraphBuilder

STREAMS = np.random.default_rng(0).normal(size=(2, 60, 4)).astype("float32")


@pytest.fixture(scope="module", params=["int8", "int16"])
def graph(request) -> StepGraph:
    keras.utils.set_random_seed(3)
    layers = [keras.layers.GRU(24, return_sequences=True), keras.layers.GRU(16, return_sequences=True)]
    model = keras.Sequential([keras.Input((None, 4)), *layers, keras.layers.Dense(40), keras.layers.Dense(5)])
    return read_flatbuffer(convert(model, activations=request.param, representative=STREAMS).tflite)


def turned(graph: StepGraph) -> StepGraph:
    return replace(graph, tensors=graph.tensors[::-1])


def test_the_plan_is_that_of_tflite_micro(graph):
    for one in (graph, turned(graph), ordered_for_arena(graph)):
        assert planned_bytes(one) == arena_bytes(write_flatbuffer(one))["head"]


def test_the_order_needs_less_and_says_the_same(graph):
    ordered = ordered_for_arena(graph)
    ordered.check()
    assert planned_bytes(ordered) <= planned_bytes(graph)
    assert sorted(map(str, ordered.ops)) == sorted(map(str, graph.ops))
    plain, other = (load_model(write_flatbuffer(one), "tflm") for one in (graph, ordered))
    for reading in STREAMS[0]:
        np.testing.assert_array_equal(plain.step(reading), other.step(reading))


def wide_and_narrow() -> StepGraph:
    """Two branches of 4 -> 400 -> 4 numbers, both widened first: one after the other they need the half."""
    builder, affine = StepGraphBuilder(), Affine(2.0**-5, 0)
    x = builder.tensor("x", 4, affine)
    builder.inputs.append(("x", x))
    wide = builder.constant("wide", np.ones((400, 4), np.int8), affine)
    narrow = builder.constant("narrow", np.ones((4, 400), np.int8), affine)
    widened = [builder.op("FULLY_CONNECTED", [x, wide], builder.tensor(name, 400, affine)) for name in "ab"]
    for name in widened:
        result = builder.tensor(f"{name}_out", 4, affine)
        builder.outputs.append((f"{name}_out", builder.op("FULLY_CONNECTED", [name, narrow], result)))
    return builder.build()


def test_one_wide_branch_after_the_other():
    graph = wide_and_narrow()
    assert planned_bytes(graph) == 400 + 400 + 16  # and x; what the branches come to is put where x was
    ordered = ordered_for_arena(graph)
    assert planned_bytes(ordered) == 400 + 16 + 16
    assert [op.outputs[0] for op in ordered.ops] in (["a", "a_out", "b", "b_out"], ["b", "b_out", "a", "a_out"])


def test_what_keeps_its_state_inside_stays_as_it_is():
    model = keras.Sequential([keras.Input((None, 4)), keras.layers.GRU(8, return_sequences=True)])
    graph = read_flatbuffer(convert(model, activations="int8", state="internal", representative=STREAMS).tflite)
    assert ordered_for_arena(graph) is graph
