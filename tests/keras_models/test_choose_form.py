"""The cheapest form that is good enough: over made-up losses, no model at all."""

import json
import math
from types import SimpleNamespace

import pytest

from keras_models.choose_form import FORMS, Candidate, Choice, Trial, allowed_forms, choose_form, print_choice
from keras_models.numeric_form import NumericForm
from pipeline.scenario import QuantizationSettings

FLOAT, ALLOWED = 1.0, 0.01
NAMES = ["int8", "int8_state16", "int16"]


def trial(form, calibrated, finetuned=None, distances=None):
    """Of losses; without `distances` those from the float model are the losses too."""
    models = [
        loss if loss is None else Candidate(SimpleNamespace(form=form), loss, distance)
        for loss, distance in zip((calibrated, finetuned), distances or (calibrated, finetuned), strict=True)
    ]
    return Trial(*models)


def choose(losses, allowed=ALLOWED):
    """`losses`: arguments of `trial` by name of the form; the choice, and the forms in the order of their trials."""
    tried = []

    def attempt(form):
        tried.append(form.name)
        return trial(form, *losses[form.name])

    return choose_form(FORMS, attempt, FLOAT, allowed), tried


def settings(activations, state_dtype=None):
    return QuantizationSettings(
        activations=activations, state_dtype=state_dtype, state="external", epochs=1, learning_rate=0.1
    )


def test_the_first_that_is_good_enough_ends_the_search():
    choice, tried = choose({"int8": (1.3, 1.2), "int8_state16": (1.02, 1.01), "int16": (1.0, 1.0)})
    assert tried == NAMES[:2]
    assert choice.chosen is choice.trials[1]


def test_exactly_as_much_as_is_allowed_is_good_enough():
    assert choose({"int8": (1.01,)})[1] == ["int8"]
    assert choose({"int8": (1.0101,), "int8_state16": (1.0,)})[1] == NAMES[:2]


def test_better_than_float_is_good_enough():
    assert choose({"int8": (0.5, 0.5)}, allowed=0.0)[1] == ["int8"]


@pytest.mark.parametrize("best", range(3))
def test_the_best_of_all_where_none_is_good_enough(best):
    losses = {name: (3.0, 1.5 if i == best else 2.0) for i, name in enumerate(NAMES)}
    choice, tried = choose(losses)
    assert tried == NAMES
    assert choice.chosen.form.name == NAMES[best]
    assert choice.record()["good_enough"] is False


def test_the_cheapest_of_equals():
    assert choose(dict.fromkeys(NAMES, (2.0, 2.0)))[0].chosen.form.name == "int8"


def test_fine_tuning_that_does_not_better_a_model_is_taken_back():
    choice, tried = choose({"int8": (1.0, 1.5)})
    assert tried == NAMES[:1]
    assert not choice.chosen.keeps_finetuned and choice.chosen.loss == 1.0
    assert choice.record()["trials"][0]["kept"] == "calibrated"


@pytest.mark.parametrize(
    "calibrated, finetuned, distances, kept",
    [
        (1.2, 1.1, None, True),
        (1.2, 1.2, None, False),
        (1.2, math.nan, None, False),
        (math.nan, 1.1, None, True),
        (1.2, None, None, False),
        (1.2, 1.1, (0.05, 0.06), False),  # better than float by chance, as far as anyone knows
        (1.1, 1.2, (0.06, 0.05), True),
        (1.2, 1.1, (0.05, math.inf), False),
        (1.2, 1.1, (math.nan, math.nan), False),
    ],
)
def test_what_is_nearer_to_float_is_kept(calibrated, finetuned, distances, kept):
    one = trial(NumericForm("int8"), calibrated, finetuned, distances)
    assert one.keeps_finetuned is kept
    assert one.loss == (finetuned if kept else calibrated)


@pytest.mark.parametrize("lost", [(math.nan, None), (math.nan, math.nan), (math.inf, math.inf)])
def test_a_loss_that_is_no_number_is_never_chosen_before_one_that_is(lost):
    choice, tried = choose({"int8": lost, "int8_state16": (9.0, 9.0), "int16": lost})
    assert tried == NAMES
    assert choice.chosen.form.name == "int8_state16"


def test_a_scenario_names_its_form_or_leaves_the_choice():
    assert [form.name for form in allowed_forms(settings("auto"))] == NAMES
    assert allowed_forms(settings("int16")) == (NumericForm("int16"),)
    assert allowed_forms(settings("int8", "int16")) == (NumericForm("int8", "int16"),)
    assert allowed_forms(settings("int8", "int8")) == allowed_forms(settings("int8"))


def test_the_record_holds_every_trial_and_is_json():
    choice, _ = choose({"int8": (math.inf, math.nan), "int8_state16": (1.2, 1.0, (0.3, 0.2))})
    assert json.loads(json.dumps(choice.record(), allow_nan=False)) == {
        "form": "int8_state16",
        "good_enough": True,
        "float_loss": 1.0,
        "allowed_loss": 0.01,
        "trials": [
            {"form": "int8", "kept": "calibrated"},
            {
                "form": "int8_state16",
                "kept": "fine-tuned",
                "calibrated": 1.2,
                "distance_calibrated": 0.3,
                "finetuned": 1.0,
                "distance_finetuned": 0.2,
            },
        ],
    }


def test_the_table_says_what_was_tried_and_which_was_chosen(capsys):
    choice, _ = choose({"int8": (1.31, 1.2), "int8_state16": (1.05, 1.004)})
    print_choice(choice, "pump: forms")
    lines = capsys.readouterr().out.splitlines()
    rows = [line.split("│")[1:-1] for line in lines if line.startswith("│")]
    assert [[cell.strip() for cell in row] for row in rows] == [
        ["float32", "1.0000", "-", "-", "-"],
        ["int8", "1.3100", "1.2000", "fine-tuned", "+20.00%"],
        ["int8_state16 (chosen)", "1.0500", "1.0040", "fine-tuned", "+0.40%"],
    ]
    assert "pump: forms" in lines[0] and "allowed +1.00%" in lines[-3]
    assert lines[-1].split() == "int8_state16: distance to the float model 1.0500 calibrated, 1.0040 fine-tuned".split()


def test_the_table_of_a_float_model_without_any_loss(capsys):
    """All targets of the validation part missing: nothing to compare with, and no division by zero."""
    print_choice(Choice((trial(NumericForm("int8"), 0.0),), 0.0, ALLOWED), "empty")
    assert "int8 (chosen)" in capsys.readouterr().out
