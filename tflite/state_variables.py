"""States inside the model: the states of a step graph as resource variables, and those variables as states again.

The step reads every variable before its first operator and assigns all after its last, so a state that leaves through
another's entry (a delay line) is not lost. A second program puts real 0 into every variable: the step calls it once,
before it first reads, and it is the signature `reset`.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from tflite.step_graph import StepGraph, StepGraphBuilder, Tensor

RESET_PROGRAM = 1  # subgraph of the program that resets; the step is subgraph 0
KINDS = ("CALL_ONCE", "VAR_HANDLE", "READ_VARIABLE", "ASSIGN_VARIABLE")


def keep_states_inside(graph: StepGraph) -> tuple[StepGraph, StepGraph]:
    """(step, reset): two programs without states over shared variables, which are named as the states were."""
    step = StepGraphBuilder([*graph.tensors], inputs=[*graph.inputs], outputs=[*graph.outputs])
    step.op("CALL_ONCE", [], [], initSubgraphIndex=RESET_PROGRAM)
    handles = {name: _handle(step, name) for name, _, _ in graph.states}
    for name, read, _ in graph.states:
        step.op("READ_VARIABLE", [handles[name]], read)
    step.ops += graph.ops
    for name, _, written in graph.states:
        step.op("ASSIGN_VARIABLE", [handles[name], written], [])
    reset = StepGraphBuilder()
    for name, read, _ in graph.states:
        reset.op("ASSIGN_VARIABLE", [_handle(reset, name), _zero(reset, graph.tensor(read))], [])
    return step.build(), reset.build()


def take_states_out(step: StepGraph, resets: Sequence[StepGraph]) -> StepGraph:
    """The graph that `keep_states_inside` made these programs of, or one of the same meaning.

    Args:
        resets: the programs that the step calls once.

    Raises:
        ValueError: the step cannot run, or resets in its middle; a variable is not read once and then assigned once by
            every step, or does not start at real 0.
    """
    step.check()
    kinds = [op.kind for op in step.ops if op.kind in ("CALL_ONCE", "READ_VARIABLE", "ASSIGN_VARIABLE")]
    if "CALL_ONCE" in kinds[kinds.count("CALL_ONCE") :]:
        raise ValueError("the states kept inside are reset in the middle of a step")
    names = _variable_names(step)
    read = {names[op.inputs[0]]: op.outputs[0] for op in step.ops if op.kind == "READ_VARIABLE"}
    written = {names[op.inputs[0]]: op.inputs[1] for op in step.ops if op.kind == "ASSIGN_VARIABLE"}
    uses = [(names[op.inputs[0]], op.kind) for op in step.ops if op.kind in ("READ_VARIABLE", "ASSIGN_VARIABLE")]
    for name in names.values():
        if [kind for variable, kind in uses if variable == name] != ["READ_VARIABLE", "ASSIGN_VARIABLE"]:
            raise ValueError(f"state {name!r} is kept inside in another way than one READ, then one ASSIGN a step")
        if not _starts_at_zero(resets, name):
            raise ValueError(f"state {name!r} is kept inside and does not start at 0")
    return replace(
        step,
        tensors=tuple(tensor for tensor in step.tensors if tensor.dtype != "resource"),
        ops=tuple(op for op in step.ops if op.kind not in KINDS),
        states=step.states + tuple((name, read[name], written[name]) for name in read),
    )


def _handle(builder: StepGraphBuilder, name: str) -> str:
    handle = builder.tensor(f"{name}/variable", dtype="resource", shape=())
    return builder.op("VAR_HANDLE", [], handle, sharedName=name)


def _zero(builder: StepGraphBuilder, state: Tensor) -> str:
    """A constant of the state's form that holds real 0."""
    zero = np.full(state.shape, state.affine.zero_point if state.affine else 0, state.dtype)
    return builder.constant(f"{state.name}/zero", zero, state.affine)


def _variable_names(program: StepGraph) -> dict[str, str]:
    """Handle tensor -> name of the variable."""
    return {op.outputs[0]: dict(op.options).get("sharedName", "") for op in program.ops if op.kind == "VAR_HANDLE"}


def _starts_at_zero(resets: Sequence[StepGraph], variable: str) -> bool:
    """True where the programs assign it constants of real 0 and nothing else."""
    values = [
        program.tensor(op.inputs[1])
        for program in resets
        for op in program.ops
        if op.kind == "ASSIGN_VARIABLE" and _variable_names(program)[op.inputs[0]] == variable
    ]
    return bool(values) and all(
        value.data is not None and np.all(value.data == (value.affine.zero_point if value.affine else 0))
        for value in values
    )
