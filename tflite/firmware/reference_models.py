"""The models whose cost on each core is recorded: 8 inputs, 32 units, Dense 8, integers at both ends."""

from collections.abc import Iterator
from dataclasses import dataclass

from tflite.conversion import convert
from tflite.firmware.cores import CORES
from tflite.firmware.image import OPTIMIZE
from tflite.matrix import MatrixForm, quantized_form


@dataclass(frozen=True)
class ReferenceModel:
    """A form of the matrix, the cores it is measured on, and what the compiler is told."""

    name: str
    form: MatrixForm
    ends: str = "integer"
    cores: tuple[str, ...] = ("m4",)
    optimize: str = OPTIMIZE

    def content(self) -> bytes:
        return convert(quantized_form(self.form), state=self.form.state, ends=self.ends).tflite


def reference_models() -> Iterator[ReferenceModel]:
    """The GRU on every core, for speed and for size; the other cells and forms on the M4."""
    gru = MatrixForm("gru", "int8", "external")
    yield ReferenceModel("gru int8", gru, cores=tuple(CORES))
    yield ReferenceModel("gru int8, -Os", gru, cores=tuple(CORES), optimize="-Os")
    yield ReferenceModel("gru int8, float ends", gru, "real", tuple(CORES))
    yield ReferenceModel("gru int8, int16 state", MatrixForm("gru", "int8", "external", "int16"))
    yield ReferenceModel("gru int16", MatrixForm("gru", "int16", "external"))
    yield ReferenceModel("simple_rnn int8", MatrixForm("simple_rnn", "int8", "external"))
    yield ReferenceModel("lstm int8", MatrixForm("lstm", "int8", "external"))
    yield ReferenceModel("lstm int8, fused", MatrixForm("lstm", "int8", "internal"))
