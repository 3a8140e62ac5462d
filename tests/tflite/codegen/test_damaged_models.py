"""Files damaged at random: refused in one line, or C that TensorFlow Lite Micro agrees with; never a crash or a hang.

EDGERNN_DAMAGED says which: "200" the first 200, "137:138" that one again.
"""

import os
from collections import Counter
from functools import partial
from pathlib import Path

import contract_models
import operator_models as operators
import pytest
from damaged_proof import GENERATED, REFUSED, generate_and_run, prove_run
from fused_lstm_models import CASES, fused_model
from seed_journal import outcomes
from step_models import delay_line_step, quantized_gru_step, running_sum_step

SECONDS, MEGABYTES = 20, 4096


def chosen_seeds() -> range:
    first, _, end = os.environ.get("EDGERNN_DAMAGED", "200").rpartition(":")
    return range(int(first or 0), int(end))


def sound_models() -> list[bytes]:
    fused = (fused_model(CASES["mild"], CASES["mild"].weights(), quantized) for quantized in (True, False))
    converted = (("gru", "state16", "external"), ("lstm", "int8", "internal"), ("simple_rnn", "int16", "internal"))
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


def test_is_refused_or_gives_the_bits_of_tflite_micro(folder):
    seeds = chosen_seeds()
    found = outcomes(seeds, folder / "journal", partial(generate_and_run, folder), SECONDS, MEGABYTES)
    died = {seed for seed, outcome in found.items() if outcome not in (REFUSED, GENERATED)}
    generated = [seed for seed, outcome in found.items() if outcome == GENERATED]
    wrong = {seed: found[seed] for seed in died if (folder / f"{seed}.c").exists()}
    for seed in generated:
        try:
            prove_run(folder, seed)
        except AssertionError as error:
            wrong[seed] = str(error)
    assert not wrong, "\n".join(f"EDGERNN_DAMAGED={seed}:{seed + 1}: {what}" for seed, what in sorted(wrong.items()))
    if len(seeds) >= 100:
        assert min(Counter(found.values())[kind] for kind in (REFUSED, GENERATED)) >= len(seeds) // 10
