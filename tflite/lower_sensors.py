"""The operators around the network: raw float readings in, forecasts in real units or an anomaly score out.

A device feeds what its sensors say. Missing readings (NaN, infinities) are replaced here by the network's own last
forecast of that channel, standardization and calendar encoding happen here (keras_models.feature_encoding says the
same over arrays), and so do denormalization and the score. Reset value of every state: zero.
"""

import keras
import numpy as np

from keras_models.anomaly_score import AnomalyScore
from keras_models.feature_encoding import CLIP, FeatureEncoding
from keras_models.forecaster import quantile_name
from tflite.graph_operators import dequantize
from tflite.lower_model import lower_model
from tflite.lower_past import PastGraph
from tflite.lower_score import ScoreGraph
from tflite.shell_operators import ShellOperators
from tflite.step_graph import StepGraph, StepGraphBuilder

PLAUSIBLE = 1e30  # |reading| must be below: excludes infinities and, comparing false, NaN


class SensorGraph(ShellOperators):
    """Builds the step graph of one network inside its sensor shell."""

    def __init__(
        self,
        model: keras.Model,
        encoding: FeatureEncoding,
        score: AnomalyScore | None = None,
        state: str = "external",
    ):
        if encoding.readings is not None and (score is None or encoding.cycles):
            raise ValueError("mean and spread learned on the device go with a score and without calendar columns")
        self.model, self.encoding, self.score, self.state = model, encoding, score, state
        super().__init__(StepGraphBuilder())
        self.past = None
        self.observed = None  # (1, 1), 1 if there is any reading, else 0; None: every step counts
        self.missing = None  # (1, 1), how many inputs of a score are missing that are no targets; None: it has none
        self.cut = {}  # stretches of the readings that are tensors already, by (first, last)
        self.output_form = {}

    def build(self) -> StepGraph:
        """The graph; afterwards `output_form` says unit, leads and quantum of each output for the manifest, by name.

        Signature: step(x, h0.., forecast, ...) -> (forecast | score, ..., h0.., forecast, ...).

        x: (1, columns) raw readings. Output `forecast`: (1, leads * targets) in real units, and each quantile like it;
        or `score`: (1, 1) and what the score has beside it.
        """
        x = self._tensor("x", len(self.encoding.columns))
        self.builder.inputs.append(("x", x))
        readings, calendar = self._fill_missing(x)
        if self.encoding.lags:
            self.past = PastGraph(self.builder, self.encoding, self._picked(readings, self.encoding.targets, "targets"))
        features = self._features(readings, calendar)
        forecast, following, *more = lower_model(
            self.builder,
            self.model,
            {self.model.inputs[0]._keras_history.operation.name: features},
            state=self.state,
        )
        scored = None if self.score is None else self._score_graph(forecast)
        outputs = self._scored(scored, readings, forecast, *more) if scored else self._forecasts(forecast, more)
        following = self._following(following, calendar)
        if scored and scored.centre and not set(self.encoding.targets) & set(self.encoding.read):
            following = self._as_usual(following, scored.centre)
        self._state("last_forecast", self.previous, following)
        self.builder.outputs += outputs
        return self.builder.build()

    def _fill_missing(self, x: str) -> tuple[str, str | None]:
        """Standardized readings (1, measured), and calendar values or None, none of them missing any more."""
        enc, columns = self.encoding, len(self.encoding.columns)
        valid = self._op(
            "LESS",
            [self._op("ABS", [x], "magnitude", columns), self._constant("plausible", [PLAUSIBLE])],
            "valid",
            columns,
            "bool",
        )
        if self.score and enc.only_read:
            self.missing = self._missing(valid)
        mean, scale = self._learned(x, valid) if enc.readings is not None else self._fixed()
        centred = self._op("SUB", [x, mean], "centred", columns)
        standardized = self._op("MUL", [centred, scale], "standardized", columns)
        self.previous = self._tensor("previous_forecast", columns)
        filled = self._op("SELECT_V2", [valid, standardized, self.previous], "filled", columns)
        if not enc.cycles:
            return self._clip(filled), None
        readings, calendar = (
            self._tensor(n, w) for n, w in (("unclipped", enc.measured), ("calendar", columns - enc.measured))
        )
        self._split_columns(filled, readings, calendar)
        return self._clip(readings), calendar

    def _missing(self, valid: str) -> str:
        """How many of the columns are missing that the network reads and does not forecast."""
        ones = np.zeros(len(self.encoding.columns))
        ones[list(self.encoding.only_read)] = 1
        counted = [valid, self._constant("zero", [0.0]), self._constant("only_read", ones)]
        return self._sum(self._op("SELECT_V2", counted, "missing_each", len(ones)), "missing")

    def _split_columns(self, values: str, readings: str, calendar: str) -> None:
        sizes = np.array([self.builder.width(readings), self.builder.width(calendar)], np.int32)
        axis = self.builder.constant("axis", np.array(1, np.int32))
        sizes = self.builder.constant("column_kinds", sizes)
        self.builder.op("SPLIT_V", [values, sizes, axis], [readings, calendar], numSplits=2)

    def _clip(self, values: str) -> str:
        """Readings within CLIP, as the network was trained on them."""
        below = self._op("MINIMUM", [values, self._constant("clip", [CLIP])], "not_above", self.encoding.measured)
        return self._op("MAXIMUM", [below, self._constant("-clip", [-CLIP])], "readings", self.encoding.measured)

    def _fixed(self) -> tuple[str, str]:
        """Mean and 1/std of each column; calendar columns pass through."""
        enc = self.encoding
        rest = len(enc.columns) - enc.measured
        mean = np.float32(enc.mean + (0.0,) * rest)
        inverse = 1 / np.asarray(enc.std + (1.0,) * rest, np.float32)
        return self._constant("mean", mean), self._constant("inverse_std", inverse)

    def _learned(self, x: str, valid: str) -> tuple[str, str]:
        """Mean and 1/std of the first readings after a reset (Welford's recurrence), fixed from then on."""
        width = len(self.encoding.columns)
        count, mean, spread = (self._tensor(f"previous_{name}", width) for name in ("count", "mean", "spread"))
        zero, one = self._constant("zero", [0.0]), self._constant("unit", [1.0])
        wanted = self._op(
            "LESS", [count, self._constant("readings", [self.encoding.readings])], "learning", width, "bool"
        )
        one_each = self._constant("one_each", np.ones(width))
        if_valid = self._op("SELECT_V2", [valid, one_each, zero], "if_valid", width)
        self.observed = self._op("MINIMUM", [self._sum(if_valid, "known"), one], "observed", 1)
        taken = self._op("SELECT_V2", [wanted, if_valid, zero], "taken", width)
        reading = self._op("SELECT_V2", [valid, x, mean], "reading_or_mean", width)
        new_count = self._op("ADD", [count, taken], "count", width)
        at_least_one = self._op("MAXIMUM", [new_count, one], "count_or_one", width)
        change = self._op("SUB", [reading, mean], "change", width)
        weighted = self._op("MUL", [taken, change], "taken_change", width)
        new_mean = self._op(
            "ADD", [mean, self._op("DIV", [weighted, at_least_one], "mean_change", width)], "mean", width
        )
        rest = self._op("SUB", [reading, new_mean], "rest", width)
        new_spread = self._op(
            "ADD", [spread, self._op("MUL", [weighted, rest], "spread_change", width)], "spread", width
        )
        variance = self._op("DIV", [new_spread, at_least_one], "variance", width)
        std = self._op(
            "MAXIMUM",
            [self._op("SQRT", [variance], "learned_std", width), self._constant("std_floor", self.encoding.std)],
            "std",
            width,
        )
        for name, read, written in (
            ("count", count, new_count),
            ("mean", mean, new_mean),
            ("spread", spread, new_spread),
        ):
            self._state(name, read, written)
        return new_mean, self._op("DIV", [one, std], "inverse_std", width)

    def _features(self, readings: str, calendar: str | None) -> str:
        picked = self._picked(readings, self.encoding.read, "inputs")
        picked = self.past.above_level(picked) if self.past else picked
        parts = [picked, *([self._waves(calendar)] if calendar else []), *(self.past.then if self.past else [])]
        if len(parts) == 1:
            return picked
        return self._op("CONCATENATION", parts, "features", self.encoding.width, axis=1)

    def _waves(self, calendar: str) -> str:
        weights, phase = self.encoding.angles
        angles = self._op(
            "BATCH_MATMUL", [calendar, self._constant("cycles", weights.T)], "cycle_angles", len(phase), adjY=True
        )
        shifted = self._op("ADD", [angles, self._constant("phase", phase)], "angles", len(phase))
        return self._op("SIN", [shifted], "waves", len(phase))

    def _following(self, following: str, calendar: str | None) -> str:
        """The network's forecast of the next readings; calendars run on by themselves."""
        following = dequantize(self.builder, following)
        following = self.past.from_level(following) if self.past else following
        if calendar is None:
            return following
        columns = len(self.encoding.columns)
        advance = self._constant("advance", self.encoding.advance)
        calendar = self._op("ADD", [calendar, advance], "calendar_next", columns - self.encoding.measured)
        return self._op("CONCATENATION", [following, calendar], "last_forecast", columns, axis=1)

    def _as_usual(self, following: str, centre: str) -> str:
        """`following` with the usual residual of each target added.

        The network does not see what it forecasts, so not how far this machine is from the others: a missing reading
        would be replaced by that of another machine, and taken for a jump.
        """
        columns, targets = len(self.encoding.columns), self.encoding.targets
        first, last = targets[0], targets[-1]
        if targets == tuple(range(first, last + 1)):
            sides = [self._constant(f"no_centre_{n}", np.zeros(n)) if n else None for n in (first, columns - last - 1)]
            parts = [part for part in (sides[0], centre, sides[1]) if part]
            usual = self._op("CONCATENATION", parts, "usual", columns, axis=1) if len(parts) > 1 else centre
        else:
            places = np.zeros((columns, len(targets)), np.float32)
            places[list(targets), np.arange(len(targets))] = 1
            usual = self._op("BATCH_MATMUL", [centre, self._constant("places", places)], "usual", columns, adjY=True)
        return self._op("ADD", [following, usual], "usual_forecast", columns)

    def _forecasts(self, forecast: str, quantiles: list[str]) -> list[tuple[str, str]]:
        """Output `forecast` and the quantiles, rising: none passes its neighbour on the side of the forecast."""
        enc = self.encoding
        raw = dict(zip(enc.quantiles, quantiles, strict=True))
        shifts = dict(zip(enc.quantiles, enc.shifts or [0.0] * len(quantiles), strict=True))
        real = {0.5: self._real("forecast", forecast)}
        below = sorted((quantile for quantile in raw if quantile < 0.5), reverse=True)
        for kind, side in (("MINIMUM", below), ("MAXIMUM", sorted(raw.keys() - set(below)))):
            nearer = real[0.5]
            for quantile in side:
                name = quantile_name(quantile)
                value = self._real(name, raw[quantile], shifts[quantile], quantile)
                nearer = real[quantile] = self._op(kind, [value, nearer], f"{name}_in_order", enc.outputs)
        return [("forecast", real[0.5]), *((quantile_name(quantile), real[quantile]) for quantile in enc.quantiles)]

    def _real(self, name: str, values: str, shift=0.0, quantile: float | None = None) -> str:
        """Network output to real units, lead after lead, each with every target."""
        enc, width, affine = self.encoding, self.builder.width(values), self.builder.affine(values)
        targets = [enc.columns[target] for target in enc.targets]
        self.output_form[name] = {
            "targets": targets,
            "unit": enc.units[enc.targets[0]],
            "leads": list(enc.leads),
            "quantum": max(affine.scale * enc.std[t] for t in enc.targets) if affine else None,
        }
        if quantile is not None:
            self.output_form[name]["quantile"] = quantile
        place = "" if quantile is None else f"{name}_"
        std, mean = (np.tile(np.float32(values)[list(enc.targets)], enc.lead_count) for values in (enc.std, enc.mean))
        mean = np.float32(mean + np.asarray(shift) * std)
        values = dequantize(self.builder, values)
        values = self.past.forecast_from_level(values, name) if self.past else values
        spread = self._op("MUL", [values, self._constant("target_std", std)], f"{place}spread_out", width)
        real = self._op("ADD", [spread, self._constant(f"{place}target_mean", mean)], f"{place}real", width)
        if enc.non_negative:
            real = self._op("MAXIMUM", [real, self._constant("zero", [0.0])], name, width)
        return real

    def _score_graph(self, forecast: str) -> ScoreGraph:
        enc, channels = self.encoding, self.builder.width(forecast)
        return ScoreGraph(self.builder, self.score, channels, max(enc.leads[0], enc.readings or 0), self.observed)

    def _scored(self, graph: ScoreGraph, readings: str, forecast: str, *trust: str) -> list[tuple[str, str]]:
        """Output `score`, 1.0 is the alarm, and what goes with it (see `ScoreGraph`); 0 until the network settled."""
        enc = self.encoding
        self.output_form = {"score": {"unit": "1", "quantum": None}}
        if self.score.contributions:
            self.output_form["contributions"] = {"channels": [enc.columns[target] for target in enc.targets]}
        due = dequantize(self.builder, self._pending(forecast))
        trust = [dequantize(self.builder, self._pending(part, "trust_")) for part in trust]
        missing = self._pending(self.missing, "missing_") if self.missing else None
        return graph.outputs(self._picked(readings, enc.targets, "targets"), due, *trust, missing=missing)

    def _picked(self, readings: str, columns: tuple[int, ...], name: str) -> str:
        """These of the readings: all, a stretch cut out without arithmetic, or picked by a matrix."""
        measured, first, last = self.encoding.measured, columns[0], columns[-1]
        if columns == tuple(range(measured)):
            return readings
        if columns == tuple(range(first, last + 1)):
            if (first, last) in self.cut:
                return self.cut[first, last]
            sizes = {f"before_{name}": first, name: len(columns), f"behind_{name}": measured - last - 1}
            sizes = {part: size for part, size in sizes.items() if size}
            parts = {part: self._tensor(part, size) for part, size in sizes.items()}
            axis = self.builder.constant("axis", np.array(1, np.int32))
            lengths = self.builder.constant(f"{name}_stretches", np.array(list(sizes.values()), np.int32))
            self.builder.op("SPLIT_V", [readings, lengths, axis], list(parts.values()), numSplits=len(parts))
            ends = np.cumsum(list(sizes.values())).tolist()
            for (part, size), end in zip(sizes.items(), ends, strict=True):
                self.cut[end - size, end - 1] = parts[part]
            return parts[name]
        chosen = np.zeros((len(columns), measured), np.float32)
        chosen[np.arange(len(chosen)), list(columns)] = 1
        matrix = self._constant(f"chosen_{name}", chosen)
        return self._op("BATCH_MATMUL", [readings, matrix], name, len(chosen), adjY=True)

    def _pending(self, forecast: str, of: str = "") -> str:
        """The forecast, or what is said `of` it, made `lead` steps ago for now: a shift register among the states."""
        builder, channels, lead = self.builder, self.builder.width(forecast), self.encoding.leads[0]
        if not lead:
            return forecast
        affine = builder.affine(forecast)
        before = self._tensor(f"{of}previous_pending", lead * channels, affine)
        sizes = [channels, (lead - 1) * channels] if lead > 1 else None
        due = self._tensor(f"{of}due", channels, affine) if sizes else before
        after = forecast
        if sizes:
            kept = self._tensor(f"{of}kept", sizes[1], affine)
            axis = builder.constant("axis", np.array(1, np.int32))
            sizes = builder.constant("due_and_kept", np.array(sizes, np.int32))
            builder.op("SPLIT_V", [before, sizes, axis], [due, kept], numSplits=2)
            after = builder.op(
                "CONCATENATION", [kept, forecast], self._tensor(f"{of}pending", lead * channels, affine), axis=1
            )
        self._state(f"{of}pending", before, after)
        return due
