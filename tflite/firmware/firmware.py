"""`edgernn firmware`: models on every emulated core, held against TensorFlow Lite Micro and against what they cost."""

from tflite.firmware.baseline import differences, record
from tflite.firmware.core_table import Measured, failures, print_figures
from tflite.firmware.cores import CORES
from tflite.firmware.measure import measure
from tflite.firmware.reference_models import reference_models
from tflite.firmware.toolchain import versions


def firmware(is_recording: bool = False) -> bool:
    """Prints the table of the reference models; whether all are TFLM's and cost what the baseline says.

    Args:
        is_recording: what was measured becomes the baseline.

    Raises:
        UserError: the cross-compiler, the emulator or a compiler of this machine is missing or fails.
    """
    measured: Measured = {}
    for model in reference_models():
        cores = [CORES[name] for name in model.cores]
        for figures in measure(model.content(), cores, optimize=model.optimize):
            measured[model.name, figures.core] = figures
    print_figures("generated C on emulated cores", measured)
    found, tools = list(failures(measured).values()), versions()
    if is_recording and not found:
        record(measured, tools)
    else:
        found += differences(measured, tools)
    for line in found:
        print(f"FAILED {line}")
    return not found
