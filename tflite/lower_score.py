"""The anomaly score as operators: `AnomalyScore.judge`, one step at a time. Reset value of every state: zero."""

import numpy as np

from keras_models.anomaly_score import ALARM, STANDING_STILL, AnomalyScore
from tflite.shell_operators import ShellOperators
from tflite.step_graph import StepGraphBuilder


class ScoreGraph(ShellOperators):
    """Adds a score to the graph of `builder`; a part the score does not use adds nothing.

    Args:
        first: steps after a reset until residuals say something: before that there is no centre and no score.
        observed: (1, 1), 1 for a step that counts among those and 0 for others; None: all count.
    """

    def __init__(
        self, builder: StepGraphBuilder, score: AnomalyScore, channels: int, first: int, observed: str | None = None
    ):
        super().__init__(builder)
        self.score, self.channels, self.first, self.observed = score, channels, first + score.settle, observed
        self.centre = None  # (1, channels), the usual residual after this step; None: none is learned

    def outputs(
        self, readings: str, due: str, trust: str | None = None, missing: str | None = None
    ) -> list[tuple[str, str]]:
        """Outputs `score` (1, 1) and, where asked for, `alarm` (1, 1), 0 or 1, and `contributions` (1, channels).

        Args:
            readings: (1, channels) standardized. due: (1, channels) the forecasts made for them.
            trust: (1, channels) what their residuals count; None: all the same.
            missing: (1, 1) how many inputs were missing when they were made; None: there are none but the readings.
        """
        memory = self.score.recentre or 0
        if self.score.reliance != 1:
            due = self._op("MUL", [due, self._constant("reliance", [self.score.reliance])], "relied_on", self.channels)
        residual = self._op("SUB", [readings, due], "residual", self.channels)
        start = self.first + memory
        age = self._age(start)
        scored = self._after(age, start, "settled")
        if memory:
            centre = self._tensor("previous_centre", self.channels)
            residual = self._op("SUB", [residual, centre], "off_centre", self.channels)
        if trust:
            residual = self._op("MUL", [residual, trust], "trusted_residual", self.channels)
        if missing:
            residual = self._op("SELECT_V2", [self._heard(missing), residual, self._rest()], "known", self.channels)
        own = self.score.own_limit
        begun = self._after(age, start - own, "limit_begun") if own else scored
        parts = self._squares(self._smoothed(residual, begun))
        if own:
            parts = self._within_limit(parts, scored)
        if self.score.repeats is not None:
            parts = self._op("ADD", [parts, self._still(readings, scored)], "contributions", self.channels)
        score = self._op("SQRT", [self._sum(parts, "total")], "score", 1)
        if memory:
            self._move_centre(centre, residual, score, age)
        outputs = [("score", score)]
        if self.score.has_alarm:
            outputs.append(("alarm", self._alarm(score)))
        if self.score.contributions:
            outputs.append(("contributions", parts))
        return outputs

    def _age(self, cap: int) -> str:
        """Steps since the reset that count, this one included; it stops one above `cap`."""
        age = self._tensor("previous_age", 1)
        older = self._op("ADD", [age, self.observed or self._constant("unit", [1.0])], "older", 1)
        capped = self._op("MINIMUM", [older, self._constant("age_cap", [cap + 1])], "age", 1)
        self._state("age", age, capped)
        return capped

    def _after(self, age: str, steps: int, name: str) -> str:
        """bool (1, 1): more than `steps` steps have passed since the reset."""
        return self._op("LESS", [self._constant(f"{name}_age", [steps]), age], name, 1, "bool")

    def _heard(self, missing: str) -> str:
        """bool (1, 1): no more inputs are missing than of late (`guessed` over arrays)."""
        usual, weight = self._tensor("previous_missing", 1), self._constant("ewma", [self.score.ewma])
        more = self._op("SUB", [missing, usual], "more_missing", 1)
        change = self._op("MUL", [more, weight], "missing_change", 1)
        self._state("missing", usual, self._op("ADD", [usual, change], "usually_missing", 1))
        return self._op("LESS", [more, weight], "heard", 1, "bool")

    def _within_limit(self, squares: str, scored: str) -> str:
        """Squares over that of the machine's limit: the greatest sum of them while nothing is scored, at least 1."""
        before, unit = self._tensor("previous_limit", 1), self._constant("unit", [1.0])
        learned = self._op("SELECT_V2", [scored, unit, self._sum(squares, "square_of_norm")], "one_if_scored", 1)
        limit = self._op("MAXIMUM", [before, learned], "limit", 1)
        self._state("limit", before, limit)
        shares = self._op("DIV", [squares, limit], "square_in_limits", self.channels)
        return self._op("SELECT_V2", [scored, shares, self._rest()], "square_if_scored", self.channels)

    def _smoothed(self, residual: str, begun: str) -> str:
        before = self._tensor("previous_residual", self.channels)
        change = self._op("SUB", [residual, before], "residual_change", self.channels)
        weight = self._constant("ewma", [self.score.ewma])
        weighted = self._op("MUL", [change, weight], "weighted_change", self.channels)
        moved = self._op("ADD", [before, weighted], "moved_residual", self.channels)
        smoothed = self._op("SELECT_V2", [begun, moved, self._rest()], "smoothed_residual", self.channels)
        self._state("residual", before, smoothed)
        return smoothed

    def _rest(self) -> str:
        """(1,), broadcast over the channels."""
        return self._constant("zero", [0.0])

    def _squares(self, smoothed: str) -> str:
        matrix = self._constant("whitening", np.asarray(self.score.whitening, np.float32).T)
        white = self._op("BATCH_MATMUL", [smoothed, matrix], "white", self.channels, adjY=True)
        return self._op("MUL", [white, white], "square", self.channels)

    def _still(self, readings: str, scored: str) -> str:
        """(repeats / most repeats)^2 of each channel; while nothing is scored none is counted."""
        before, count = (self._tensor(f"previous_{name}", self.channels) for name in ("readings", "repeats"))
        change = self._op("SUB", [readings, before], "change_of_reading", self.channels)
        change = self._op("ABS", [change], "moved_by", self.channels)
        same = self._op("LESS", [change, self._constant("still", [STANDING_STILL])], "same", self.channels, "bool")
        more = self._op("ADD", [count, self._constant("unit", [1.0])], "one_more", self.channels)
        kept = self._op("SELECT_V2", [same, more, self._rest()], "repeats_if_same", self.channels)
        kept = self._op("SELECT_V2", [scored, kept, self._rest()], "repeats", self.channels)
        self._state("readings", before, readings)
        self._state("repeats", count, kept)
        inverse = self._constant("inverse_repeats", 1 / np.asarray(self.score.repeats))
        share = self._op("MUL", [kept, inverse], "share_of_repeats", self.channels)
        return self._op("MUL", [share, share], "still_square", self.channels)

    def _move_centre(self, centre: str, residual: str, score: str, age: str) -> None:
        """By the mean of all residuals until there is a score, then of the last ones, while it is below `freeze`."""
        begun = self._after(age, self.first, "begun")
        number = self._op("SUB", [age, self._constant("first", [self.first])], "number", 1)
        number = self._op("MAXIMUM", [number, self._constant("unit", [1.0])], "number_or_one", 1)
        step = self._op("DIV", [residual, number], "centre_change", self.channels)
        calm = self._op("LESS", [score, self._constant("freeze", [self.score.freeze])], "calm", 1, "bool")
        step = self._op("SELECT_V2", [calm, step, self._rest()], "calm_change", self.channels)
        step = self._op("SELECT_V2", [begun, step, self._rest()], "begun_change", self.channels)
        self.centre = self._op("ADD", [centre, step], "centre", self.channels)
        self._state("centre", centre, self.centre)

    def _alarm(self, score: str) -> str:
        """1.0 from `persistence` steps over the threshold in a row until `cool_down` steps after the last one."""
        zero, unit = self._constant("zero", [0.0]), self._constant("unit", [1.0])
        left = self._tensor("previous_left", 1)
        below = self._op("LESS", [score, self._constant("alarm_at", [ALARM])], "below", 1, "bool")
        full = self._constant("hold", [self.score.cool_down + 1])
        less = self._op("MAXIMUM", [self._op("SUB", [left, unit], "one_less", 1), zero], "hold_left", 1)
        over = full if self.score.persistence == 1 else self._persisted(below, left, full)
        new_left = self._op("SELECT_V2", [below, less, over], "left", 1)
        self._state("left", left, new_left)
        return self._op("MINIMUM", [new_left, unit], "alarm", 1)

    def _persisted(self, below: str, left: str, full: str) -> str:
        """Steps an alarm stays if the score is over the threshold now: none before it was so for long enough."""
        zero, unit, run = self._constant("zero", [0.0]), self._constant("unit", [1.0]), self._tensor("previous_run", 1)
        longer = self._op("ADD", [run, unit], "longer_run", 1)
        enough = self._constant("persistence", [self.score.persistence])
        capped = self._op("MINIMUM", [longer, enough], "capped_run", 1)
        new_run = self._op("SELECT_V2", [below, zero, capped], "run", 1)
        # Long enough, or held already: either brings the hold to its full length again.
        short = self._op("LESS", [new_run, enough], "short", 1, "bool")
        held = self._op("LESS", [zero, left], "held", 1, "bool")
        again = self._op("SELECT_V2", [held, full, zero], "held_again", 1)
        self._state("run", run, new_run)
        return self._op("SELECT_V2", [short, again, full], "hold_if_over", 1)
