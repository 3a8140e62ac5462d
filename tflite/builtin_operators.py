"""The builtin operators a step graph may hold, and the version the schema asks of each.

A runtime refuses a version it does not know and TensorFlow Lite Micro ignores it. Versions as TensorFlow's own
converter gives them (its op_version.cc).
"""

from tflite.step_graph import Op, StepGraph

# Operator -> (name of its options table, version by dtype of the tensor it works on; 1 where not given).
OPERATORS = {
    "ABS": ("AbsOptions", {"int8": 2, "int16": 3}),
    "ADD": ("AddOptions", {"int8": 2, "int16": 3}),
    "ASSIGN_VARIABLE": ("AssignVariableOptions", {}),
    "BATCH_MATMUL": ("BatchMatMulOptions", {"int8": 2, "int16": 3}),
    "CALL_ONCE": ("CallOnceOptions", {}),
    "CAST": ("CastOptions", {}),
    "CONCATENATION": ("ConcatenationOptions", {"int8": 2, "int16": 3}),
    "DEQUANTIZE": ("DequantizeOptions", {"int8": 2, "int16": 3, "float16": 3}),
    "DIV": ("DivOptions", {}),
    "ELU": (None, {}),
    "EXP": ("ExpOptions", {"int8": 2, "int16": 2}),
    "FULLY_CONNECTED": ("FullyConnectedOptions", {"int8": 4, "int16": 7}),
    "GATHER": ("GatherOptions", {"int8": 2, "int16": 4}),
    "GELU": ("GeluOptions", {"int8": 2}),
    "GREATER": ("GreaterOptions", {"int8": 2}),
    "HARD_SWISH": ("HardSwishOptions", {}),
    "LEAKY_RELU": ("LeakyReluOptions", {"int16": 2}),
    "LESS": ("LessOptions", {"int8": 2, "int16": 3}),
    "LOG": (None, {"int8": 2, "int16": 2}),
    "LOGISTIC": (None, {"int8": 2, "int16": 3}),
    "MAXIMUM": ("MaximumMinimumOptions", {"int8": 2, "int16": 4}),
    "MEAN": ("ReducerOptions", {"int8": 2, "int16": 3}),
    "MINIMUM": ("MaximumMinimumOptions", {"int8": 2, "int16": 4}),
    "MUL": ("MulOptions", {"int8": 2, "int16": 4}),
    "NEG": ("NegOptions", {}),
    "PACK": ("PackOptions", {"int8": 2}),
    "QUANTIZE": ("QuantizeOptions", {"int16": 2}),
    "READ_VARIABLE": ("ReadVariableOptions", {}),
    "RELU": (None, {"int8": 2, "int16": 3}),
    "RELU6": (None, {"int8": 2, "int16": 3}),
    "RESHAPE": ("ReshapeOptions", {}),
    "RSQRT": (None, {"int8": 2, "int16": 3}),
    "SELECT_V2": ("SelectV2Options", {}),
    "SIN": (None, {}),
    "SLICE": ("SliceOptions", {"int8": 2, "int16": 4}),
    "SOFTMAX": ("SoftmaxOptions", {"int8": 2, "int16": 3}),
    "SPLIT": ("SplitOptions", {"int8": 2, "int16": 4}),
    "SPLIT_V": ("SplitVOptions", {"int8": 2}),
    "SQRT": (None, {"int8": 2, "int16": 2}),
    "SQUARE": ("SquareOptions", {}),
    "SQUARED_DIFFERENCE": ("SquaredDifferenceOptions", {"int8": 2}),
    "STRIDED_SLICE": ("StridedSliceOptions", {"int8": 2}),
    "SUB": ("SubOptions", {"int8": 2, "int16": 5}),
    "SUM": ("ReducerOptions", {"int8": 2}),
    "TANH": (None, {"int8": 2, "int16": 3}),
    "UNIDIRECTIONAL_SEQUENCE_LSTM": ("UnidirectionalSequenceLSTMOptions", {}),
    "VAR_HANDLE": ("VarHandleOptions", {}),
}

# float32 x int8 weights -> (place of the weights, version, version where the input is quantized asymmetrically).
HYBRID = {"BATCH_MATMUL": (1, 1, 4), "FULLY_CONNECTED": (1, 3, 9), "UNIDIRECTIONAL_SEQUENCE_LSTM": (2, 2, 3)}


def operator_version(graph: StepGraph, op: Op) -> int:
    """The greatest version that the dtype or anything else about the operator asks for."""
    works_on = {"SPLIT": op.inputs[1:2], "QUANTIZE": op.outputs}.get(op.kind, op.inputs)
    versions = [OPERATORS[op.kind][1].get(graph.tensor(works_on[0]).dtype, 1) if works_on else 1]
    options = dict(op.options)
    if op.kind in HYBRID:
        weights, symmetric, asymmetric = HYBRID[op.kind]
        if (graph.tensor(op.inputs[0]).dtype, graph.tensor(op.inputs[weights]).dtype) == ("float32", "int8"):
            versions.append(asymmetric if options.get("asymmetricQuantizeInputs") else symmetric)
    if op.kind == "FULLY_CONNECTED":
        uses = {5: options.get("keepNumDims"), 6: len(op.inputs) == 2, 11: options.get("quantizedBiasType")}
        versions += [version for version, used in uses.items() if used]
    return max(versions)
