"""The past readings of a forecaster's targets as part of the state: what was measured at its lags, and on which level.

keras_models.feature_encoding says the same over arrays, for training.
"""

import numpy as np

from keras_models.feature_encoding import FeatureEncoding
from tflite.shell_operators import ShellOperators
from tflite.step_graph import StepGraphBuilder


class PastGraph(ShellOperators):
    """A shift register of the standardized readings that lags reach back to; zeros, their mean, after a reset."""

    def __init__(self, builder: StepGraphBuilder, encoding: FeatureEncoding, targets: str):
        """`targets`: graph tensor (1, targets) of the newest readings, standardized, none missing."""
        super().__init__(builder)
        self.encoding, count = encoding, len(encoding.targets)
        before = self._tensor("previous_past", encoding.memory * count)
        width = (encoding.memory + 1) * count
        self.past = self._op("CONCATENATION", [before, targets], "past", width, axis=1)
        self._state("past", before, self._slice(count, encoding.memory * count, "past_kept"))
        axis = builder.constant("axis", np.array(1, np.int32))
        self.level = self._op("MEAN", [self.past, axis], "level", 1, keepDims=True) if encoding.level else None

    def lags(self) -> list[str]:
        """The readings at each lag, (1, leads * targets) each, above the level where there is one."""
        enc, count, oldest = self.encoding, len(self.encoding.targets), max(self.encoding.lags)
        lags = {lag: self._slice((oldest - lag) * count, enc.outputs, f"lag_{lag}") for lag in enc.lags}
        if self.level is None:
            return list(lags.values())
        return [self._op("SUB", [tap, self.level], f"lag_{lag}_above", enc.outputs) for lag, tap in lags.items()]

    def above_level(self, readings: str) -> str:
        """(1, measured) readings: that of the target as its distance to the level."""
        return self._moved("SUB", readings, "readings_above")

    def from_level(self, readings: str) -> str:
        """The reverse of `above_level`."""
        return self._moved("ADD", readings, "readings_from_level")

    def forecast_from_level(self, forecast: str, name: str) -> str:
        """(1, leads * targets) network output: standard deviations from the level -> from the mean."""
        if self.level is None:
            return forecast
        return self._op("ADD", [forecast, self.level], f"{name}_from_level", self.encoding.outputs)

    def _moved(self, kind: str, readings: str, name: str) -> str:
        if self.level is None:
            return readings
        measured = self.encoding.measured
        chosen = self._constant("is_target", np.eye(measured)[list(self.encoding.targets)])
        levels = self._op("MUL", [chosen, self.level], f"{name}_levels", measured)
        return self._op(kind, [readings, levels], name, measured)

    def _slice(self, first: int, size: int, name: str) -> str:
        """`size` of the past readings from place `first` on."""
        begin = self.builder.constant(f"begin_{name}", np.array([0, first], np.int32))
        shape = self.builder.constant(f"shape_{name}", np.array([1, size], np.int32))
        return self._op("SLICE", [self.past, begin, shape], name, size)
