"""A step graph whose real inputs and outputs are left as the integers behind them, for a device without floats."""

from dataclasses import replace

from tflite.step_graph import StepGraph


def with_integer_ends(graph: StepGraph) -> StepGraph:
    """Takes away the QUANTIZE behind every input and the DEQUANTIZE before every output.

    Whoever steps the model quantizes and dequantizes, by the scale and zero_point of its ends.

    Raises:
        ValueError: real numbers of an input or output take part in the step.
    """
    behind = {op.inputs[0]: op for op in graph.ops if op.kind == "QUANTIZE"}
    before = {op.outputs[0]: op for op in graph.ops if op.kind == "DEQUANTIZE"}
    read = [name for op in graph.ops for name in op.inputs]
    for name, tensor in graph.inputs:
        if tensor not in behind or read.count(tensor) > 1:
            raise ValueError(f"input {name!r} takes part in the step as real numbers; expected ends='real'")
    for name, tensor in graph.outputs:
        if tensor not in before or tensor in read:
            raise ValueError(f"output {name!r} is made of real numbers; expected ends='real'")
    dropped = [behind[tensor] for _, tensor in graph.inputs] + [before[tensor] for _, tensor in graph.outputs]
    gone = {tensor for _, tensor in (*graph.inputs, *graph.outputs)}
    return replace(
        graph,
        tensors=tuple(tensor for tensor in graph.tensors if tensor.name not in gone),
        ops=tuple(op for op in graph.ops if op not in dropped),
        inputs=tuple((name, behind[tensor].outputs[0]) for name, tensor in graph.inputs),
        outputs=tuple((name, before[tensor].inputs[0]) for name, tensor in graph.outputs),
    )
