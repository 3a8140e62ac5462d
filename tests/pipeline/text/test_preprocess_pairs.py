"""Pairs to shards: every row accounted for, no sentence in two parts, the same bytes, bad input in one line."""

import json
import re

import pyarrow.parquet as pq
import pytest
from tiny_translation import pairs, translation_scenario, write_pairs

import edgernn
from pipeline.text.pair_shards import BOUNDS, bucket, references
from pipeline.text.unigram import UnigramTokenizer

LINES = ["\t".join(pair) for pair in pairs()]


def preprocess(scenario, build="build"):
    assert edgernn.main(["preprocess", str(scenario), "--build", str(scenario.parent / build)]) == 0
    folder = scenario.parent / build / scenario.stem / "dataset"
    return folder, json.loads((folder / "dataset.json").read_text())


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("words")
    scenario = translation_scenario(folder, ("max_rejected = 0.01", "max_rejected = 0.05"))
    bad = ["no tab here", "red\t  ", "blue\tb" + " gros" * 30]
    write_pairs(folder / "pairs.txt", [*LINES, LINES[0], LINES[0].upper(), *bad])
    return preprocess(scenario)


def test_every_row_is_accounted_for(prepared):
    folder, dataset = prepared
    counts = dataset["counts"]
    assert (counts["rows_in"], counts["rows_merged"], counts["rows_kept"]) == (221, 2, 216)
    rejected = pq.read_table(next((folder / "rejected").glob("*.parquet"))).to_pylist()
    assert {(row["row"], row["column"], row["reason"]) for row in rejected} == {
        (219, "pair", "no TAB between two sentences"),
        (220, "target", "empty sentence"),
        (221, "target", "more than subwords.longest = 24 sub-words"),
    }


def test_no_sentence_is_in_two_parts(prepared):
    folder, dataset = prepared
    parts = [set(references(folder, dataset["files"], part)) for part in ("train", "validation", "test")]
    assert sum(map(len, parts)) == len(set.union(*parts)) == 216
    assert 15 <= len(parts[2]) <= 50 and 8 <= len(parts[1]) <= 40


def test_shards_hold_sentences_of_their_lengths(prepared):
    folder, dataset = prepared
    tokenizer = UnigramTokenizer.of(dataset["tokenizer"])
    for name in dataset["files"]:
        if not name.startswith("rejected"):
            for row in pq.read_table(folder / name).to_pylist():
                steps = bucket(row["source_ids"], row["target_ids"])
                assert f"source{steps[0]:03}_target{steps[1]:03}" in name
                assert tokenizer.encode(row["source"]) == row["source_ids"]


def test_buckets():
    assert bucket([1] * 5, [1] * 6) == (6, 8)  # END takes one
    assert bucket([1] * 600, []) == (BOUNDS[-1], BOUNDS[0])


def test_pieces_are_learned_on_the_training_part_only(tmp_path):
    """A letter that only test and validation sentences have is no piece."""
    scenario = translation_scenario(tmp_path)
    folder, dataset = preprocess(scenario)
    held_out = {s for part in ("validation", "test") for s in references(folder, dataset["files"], part)}
    write_pairs(
        tmp_path / "pairs.txt",
        [f"{s}\t{t}{'ø' * (' '.join(s.lower().split()) in held_out)}" for s, t in pairs()],
    )
    _, dataset = preprocess(scenario, "again")
    assert not any("ø" in piece for piece, _ in dataset["tokenizer"]["pieces"])


def test_the_same_rows_in_any_order_give_the_same_bytes(tmp_path):
    found = []
    for name, lines in (("a", LINES), ("b", LINES[::-1])):
        (tmp_path / name).mkdir()
        scenario = translation_scenario(tmp_path / name)
        write_pairs(tmp_path / name / "pairs.txt", lines)
        folder, dataset = preprocess(scenario)
        found.append({p.relative_to(folder): p.read_bytes() for p in folder.rglob("*.parquet")})
        assert set(map(str, found[-1])) == set(dataset["files"])
    assert found[0] == found[1]


def test_files_that_belong_together(tmp_path):
    texts = {"en": [s for s, _ in pairs()], "fr": [t for _, t in pairs()]}
    parts = {"train": slice(0, 150), "validation": slice(150, 180), "test": slice(180, 216)}
    (tmp_path / "rows").mkdir()
    for part, rows in parts.items():
        for language, sentences in texts.items():
            (tmp_path / "rows" / f"{part}.{language}.csv").write_text("\n".join(sentences[rows]) + "\n")
    files = "\n".join(f'{part} = ["{part}.en.csv", "{part}.fr.csv"]' for part in parts)
    split = 'by = "sentence"\nvalidation = 0.1\ntest = 0.15'
    changes = ('path = "pairs.txt"', 'path = "rows"'), (split, f'by = "files"\n{files}')
    scenario = translation_scenario(tmp_path, *changes)
    _, dataset = preprocess(scenario)
    assert dataset["counts"]["pairs"] == {"train": 150, "validation": 30, "test": 36}

    (tmp_path / "rows" / "test.fr.csv").write_text("seul\n")
    assert edgernn.main(["preprocess", str(scenario), "--build", str(tmp_path / "build")]) == 2
    assert not (tmp_path / "build" / "words" / "dataset" / "dataset.json").exists()


BAD = {
    'task = "translate"\nseed = 5': ('task = "translate"\nseed = -5', r"seed: expected a whole number"),
    "pieces = 25": ("pieces = 4000", r"subwords.pieces: the training part does not yield 4000"),
    "longest = 24": ("longest = 1", r"subwords.longest: expected a whole number from 2"),
    "test = 0.15": ("test = 0.95", r"split.test: expected validation \+ test to leave a share"),
    'path = "pairs.txt"': ('path = "none.txt"', r"data.path: no files at"),
    'cell = "gru"': ('cell = "lstm"', r"model.cell: expected one of gru"),
    "batch = 32": ("batches = 32", r'model.batches: unknown key; did you mean "batch"'),
    "arena_bytes = 9216": ("event_recall = 0.9", r"budgets.event_recall: unknown key"),
}


@pytest.mark.parametrize("old", BAD)
def test_a_scenario_that_is_wrong(tmp_path, capsys, old):
    new, message = BAD[old]
    scenario = translation_scenario(tmp_path, (old, new))
    assert edgernn.main(["preprocess", str(scenario), "--build", str(tmp_path / "build")]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and re.search(message, error), error


def test_too_many_bad_rows(tmp_path, capsys):
    scenario = translation_scenario(tmp_path)
    write_pairs(tmp_path / "pairs.txt", [*LINES[:50], "x", "y", "z"])
    assert edgernn.main(["preprocess", str(scenario), "--build", str(tmp_path / "build")]) == 2
    assert 'first in pairs.txt row 51: no TAB between two sentences: "x"' in capsys.readouterr().err


@pytest.mark.parametrize("command", ["long-run", "fault-limits", "score"])
def test_commands_for_streams_refuse_a_translation(tmp_path, capsys, command):
    assert edgernn.main([command, str(translation_scenario(tmp_path)), "--build", str(tmp_path)]) == 2
    assert f'task: `edgernn {command}` is for "forecast" and "anomaly"' in capsys.readouterr().err


def test_a_state_dtype_goes_with_int8_only(tmp_path, capsys):
    state = 'activations = "int8"', 'activations = "int16"\nstate_dtype = "int16"'
    assert edgernn.main(["preprocess", str(translation_scenario(tmp_path, state))]) == 2
    assert 'quantization.state_dtype: goes with activations = "int8" only' in capsys.readouterr().err
