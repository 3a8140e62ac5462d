"""Products wait for who reads them, where that saves memory; their program stays sound."""

import contract_models as models
import numpy as np

from tflite.codegen.fold_constants import fold_constants
from tflite.codegen.late_products import late_products
from tflite.codegen.memory_plan import plan_memory
from tflite.flatbuffer import read_flatbuffer
from tflite.step_graph import StepGraph, StepGraphBuilder


def test_the_candidate_of_a_gru_waits_for_the_gates():
    graph = fold_constants(read_flatbuffer(models.artifact("gru", "int8", "external")[0]))
    late = late_products(graph)
    late.check()
    assert sorted(late.ops, key=repr) == sorted(graph.ops, key=repr)
    assert plan_memory(late).sizes["int8"] < plan_memory(graph).sizes["int8"]
    kinds = [op.kind for op in late.ops]
    candidate = kinds.index("FULLY_CONNECTED", kinds.index("FULLY_CONNECTED") + 1)
    assert kinds.index("LOGISTIC") < candidate < kinds.index("TANH")


def products(kept: bool) -> StepGraph:
    """A product of x that is read last, behind one that takes as much memory while it waits; `kept`: by an operator."""
    builder = StepGraphBuilder()
    x = builder.tensor("x", 4, variable=kept)
    builder.inputs.append(("r", builder.tensor("r", 4)))
    if not kept:
        builder.inputs.append(("x", x))
    matrix = builder.constant("w", np.ones((4, 4), np.float32))
    early = builder.op("FULLY_CONNECTED", [x, matrix, ""], builder.tensor("early", 4))
    later = builder.op("FULLY_CONNECTED", ["r", matrix, ""], builder.tensor("later", 4))
    rooted = builder.op("SOFTMAX", [later], builder.tensor("softmax", 4), beta=1.0)
    again = builder.op("SOFTMAX", [rooted], builder.tensor("again", 4), beta=1.0)
    builder.outputs.append(("y", builder.op("ADD", [early, again], builder.tensor("y", 4))))
    return builder.build()


def test_what_an_operator_keeps_is_multiplied_where_it_was():
    assert [op.outputs[0] for op in late_products(products(kept=False)).ops[:3]] == ["later", "softmax", "again"]
    graph = products(kept=True)
    assert late_products(graph) is graph
