"""Files damaged at random: refused in one line, or C that TensorFlow Lite Micro agrees with; never a crash or a hang.

EDGERNN_DAMAGED says which: "200" the first 200, "137:138" that one again.
"""

import os
from functools import partial
from pathlib import Path

import contract_models
import operator_models as operators
import pytest
from damaged_proof import GENERATED, REFUSED, generate_and_run, prove_run
from fused_lstm_models import CASES, fused_model
from seed_journal import outcomes
from step_models import delay_line_step, quantized_gru_step, running_sum_step

BATCH, SECONDS, MEGABYTES = 100, 20, 4096


def chosen_seeds() -> range:
    first, _, end = os.environ.get("EDGERNN_DAMAGED", "200").rpartition(":")
    return range(int(first or 0), int(end))


SEEDS = chosen_seeds()
BATCHES = [SEEDS[start : start + BATCH] for start in range(0, len(SEEDS), BATCH)]


def sound_models() -> list[bytes]:
    fused = (fused_model(CASES["mild"], CASES["mild"].weights(), quantized) for quantized in (True, False))
    converted = (("gru", "state16", "external"), ("simple_rnn", "int16", "internal"))
    return [
        quantized_gru_step(), quantized_gru_step(float_io=False), delay_line_step(), running_sum_step(), *fused,
        *(contract_models.artifact(*form)[0] for form in converted),
        operators.sliced("int8", "STRIDED_SLICE", *operators.STRIDED_SLICES[1]),
        operators.product("FULLY_CONNECTED", "int16", 0, "int32"),
        operators.binary("SUB", "float32", 0, width=1), operators.unary("SOFTMAX", "float32", 0),
    ]  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    place = tmp_path_factory.mktemp("damaged")
    (place / "sound").mkdir()
    for number, content in enumerate(sound_models()):
        (place / f"sound/{number:02}.tflite").write_bytes(content)
    return place


@pytest.mark.parametrize("seeds", BATCHES, ids=lambda seeds: f"{seeds[0]}-{seeds[-1]}")
def test_is_refused_or_gives_the_bits_of_tflite_micro(folder, seeds):
    journal = folder / f"journal-{seeds[0]}"
    found = outcomes(seeds, journal, partial(generate_and_run, folder), SECONDS, MEGABYTES)
    # A death before there is C is a refusal: the command asks a child too.
    wrong = {seed: outcome for seed, outcome in found.items()
             if outcome not in (REFUSED, GENERATED) and (folder / f"{seed}.c").exists()}
    generated = [seed for seed, outcome in found.items() if outcome == GENERATED]
    for seed in generated:
        try:
            prove_run(folder, seed)
        except AssertionError as error:
            wrong[seed] = str(error)
    assert not wrong, "\n".join(f"EDGERNN_DAMAGED={seed}:{seed + 1}: {what}" for seed, what in sorted(wrong.items()))
    if len(seeds) == BATCH:
        assert BATCH // 10 <= len(generated) <= BATCH * 9 // 10
