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
class Candidate:
    """A model in one form, judged on the validation data.

    Attributes:
        loss: of its forecast.
        distance: of what it is there for from what the float model says: of its score (`score_distance`), where it has
            one, else of its forecast, as a loss.
    """

    model: QuantizedModel
    loss: float
    distance: float


@dataclass(frozen=True)
class Trial:
    """A model in one form.

    Attributes:
        finetuned: None where there was no fine-tuning.
        history: the records of the fine-tuning.
    """

    calibrated: Candidate
    finetuned: Candidate | None = None
    history: tuple[dict[str, float], ...] = ()

    @property
    def form(self) -> NumericForm:
        return self.calibrated.model.form

    @property
    def keeps_finetuned(self) -> bool:
        """Whether fine-tuning brought the model nearer to float, which says more than the loss: that also tells by
        chance. Else it stays as it was calibrated."""
        if self.finetuned is None:
            return False
        before, after = self.calibrated.distance, self.finetuned.distance
        return after < before or (math.isnan(before) and not math.isnan(after))

    @property
    def kept(self) -> Candidate:
        return self.finetuned if self.keeps_finetuned else self.calibrated

    @property
    def kept_name(self) -> str:
        return "fine-tuned" if self.keeps_finetuned else "calibrated"

    @property
    def loss(self) -> float:
        """Of the model that is kept; infinite where it is no number."""
        return math.inf if math.isnan(self.kept.loss) else self.kept.loss


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
        finetuned = "-" if trial.finetuned is None else f"{trial.finetuned.loss:.4f}"
        against = f"{trial.loss / choice.float_loss - 1:+.2%}" if choice.float_loss else "-"
        table.add_row(trial.form.name + mark, f"{trial.calibrated.loss:.4f}", finetuned, trial.kept_name, against)
    table.caption = f"validation loss; allowed {choice.allowed:+.2%}" + "".join(map(_distances, choice.trials))
    Console().print(table)


def _record(trial: Trial) -> dict[str, Any]:
    record = {"form": trial.form.name, "kept": trial.kept_name}
    for name, candidate in (("calibrated", trial.calibrated), ("finetuned", trial.finetuned)):
        if candidate is not None:
            record |= {name: candidate.loss, f"distance_{name}": candidate.distance}
    return record


def _distances(trial: Trial) -> str:
    """A line on what decided between calibrated and fine-tuned."""
    if trial.finetuned is None:
        return ""
    before, after = trial.calibrated.distance, trial.finetuned.distance
    return f"\n{trial.form.name}: distance to the float model {before:.4f} calibrated, {after:.4f} fine-tuned"


def _is_known(value: Any) -> bool:
    return not isinstance(value, float) or math.isfinite(value)
