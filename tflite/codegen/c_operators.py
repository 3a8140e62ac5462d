"""Operators of a step graph as C statements that compute the very integers of TensorFlow Lite Micro's kernels."""

from collections.abc import Callable

from tflite.codegen.c_casts import write_cast
from tflite.codegen.c_elementwise import (
    COMPARISONS,
    FLOAT_FUNCTIONS,
    write_compare,
    write_dequantize,
    write_float_arithmetic,
    write_float_function,
    write_leaky_relu,
    write_mul,
    write_quantize,
    write_relu,
    write_select,
    write_squash,
    write_sum,
)
from tflite.codegen.c_fused_lstm import write_fused_lstm
from tflite.codegen.c_matmul import write_matmul
from tflite.codegen.c_slices import write_slice
from tflite.codegen.c_vectors import write_concatenate, write_gather, write_reduce, write_softmax
from tflite.codegen.memory_plan import is_view
from tflite.codegen.operand_shapes import check_shapes
from tflite.codegen.step_writer import StepWriter, expect
from tflite.step_graph import Op

WRITERS: dict[str, Callable[[StepWriter, Op], list[str]]] = {
    **dict.fromkeys(FLOAT_FUNCTIONS, write_float_function),
    **dict.fromkeys(COMPARISONS, write_compare),
    **dict.fromkeys(("ADD", "SUB"), write_sum),
    **dict.fromkeys(("LOGISTIC", "TANH"), write_squash),
    **dict.fromkeys(("RELU", "RELU6"), write_relu),
    **dict.fromkeys(("BATCH_MATMUL", "FULLY_CONNECTED"), write_matmul),
    **dict.fromkeys(("SUM", "MEAN"), write_reduce),
    **dict.fromkeys(("SLICE", "STRIDED_SLICE"), write_slice),
    "CAST": write_cast,
    "CONCATENATION": write_concatenate,
    "DEQUANTIZE": write_dequantize,
    "DIV": write_float_arithmetic,
    "GATHER": write_gather,
    "LEAKY_RELU": write_leaky_relu,
    "MUL": write_mul,
    "QUANTIZE": write_quantize,
    "SELECT_V2": write_select,
    "SOFTMAX": write_softmax,
    "UNIDIRECTIONAL_SEQUENCE_LSTM": write_fused_lstm,
}


def write_operator(writer: StepWriter, op: Op) -> list[str]:
    """The statements of one operator; none where its outputs are views of its input.

    Raises:
        NotInC: saying what about the operator has no C.
    """
    check_shapes(writer.graph, op)
    if is_view(writer.graph, op):
        source = op.inputs[1] if op.kind == "SPLIT" else op.inputs[0]
        expect(sum(map(writer.size, op.outputs)) == writer.size(source), "into parts that are not the whole")
        return []
    expect(op.kind in WRITERS, "has no C")
    return WRITERS[op.kind](writer, op)
