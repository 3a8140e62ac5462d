"""The cheapest numbers that keep a model's quality: forms tried from the cheapest on, until one is good enough."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from rich.console import Console
from rich.table import Table

from keras_models.numeric_form import NumericForm
from keras_models.qat_model import QuantizedModel

# From the cheapest on, in time and bytes of a step (`make matrix` measures both).
FORMS = (NumericForm("int8"), NumericForm("int8", "int16"), NumericForm("int16"))


class Trial(NamedTuple):
    """One form on the validation data: losses calibrated only and fine-tuned, None where not fine-tuned."""

    form: NumericForm
    calibrated: float
    finetuned: float | None

    @property
    def best(self) -> float:
        return min(loss for loss in (self.calibrated, self.finetuned) if loss is not None)


class Choice(NamedTuple):
    """The model to ship, the records of its fine-tuning, and every form tried."""

    model: QuantizedModel
    history: list[dict[str, float]]
    trials: list[Trial]


def choose_form(
    forms: Iterable[NumericForm],
    float_loss: float,
    allowed: float,
    calibrated: Callable[[NumericForm], tuple[QuantizedModel, float]],
    finetuned: Callable[[QuantizedModel], tuple[list[dict[str, float]], float]] | None,
) -> Choice:
    """Tries forms until the loss is within `allowed` of the float model's; else takes the best of them.

    Args:
        float_loss: validation loss of the float model.
        allowed: relative; .01 allows a loss 1 % above.
        calibrated: makes a calibrated model of a form, and its validation loss.
        finetuned: fine-tunes it in place, returns the records and the new loss; None: calibration is all.
    """
    choices, trials = [], []
    for form in forms:
        model, before = calibrated(form)
        history, after = finetuned(model) if finetuned else ([], None)
        trials.append(Trial(form, before, after))
        choices.append(Choice(model, history, trials))
        if trials[-1].best <= float_loss * (1 + allowed):
            return choices[-1]
    return min(choices, key=lambda choice: trials[choices.index(choice)].best)


def print_choice(choice: Choice, float_loss: float, allowed: float, title: str) -> None:
    """The table the form was chosen from."""
    table = Table("form", "calibrated", "fine-tuned", "against float", title=title)
    table.add_row("float32", f"{float_loss:.4f}", "-", "-")
    for trial in choice.trials:
        mark = " (chosen)" if trial.form == choice.model.form else ""
        finetuned = "-" if trial.finetuned is None else f"{trial.finetuned:.4f}"
        table.add_row(trial.form.name + mark, f"{trial.calibrated:.4f}", finetuned, f"{trial.best / float_loss - 1:+.2%}")
    table.caption = f"validation loss; allowed {allowed:+.2%}"
    Console().print(table)
