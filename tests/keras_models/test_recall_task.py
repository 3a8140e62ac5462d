"""The recall task: what its sequences hold, and that a network can learn it and nothing else can."""

from dataclasses import replace

import numpy as np
import pytest

from keras_models.recall_task import RecallTask, recall_accuracy, recall_sequences

TASK = RecallTask(lags=(1, 3), symbols=4, units=8, steps=300, tested=200, batch=32, rate=1e-2)


@pytest.mark.parametrize("lag", [1, 7])
def test_the_symbol_stands_so_many_steps_before_the_end(lag):
    x, shown = recall_sequences(TASK, lag, 50, np.random.default_rng(0))
    assert x.shape == (50, TASK.before + 1 + lag, TASK.symbols + 1)
    marks = x[..., -1]
    assert (marks.sum(axis=1) == 1).all() and (marks[:, -1 - lag] == 1).all()
    symbol = x[:, -1 - lag, :-1]
    assert (symbol.argmax(axis=1) == shown).all() and (symbol.sum(axis=1) == 1).all()
    noise = np.delete(x[..., :-1], TASK.before, axis=1)
    assert abs(noise.std() - TASK.noise) < 0.05 and abs(noise.mean()) < 0.05


def test_a_gru_learns_it_and_the_same_seed_gives_the_same_shares():
    assert min(recall_accuracy(TASK, "gru", 5)) > 0.9
    short = replace(TASK, steps=10)
    assert recall_accuracy(short, "gru", 5) == recall_accuracy(short, "gru", 5)


def test_untrained_it_guesses():
    shares = recall_accuracy(RecallTask(lags=(8,), symbols=4, units=8, steps=1, tested=400), "simple_rnn", 5)
    assert 0.1 < shares[0] < 0.5
