"""CAST: the numbers themselves as another type, whatever they mean."""

from tflite.codegen.step_writer import C_TYPES, StepWriter, expect
from tflite.step_graph import Op

DTYPES = ("float32", "int8", "int16", "int32", "bool")


def write_cast(writer: StepWriter, op: Op) -> list[str]:
    """Real numbers are cut to integers, and what an int32 cannot hold becomes its nearest end (NaN 0): the kernels
    leave that to the processor. Integers keep their last bits."""
    (x,), (y,) = op.inputs, op.outputs
    source, target = (writer.tensor(name).dtype for name in (x, y))
    expect({source, target} <= {*DTYPES}, f"of {source} to {target}")
    value = writer.element(x, writer.size(y))
    if target == "bool":
        return writer.loop(y, f"(uint8_t)({value} != 0)")
    if source == "float32" and target != "float32":
        value = writer.call("whole", value)
    return writer.loop(y, value if source == target else f"({C_TYPES[target]}){value}")
