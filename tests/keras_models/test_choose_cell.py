"""The rule that keeps or replaces the GRU, on errors and sizes that are given."""

import math
from collections import Counter
from types import SimpleNamespace

import pytest

from keras_models.choose_cell import CellChoice, CellTrial, Run, choose_cell, most_units, print_cells
from pipeline.scenario import CellRace, ModelSettings

SETTINGS = ModelSettings(cell="auto", units=10, epochs=1, batch=1, learning_rate=0.1, patience=1)
GATES = {"gru": 3, "lstm": 4, "simple_rnn": 1}


def size(model):
    """Quadratic in the units, as a recurrent kernel is."""
    return 1000 + GATES[model.cell] * model.units**2


def chosen(errors, sizes=None, margin=0.02):
    """The cell chosen where `errors` of each seed and `sizes` are as given."""
    trials = [
        CellTrial(Run(SimpleNamespace(cell=cell, units=1), None, (), ours[0]), (sizes or {}).get(cell, 100), ours)
        for cell, ours in errors.items()
    ]
    seeds = tuple(range(len(trials[0].errors)))
    return CellChoice(tuple(trials), CellRace(margin=margin, seeds=len(seeds)), seeds).chosen.cell


def test_the_gru_stays_unless_it_is_beaten_by_the_margin():
    assert chosen({"gru": (1.0, 1.0), "lstm": (0.99, 0.99)}) == "gru"
    assert chosen({"gru": (1.0, 1.0), "lstm": (0.97, 0.98)}) == "lstm"
    assert chosen({"gru": (1.0, 1.0), "lstm": (0.97, 0.98)}, margin=0.05) == "gru"


def test_better_in_the_mean_is_not_enough_with_a_seed_that_is_worse():
    assert chosen({"gru": (1.0, 1.0), "simple_rnn": (0.5, 1.01)}) == "gru"


def test_a_larger_file_replaces_nothing():
    errors = {"gru": (1.0,), "lstm": (0.5,)}
    assert chosen(errors, {"gru": 100, "lstm": 101}) == "gru"
    assert chosen(errors, {"gru": 100, "lstm": 100}) == "lstm"


def test_the_best_of_two_that_replace_it():
    assert chosen({"gru": (1.0,), "lstm": (0.9,), "simple_rnn": (0.8,)}) == "simple_rnn"


@pytest.mark.parametrize("errors", [{"gru": (1.0,), "lstm": (math.nan,)}, {"gru": (math.nan,), "lstm": (0.1,)}])
def test_nan_never_wins(errors):
    assert chosen(errors) == "gru"


@pytest.mark.parametrize("limit", [0, 5, 6, 99, 100, 101, 5000])
def test_most_units_are_those_of_a_search_one_by_one(limit):
    asked = Counter()

    def bytes_of(units):
        asked[units] += 1
        return 5 + units * units

    assert most_units(bytes_of, limit) == max((u for u in range(100) if u and 5 + u * u <= limit), default=0)
    assert sum(asked.values()) < 20


def test_every_cell_is_trained_with_every_seed_in_as_many_bytes():
    trained = []

    def attempt(settings, seed):
        trained.append((settings.cell, settings.units, seed))
        return Run(settings, settings, (), {"gru": 1.0, "lstm": 0.9, "simple_rnn": 2.0}[settings.cell] + seed / 100)

    choice = choose_cell(SETTINGS, 7, attempt, lambda settings: settings, size)
    units = {"gru": 10, "lstm": 8, "simple_rnn": 17}  # 4 * 8^2 = 256 and 17^2 = 289 are the largest under 300
    assert trained == [(cell, units[cell], seed) for cell in ("gru", "lstm", "simple_rnn") for seed in (7, 8, 9)]
    assert choice.chosen.cell == "lstm" and choice.chosen.run.error == pytest.approx(0.97), "of the scenario's own seed"
    record = choice.record()
    assert record["chosen"] == "lstm" and record["seeds"] == [7, 8, 9]
    assert record["cells"][1] == {"cell": "lstm", "units": 8, "bytes": 1256, "errors": [0.97, 0.98, 0.99]}


def test_a_cell_that_never_fits_is_left_out_and_nan_is_no_json():
    def attempt(settings, seed):
        return Run(settings, settings, (), math.nan)

    choice = choose_cell(SETTINGS, 0, attempt, lambda s: s, lambda s: 10 if s.cell == "gru" else 11)
    assert [trial.cell for trial in choice.trials] == ["gru"]
    assert choice.record()["cells"][0]["errors"] == [None, None, None]


def test_the_table_names_the_chosen_cell(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")
    def attempt(settings, seed):
        return Run(settings, settings, (), 0.5 if settings.cell == "lstm" else 1.0)

    print_cells(choose_cell(SETTINGS, 7, attempt, lambda settings: settings, size), "pump: cells tried")
    text = capsys.readouterr().out
    assert "lstm (chosen)" in text and "-50.00%" in text and "1,256" in text and "2.0%" in text
