"""The cheapest numbers that keep a model's quality: forms tried from the cheapest on, until one is good enough."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from keras_models.numeric_form import NumericForm
from pipeline.scenario import QuantizationSettings

if TYPE_CHECKING:  # TensorFlow takes seconds to import, and the report asks only which forms a scenario allows
    from keras_models.qat_model import QuantizedModel

# From the cheapest on, in time and bytes of a step (`make matrix` measures both).
FORMS = (NumericForm("int8"), NumericForm("int8", "int16"), NumericForm("int16"))


@dataclass(frozen=True)
class Trial:
    """A model in one form.

    Attributes:
        calibrated, finetuned: its loss on the validation data, before and after fine-tuning; `finetuned` is None where
            there was none.
        history: the records of the fine-tuning.
        distances: of the score from the float model's, before and after (`score_distance`); of anomaly detectors only.
    """

    model: QuantizedModel
    calibrated: float
    finetuned: float | None = None
    history: tuple[dict[str, float], ...] = ()
    distances: tuple[float, float] | None = None

    @property
    def form(self) -> NumericForm:
        return self.model.form

    @property
    def keeps_finetuned(self) -> bool:
        """Whether fine-tuning bettered the model: its score where it has one, else its loss. Else it stays as it was
        calibrated."""
        if self.finetuned is None:
            return False
        before, after = self.distances or (self.calibrated, self.finetuned)
        return after < before or math.isnan(before)

    @property
    def kept(self) -> str:
        return "fine-tuned" if self.keeps_finetuned else "calibrated"

    @property
    def loss(self) -> float:
        """Of the model that is kept; infinite where it is no number."""
        loss = self.finetuned if self.keeps_finetuned else self.calibrated
        return math.inf if math.isnan(loss) else loss


@dataclass(frozen=True)
class Choice:
    """Every form tried, in order, and what they were judged by.

    Attributes:
        float_loss: of the float model on the same data.
        allowed: relative; .01 allows a loss 1 % above.
    """

    trials: tuple[Trial, ...]
    float_loss: float
    allowed: float

    @property
    def chosen(self) -> Trial:
        """The first that is good enough, else the best."""
        return next(filter(self.is_good, self.trials), None) or min(self.trials, key=lambda trial: trial.loss)

    def is_good(self, trial: Trial) -> bool:
        return trial.loss <= self.float_loss * (1 + self.allowed)

    def record(self) -> dict[str, Any]:
        """For JSON; a loss that is no finite number is absent."""
        trials = [_record(trial) for trial in self.trials]
        return {
            "form": self.chosen.form.name,
            "good_enough": self.is_good(self.chosen),
            "float_loss": self.float_loss,
            "allowed_loss": self.allowed,
            "trials": [{key: value for key, value in one.items() if _is_known(value)} for one in trials],
        }


def allowed_forms(settings: QuantizationSettings) -> tuple[NumericForm, ...]:
    """The form a scenario names, or with "auto" those to choose from."""
    if settings.activations == "auto":
        return FORMS
    return (NumericForm(settings.activations, settings.state_dtype),)


def choose_form(
    forms: Iterable[NumericForm], attempt: Callable[[NumericForm], Trial], float_loss: float, allowed: float
) -> Choice:
    """Tries forms in order until one is good enough; see `Choice`.

    Args:
        attempt: makes, calibrates and fine-tunes a model in a form.
    """
    choice = Choice((), float_loss, allowed)
    for form in forms:
        trial = attempt(form)
        choice = Choice((*choice.trials, trial), float_loss, allowed)
        if choice.is_good(trial):
            break
    return choice


def print_choice(choice: Choice, title: str) -> None:
    """The table the form was chosen from."""
    table = Table("form", "calibrated", "fine-tuned", "kept", "against float", title=title)
    table.add_row("float32", f"{choice.float_loss:.4f}", "-", "-", "-")
    for trial in choice.trials:
        mark = " (chosen)" if trial is choice.chosen else ""
        finetuned = "-" if trial.finetuned is None else f"{trial.finetuned:.4f}"
        against = f"{trial.loss / choice.float_loss - 1:+.2%}" if choice.float_loss else "-"
        table.add_row(trial.form.name + mark, f"{trial.calibrated:.4f}", finetuned, trial.kept, against)
    table.caption = f"validation loss; allowed {choice.allowed:+.2%}" + "".join(map(_distances, choice.trials))
    Console().print(table)


def _record(trial: Trial) -> dict[str, Any]:
    before, after = trial.distances or (None, None)
    return {
        "form": trial.form.name,
        "calibrated": trial.calibrated,
        "finetuned": trial.finetuned,
        "score_distance_calibrated": before,
        "score_distance_finetuned": after,
        "kept": trial.kept,
    }


def _distances(trial: Trial) -> str:
    """A line on what decided for an anomaly detector."""
    if trial.distances is None:
        return ""
    before, after = trial.distances
    return f"\n{trial.form.name}: distance to the float score {before:.4f} calibrated, {after:.4f} fine-tuned"


def _is_known(value: Any) -> bool:
    return value is not None and not (isinstance(value, float) and not math.isfinite(value))
