"""Which operators share a loop, and what needs no memory between them."""

import contract_models as models
import pytest

from tflite.codegen import c_casts, c_elementwise
from tflite.codegen.c_operators import WRITERS
from tflite.codegen.element_loops import ELEMENTWISE, element_loops, passing
from tflite.flatbuffer import read_flatbuffer
from tflite.step_graph import StepGraphBuilder


def test_every_operator_written_element_by_element_is_known():
    """Their writers give the body of a loop only."""
    modules = {c_elementwise.__name__, c_casts.__name__}
    assert {kind for kind, write in WRITERS.items() if write.__module__ in modules} == ELEMENTWISE


@pytest.mark.parametrize("cell", models.CELLS)
def test_loops_are_the_program_in_its_order(cell):
    graph = read_flatbuffer(models.artifact(cell, "int8", "external")[0])
    loops = element_loops(graph)
    assert [index for loop in loops for index in loop] == list(range(len(graph.ops)))
    assert max(map(len, loops)) > 1


def two_branches():
    """y = -(|x|), z = |x| + the first: |x| is read in its loop; the sum over it is another's."""
    builder = StepGraphBuilder()
    x, a, b, c = (builder.tensor(name, 4) for name in ("x", "a", "b", "c"))
    builder.inputs.append(("x", x))
    builder.op("ABS", [x], a)
    builder.op("NEG", [a], b)
    builder.op("CONCATENATION", [b, b], builder.tensor("wide", 8), axis=1)
    builder.op("ADD", [a, b], c)
    builder.outputs.append(("z", c))
    return builder.build()


def test_what_another_loop_reads_is_kept():
    graph = two_branches()
    loops = element_loops(graph)
    assert loops == [(0, 1), (2,), (3,)]
    assert passing(graph, loops) == set()


def test_what_only_its_loop_reads_passes():
    graph = read_flatbuffer(models.artifact("gru", "int8", "external")[0])
    loops = element_loops(graph)
    gone = passing(graph, loops)
    writers = {name: index for index, op in enumerate(graph.ops) for name in op.outputs}
    loop_of = {index: loop for loop in loops for index in loop}
    for index, op in enumerate(graph.ops):
        for name in set(op.inputs) & gone:
            assert loop_of[writers[name]] == loop_of[index]
    assert gone and not gone & {name for _, name in graph.outputs}
