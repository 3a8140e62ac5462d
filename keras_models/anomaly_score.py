"""The anomaly score: how far the smoothed residuals of old forecasts are from their normal spread.

residual r_t = trust_t * (z_t - reliance * forecast of z_t made `lead` steps before - centre_t), 0 where z_t is missing;
trust_t is what the network said with the forecast of how far it can be relied on, 1 where it says nothing of it;
e_t = e_{t-1} + weight * (r_t - e_{t-1});
r_t is 0, too, where the forecast was made of inputs that have just fallen silent (`guessed`);
score^2 = sum over channels of (W e_t / limit)^2 and of (repeats / most repeats)^2 of readings that stand still; 1.0
alarms. limit is 1 or, with `own_limit`, the greatest norm of W e_t this machine reached while it was learned, if that
is more.
With W the symmetric root of the inverse covariance it is Hotelling's T2 of the exponentially weighted residuals (Lowry
et al., A Multivariate EWMA Control Chart, Technometrics 1992), and each summand is the contribution of its channel
(Alcala and Qin, Analysis and Generalization of Fault Diagnosis Methods, J. Process Control 2011, "complete
decomposition"): never negative, and together the whole.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from pipeline.atomic_write import write_json
from pipeline.user_error import UserError

ALARM = 1.0  # the score from which on there is an alarm; thresholds are divided out of the whitening
STANDING_STILL = 1e-6  # standard deviations: less than one float32 step of any sensor that moves


@dataclass(frozen=True)
class AnomalyScore:
    """`whitening`: (channels, channels), scaled so that the norm of e @ whitening is the score, alarm at 1.0, where
    the limit is 1.

    Attributes:
        reliance: how much of a forecast is taken off the reading it speaks of. A fault enters the forecasts made of it,
            and the whole of one would hide it.
        own_limit: the last so many steps before there is a score may raise the machine's limit. None: it is 1 for each.
        recentre: steps over which the usual residual of each channel is learned and taken off; no score before as many
            have passed. None: never.
        settle: steps before the first of those: a machine that warms up is not as usual.
        freeze: score from which on the centre stands still, or a slow fault would be learned away.
        repeats: by channel, unchanged readings in a row that are an alarm by themselves; None: not looked at.
        persistence: steps in a row at or over 1.0 that raise the alarm.
        cool_down: steps the alarm stays after the last one at or over 1.0.
        contributions: the graph also says what each channel adds to the squared score.
    """

    ewma: float
    whitening: tuple[tuple[float, ...], ...]
    recentre: int | None = None
    settle: int = 0
    freeze: float = 1.0
    repeats: tuple[float, ...] | None = None
    persistence: int = 1
    cool_down: int = 0
    contributions: bool = False
    reliance: float = 1.0
    own_limit: int | None = None

    @property
    def has_alarm(self) -> bool:
        """The alarm is more than a score of 1.0, and an output of its own."""
        return self.persistence > 1 or self.cool_down > 0

    def judge(
        self, residuals: np.ndarray, readings: np.ndarray | None = None, trust=1.0, first: int = 0
    ) -> dict[str, np.ndarray]:
        """What the graph says from the first residual on.

        Args:
            residuals: (timesteps, channels) in standard deviations; NaN: the reading is missing.
            readings: the same of the readings, where `repeats` is given.
            trust: the same, what each residual counts; the centre is learned of what counts too.
            first: steps before the centre begins to be learned, beside `settle`.

        Returns:
            score (timesteps,), contributions (timesteps, channels), alarm (timesteps,) bool.
        """
        residuals = np.asarray(residuals, np.float64)
        memory, begin = self.recentre or 0, first + self.settle
        scored, limit = begin + memory, 1.0
        parts = np.zeros_like(residuals)
        if self.repeats is not None:
            parts = np.square(repeated(readings, max(scored, 1)) / np.asarray(self.repeats))
        whitening, rows = np.asarray(self.whitening), np.zeros_like(residuals)
        centre, smoothed = np.zeros_like(residuals[0]), np.zeros_like(residuals[0])
        trust, missing = np.broadcast_to(trust, residuals.shape), np.isnan(residuals)
        for t, residual in enumerate(residuals):
            off = np.where(missing[t], 0.0, residual - centre) * trust[t]
            if begin <= t < scored:
                centre = centre + off / (t - begin + 1)
            if t < scored - (self.own_limit or 0):
                continue
            smoothed = smoothed + self.ewma * (off - smoothed)
            squares = np.square(smoothed @ whitening)
            if t < scored:
                limit = max(limit, np.sqrt(squares.sum()))
                continue
            rows[t] = squares / limit**2 + parts[t]
            if memory and np.sqrt(rows[t].sum()) < self.freeze:
                centre = centre + off / (memory + 1)
        score = np.sqrt(rows.sum(axis=-1))
        return {
            "score": score,
            "contributions": rows,
            "alarm": held_alarm(score >= ALARM, self.persistence, self.cool_down),
        }

    def score(self, residuals: np.ndarray, readings: np.ndarray | None = None) -> np.ndarray:
        """(timesteps, channels) residuals in standard deviations -> (timesteps,) score."""
        return self.judge(residuals, readings)["score"]

    def save(self, path: Path) -> None:
        write_json(path, asdict(self))


def load_score(path: Path) -> AnomalyScore:
    """The score saved beside a trained model.

    Raises:
        UserError: it is missing or damaged.
    """
    try:
        content = json.loads(Path(path).read_text())
        content["whitening"] = tuple(tuple(row) for row in content["whitening"])
        if content.get("repeats") is not None:
            content["repeats"] = tuple(content["repeats"])
        return AnomalyScore(**content)
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise UserError(f"{path}: missing or damaged ({error}); make it with `edgernn train`") from error


def smooth(residuals: np.ndarray, weight: float) -> np.ndarray:
    """Exponentially weighted mean over time (axis 0), starting at zero; same shape."""
    smoothed, last = np.empty_like(residuals), np.zeros_like(residuals[0])
    for t, residual in enumerate(residuals):
        last = last + weight * (residual - last)
        smoothed[t] = last
    return smoothed


def guessed(missing: np.ndarray, weight: float) -> np.ndarray:
    """(timesteps,) bool: forecasts made now are of inputs that are guessed, and say nothing.

    An input that is missing is replaced by the network's own forecast of it, which does not know that the driver
    steps on the pedal. When less is left in the smoothed residual of what was before than one step weighs (58 steps of
    .05) it counts again: a wire that is cut must not silence the score.

    Args:
        missing: (timesteps,) how many of the columns are missing that are read and are no targets.
        weight: `ewma` of the score.
    """
    missing = np.asarray(missing, np.float64)
    usual = smooth(missing, weight)
    return missing - np.concatenate([[0.0], usual[:-1]]) >= weight


def recentred(residuals: np.ndarray, memory: int, trust=1.0) -> np.ndarray:
    """Residuals (timesteps, channels) less their running mean, that of the last `memory` steps from then on; NaN: 0.

    Each counts `trust` times, (timesteps, channels), in the result and in the mean.
    """
    off, centre, missing = np.empty_like(residuals), np.zeros_like(residuals[0]), np.isnan(residuals)
    trust = np.broadcast_to(trust, residuals.shape)
    for t, residual in enumerate(residuals):
        off[t] = np.where(missing[t], 0.0, residual - centre) * trust[t]
        centre = centre + off[t] / min(t + 1, memory + 1)
    return off


def repeated(readings: np.ndarray, first: int = 1) -> np.ndarray:
    """(timesteps, channels) -> how many readings right before each were the same; counted from step `first` on."""
    counts = np.zeros(readings.shape)
    for t in range(first, len(readings)):
        same = np.abs(readings[t] - readings[t - 1]) < STANDING_STILL
        counts[t] = np.where(same, counts[t - 1] + 1, 0)
    return counts


def held_alarm(over: np.ndarray, persistence: int, cool_down: int) -> np.ndarray:
    """(timesteps,) bool: raised by `persistence` steps in a row `over`, held `cool_down` steps after the last."""
    alarm, run, left = np.zeros(len(over), bool), 0, 0
    for t, now in enumerate(over):
        run = run + 1 if now else 0
        raised = run >= persistence or (now and left > 0)
        left = cool_down + 1 if raised else max(left - 1, 0)
        alarm[t] = left > 0
    return alarm
