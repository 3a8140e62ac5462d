"""Products with a column of constants become products with a bias; nothing else is touched."""

import contract_models as models
import numpy as np
import operator_models

from tflite.codegen.fold_constants import fold_constants
from tflite.flatbuffer import read_flatbuffer


def test_the_bias_column_of_a_step_model_goes_into_a_bias():
    graph = read_flatbuffer(models.artifact("gru", "int8", "external")[0])
    before = [op for op in graph.ops if op.kind == "BATCH_MATMUL"]
    source = next(op for op in graph.ops if op.kind == "CONCATENATION" and op.outputs[0] == before[0].inputs[0])
    after = fold_constants(graph)
    assert not [op for op in after.ops if op.kind == "CONCATENATION"]
    folded = next(op for op in after.ops if op.outputs == before[0].outputs)
    vector, weights, bias = folded.inputs
    assert (folded.kind, vector) == ("FULLY_CONNECTED", source.inputs[0])
    matrix, form = graph.tensor(before[0].inputs[1]).data.astype(int), graph.tensor(source.outputs[0]).affine
    constant = graph.tensor(source.inputs[1]).data.item()
    x = np.random.default_rng(0).integers(-128, 128, models.FEATURES)
    expected = matrix @ (np.append(x, constant) - form.zero_point)
    own = after.tensor(weights).data.astype(int) @ (x - form.zero_point) + after.tensor(bias).data
    np.testing.assert_array_equal(own, expected)


def test_a_graph_without_such_products_stays():
    graph = read_flatbuffer(operator_models.product("BATCH_MATMUL", "int8", 0))
    assert fold_constants(graph).ops == graph.ops
