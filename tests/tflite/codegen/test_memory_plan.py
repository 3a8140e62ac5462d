"""Tensors share scratch memory only where one is read for the last time before the other is written."""

import itertools
from math import prod

import contract_models as models
import pytest

from tflite.codegen.element_loops import ELEMENTWISE
from tflite.codegen.memory_plan import ALIGNMENT, is_view, plan_memory
from tflite.flatbuffer import read_flatbuffer

FORMS = [(cell, numbers) for cell in models.CELLS for numbers in models.NUMBERS]


@pytest.mark.parametrize(("cell", "numbers"), FORMS)
def test_nothing_that_is_still_read_is_overwritten(cell, numbers):
    """The program run over the plan with one label an element: every read finds the label that was written."""
    graph = read_flatbuffer(models.artifact(cell, numbers, "external")[0])
    plan = plan_memory(graph)
    memory = {dtype: [None] * size for dtype, size in plan.sizes.items()}

    def place(name):
        root, offset = name, 0
        while root in plan.views:
            root, more = plan.views[root]
            offset += more
        if root not in plan.offsets:
            return None
        start = plan.offsets[root] + offset
        return graph.tensor(name).dtype, root, offset, range(start, start + prod(graph.tensor(name).shape))

    def assert_whole(name, elements=None):
        if place(name) is not None:
            dtype, root, offset, cells = place(name)
            for i in range(len(cells)) if elements is None else elements:
                assert memory[dtype][cells[i]] == (root, offset + i), name

    def write(name, elements):
        if name not in plan.passing:
            dtype, root, offset, cells = place(name)
            assert plan.offsets[root] % ALIGNMENT == 0
            for i in elements:
                memory[dtype][cells[i]] = (root, i)

    for loop in plan.loops:
        ops = [graph.ops[index] for index in loop if not is_view(graph, graph.ops[index])]
        if ops and ops[0].kind in ELEMENTWISE:
            sizes = {name: prod(graph.tensor(name).shape) for op in ops for name in filter(None, op.inputs)}
            for i, op in itertools.product(range(prod(graph.tensor(ops[0].outputs[0]).shape)), ops):
                for name in filter(None, op.inputs):
                    assert_whole(name, [i if sizes[name] > 1 else 0])
                for name in op.outputs:
                    write(name, [i])
            continue
        for op in ops:
            for name in filter(None, op.inputs):
                assert_whole(name)
            for name in op.outputs:
                write(name, range(prod(graph.tensor(name).shape)))
                for read in filter(None, op.inputs):
                    assert_whole(read)  # no such operator writes over what it reads
    for name in itertools.chain((tensor for _, tensor in graph.outputs), (after for _, _, after in graph.states)):
        assert_whole(name)


def test_memory_is_used_again():
    graph = read_flatbuffer(models.artifact("gru", "int8", "external")[0])
    plan = plan_memory(graph)
    made = [name for op in graph.ops if not is_view(graph, op) for name in op.outputs]
    own = sum(prod(graph.tensor(name).shape) for name in made if graph.tensor(name).dtype == "int8")
    assert plan.sizes["int8"] < own / 2
