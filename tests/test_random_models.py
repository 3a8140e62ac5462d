"""Any Keras model converts and is proven equal everywhere, or is refused in one sentence: models drawn at random.

EDGERNN_DRAWS says which: "200" the first 200, "137:138" that one again. Draws share a process of their own, as
TensorFlow takes seconds to start; one that kills it is named, and the others go on in another.
"""

import os
import signal
from collections import Counter

import numpy as np
import pytest
from random_models import random_model
from random_proof import SECONDS_PER_DRAW, prove_seed
from seed_journal import outcomes

BATCH, MEGABYTES = 15, 6144


def chosen_seeds() -> range:
    first, _, end = os.environ.get("EDGERNN_DRAWS", str(BATCH)).rpartition(":")
    return range(int(first or 0), int(end))


SEEDS = chosen_seeds()
BATCHES = [SEEDS[start : start + BATCH] for start in range(0, len(SEEDS), BATCH)]


@pytest.mark.parametrize("seeds", BATCHES, ids=lambda seeds: f"{seeds[0]}-{seeds[-1]}")
def test_converts_and_passes_parity_or_is_refused(seeds, tmp_path):
    found = outcomes(seeds, tmp_path / "journal", prove_seed, SECONDS_PER_DRAW, MEGABYTES)
    assert sorted(found) == list(seeds)
    wrong = {seed: outcome for seed, outcome in found.items() if outcome not in ("refused", "passed")}
    assert not wrong, "\n".join(f"EDGERNN_DRAWS={seed}:{seed + 1}: {outcome}" for seed, outcome in wrong.items())
    if len(seeds) == BATCH:
        assert min(Counter(found.values())[kind] for kind in ("refused", "passed")) > 0


def die_at_two(seed: int) -> str:
    if seed == 2:
        os.kill(os.getpid(), signal.SIGSEGV)
    if seed == 3:
        raise KeyError("a defect")
    return "passed"


def test_a_draw_that_dies_is_named_and_the_others_go_on(tmp_path):
    found = outcomes(range(1, 6), tmp_path / "journal", die_at_two, SECONDS_PER_DRAW, MEGABYTES)
    assert (found[1], found[4], found[5]) == ("passed",) * 3
    assert "SIGSEGV" in found[2] and "a defect" in found[3]


def test_a_seed_is_a_model():
    first, again, other = random_model(8), random_model(8), random_model(9)
    assert str(first) == str(again) != str(other)
    assert first.model.get_config() == again.model.get_config()
    for ours, theirs in zip(first.model.get_weights(), again.model.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    for name, values in first.data.items():
        np.testing.assert_array_equal(values, again.data[name])
