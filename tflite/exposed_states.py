"""A model that keeps its states inside, as the same model whose caller carries them: so they can be seen and set."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from tflite.flatbuffer import read_flatbuffer, write_flatbuffer

# Operators that keep states themselves: what Keras calls these, and at what place they stand among the inputs.
KEEPS = {"UNIDIRECTIONAL_SEQUENCE_LSTM": {"h": 18, "c": 19}}


def exposed_states(model: bytes) -> bytes:
    """The model with every state on both sides of its signature, computing with the same operators.

    Raises:
        ValueError: an operator, a quantization or a way to keep state that the step graph does not hold, or a state
            that changes its form over the step.
    """
    graph = read_flatbuffer(model)
    carried = {read for _, read, _ in graph.states}
    taken = [name for name, *_ in (*graph.states, *graph.inputs, *graph.outputs)]
    kept = states_of_operators(((op.kind, op.inputs) for op in graph.ops), taken)
    states = tuple((name, tensor, tensor) for name, tensor in kept if tensor not in carried)
    graph = replace(graph, states=graph.states + states)
    graph.check()
    return write_flatbuffer(graph)


def states_of_operators(ops: Iterable[tuple[str, Sequence[Any]]], taken: Iterable[str]) -> list[tuple[str, Any]]:
    """(name, tensor) of what operators keep in tensors of their own: h0, c0 of the first, ... where not yet taken.

    Args:
        ops: (kind, inputs) of every operator; an input is returned as it is.
        taken: names the model's signature uses already.
    """
    names, states = set(taken), []
    for kind, inputs in ops:
        for letter, place in KEEPS.get(kind, {}).items():
            name = next(one for number in range(len(names) + 1) if (one := f"{letter}{number}") not in names)
            names.add(name)
            states.append((name, inputs[place]))
    return states
