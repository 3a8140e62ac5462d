"""What a model costs on cores, for the validation record of a scenario."""

from collections.abc import Sequence

from pipeline.scenario import CORE_FIGURES
from tflite.firmware.core_table import failures, print_figures
from tflite.firmware.cores import CORES
from tflite.firmware.measure import STEPS, measure


def core_figures(content: bytes, cores: Sequence[str], steps: int = STEPS) -> dict[str, dict[str, int]]:
    """{"instructions": {core: ...}, "flash": ..., "ram": ...} of a model; also printed.

    A core that does not say what TensorFlow Lite Micro says is left out and told of: it runs another model.

    Raises:
        UserError: a tool is missing or fails.
    """
    measured = {("shipped", one.core): one for one in measure(content, [CORES[name] for name in cores], steps)}
    print_figures("generated C on emulated cores", measured)
    wrong = failures(measured)
    for line in wrong.values():
        print(f"warning: {line}")
    sound = [one for key, one in measured.items() if key not in wrong]
    return {figure: {one.core: getattr(one, figure) for one in sound} for figure in CORE_FIGURES}
