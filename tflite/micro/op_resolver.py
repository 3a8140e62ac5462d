"""The operators of a model as a MicroMutableOpResolver, which links these kernels and no others."""

from ai_edge_litert import schema_py_generated as schema

from pipeline.user_error import UserError
from tflite.flatbuffer import operator_names
from tflite.micro.include_guard import guarded

# Where the method of MicroMutableOpResolver is not the builtin operator's name in CamelCase.
METHODS = {
    "BATCH_MATMUL": "AddBatchMatMul",
    "CUMSUM": "AddCumSum",
    "PADV2": "AddPadV2",
    "UNIDIRECTIONAL_SEQUENCE_LSTM": "AddUnidirectionalSequenceLSTM",
}


def resolver_method(kind: str) -> str:
    """The method of MicroMutableOpResolver that adds a builtin operator: CONV_2D -> AddConv2D.

    Source: tensorflow/lite/micro/micro_mutable_op_resolver.h of TensorFlow Lite Micro.
    """
    return METHODS.get(kind, "Add" + "".join("2D" if part == "2D" else part.capitalize() for part in kind.split("_")))


def used_operators(model: bytes) -> list[str]:
    """The builtin operators of all subgraphs, each once, by name.

    Raises:
        UserError: one is a custom operator, which no method adds.
    """
    subgraphs = schema.Model.GetRootAs(model, 0).SubgraphsLength()
    used = sorted({kind for index in range(subgraphs) for kind in operator_names(model, index)})
    if "CUSTOM" in used:
        raise UserError("holds a custom operator, which MicroMutableOpResolver adds only with its code")
    return used


def resolver_header(name: str, kinds: list[str], head: str) -> str:
    """The text of <name>_ops.h."""
    added = " ||\n      ".join(f"resolver->{resolver_method(kind)}() != kTfLiteOk" for kind in kinds)
    return guarded(f"{name}_ops_h", f"""{head}

#include "tensorflow/lite/micro/micro_mutable_op_resolver.h"

typedef tflite::MicroMutableOpResolver<{len(kinds)}> {name}_op_resolver;

/* Adds all operators of the model; to be called once. */
inline TfLiteStatus {name}_add_ops({name}_op_resolver *resolver) {{
  if ({added}) {{
    return kTfLiteError;
  }}
  return kTfLiteOk;
}}
""")
