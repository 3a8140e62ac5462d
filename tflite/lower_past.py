"""The past readings of a forecaster's targets as part of the state: what was measured at its lags, and on which level.

keras_models.feature_encoding says the same over arrays, for training.
"""

import numpy as np

from keras_models.feature_encoding import FeatureEncoding
from tflite.shell_operators import ShellOperators
from tflite.step_graph import StepGraphBuilder


class PastGraph(ShellOperators):
    """A shift register of the standardized readings that lags reach back to; zeros, their mean, after a reset.

    `then`: by (1, leads * targets) what it knows of the times forecast: the readings at each lag, and what is usual.
    """

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
        # Cut before anything else is made: the arena need not hold past, ring and features side by side.
        self.then = self._lags()
        if encoding.usual is not None:
            self.then.append(self._usual(targets))

    def _usual(self, target: str) -> str:
        """(1, leads): what was usual at the time of each, above the level; a ring of one period keeps it.

        Its oldest moves by a share of the way to how it is now, and that becomes the newest.
        """
        enc, period = self.encoding, max(self.encoding.lags)
        before = self._tensor("previous_usual", period)
        oldest = self._slice(0, 1, "usual_before", before)
        above = self._op("SUB", [target, self.level], "reading_above", 1)
        change = self._op("SUB", [above, oldest], "unusual", 1)
        share = self._op("MUL", [change, self._constant("usual_share", [enc.usual])], "usual_change", 1)
        newest = self._op("ADD", [oldest, share], "usual_now", 1)
        usual = self._op("CONCATENATION", [before, newest], "usual", period + 1, axis=1)
        self._state("usual", before, self._slice(1, period, "usual_kept", usual))
        return self._slice(enc.leads[0], enc.outputs, "usual_then", usual)

    def _lags(self) -> list[str]:
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

    def _slice(self, first: int, size: int, name: str, of: str | None = None) -> str:
        """`size` from place `first` on of the past readings, or of another tensor."""
        begin = self.builder.constant(f"begin_{name}", np.array([0, first], np.int32))
        shape = self.builder.constant(f"shape_{name}", np.array([1, size], np.int32))
        return self._op("SLICE", [of or self.past, begin, shape], name, size)
