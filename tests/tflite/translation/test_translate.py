"""`edgernn translate`: empty, unknown, over-long, damaged; greedy against a beam tried by hand."""

import io
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

import edgernn
from pipeline.text.unigram import END, START, UnigramTokenizer
from tflite.translation.litert_translator import Hypothesis, LiteRTTranslator
from tflite.translation.simple_rivals import retrieval, word_by_word
from tflite.translation.translation_quality import bleu, exact_match, identity, token_identity
from tflite.translation.translator_artifact import read_translator


@pytest.fixture
def folder(built, tmp_path):
    return shutil.copytree(built.folder / "tflite", tmp_path / "model")


@pytest.fixture(scope="module")
def translator(built):
    return LiteRTTranslator(read_translator(built.folder / "tflite"))


def translate(capsys, folder, *arguments):
    status = edgernn.main(["translate", "--model", str(folder), *arguments])
    said = capsys.readouterr()
    return status, said.out, said.err


def test_a_line_for_each_sentence(folder, capsys):
    status, out, err = translate(capsys, folder, "Red dog cat.", "", "   ", "old old old")
    assert status == 0 and out.count("\n") == 4 and out.split("\n")[1:3] == ["", ""]
    assert "sentence" not in err


def test_lines_of_standard_input(folder, capsys, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("red dog cat.\nbig old cat.\n"))
    status, out, _ = translate(capsys, folder)
    assert status == 0 and out.count("\n") == 2


def test_unknown_characters_are_told_and_translated_around(folder, capsys):
    status, out, err = translate(capsys, folder, "red 漢字 dog")
    assert status == 0 and out.count("\n") == 1
    assert "edgernn: sentence 1: no sub-word for 漢 字" in err


def test_of_a_sentence_too_long_the_rest_is_not_read(translator, folder, capsys):
    sentence = "red dog cat " * 30
    result = translator.translate(sentence)
    ids = translator.tokenizer.encode(sentence)
    assert result.dropped == len(ids) - translator.tokenizer.longest > 0
    assert result.ids == translator.write(ids[: translator.tokenizer.longest])
    status, _, err = translate(capsys, folder, sentence)
    assert status == 0 and f"{result.dropped} sub-words over {translator.tokenizer.longest} were not read" in err


def test_never_writes_what_is_no_translation(translator):
    for sentence in ("red", "漢", "big cat", "x" * 50):
        for beam in (1, 3):
            assert not {0, 1, 2, 3} & set(translator.translate(sentence, beam).ids)


def test_a_beam_finds_the_best_of_all_short_translations(translator):
    """With a beam as wide as the vocabulary and two sub-words at most, every translation is tried."""
    tokenizer = replace(translator.tokenizer, longest=2)
    translator = replace_tokenizer(translator, tokenizer)
    source = tokenizer.encode("red dog")
    every = {}
    states, context = encoded(translator, source)
    first, after = shares(translator, START, states, context)
    for a in np.flatnonzero(np.isfinite(first)):
        if a == END:
            every[()] = first[a]
            continue
        second, _ = shares(translator, a, after, context)
        every[(int(a),)] = (first[a] + second[END]) / 2**0.6
    assert translator.write(source, beam=len(first)) == max(every, key=every.get)


def test_a_longer_translation_may_be_less_likely_but_not_by_as_much_as_it_is_longer():
    """Of 2 and of 4 sub-words, END counted: worth as much when the sums are as 2 to the power of .6."""
    short, long = (Hypothesis((5,) * (n - 1), -float(n) ** 0.6, {}, ended=True) for n in (2, 4))
    assert short.merit == pytest.approx(-1) == long.merit
    assert Hypothesis((), 0.0, {}).merit == 0


def replace_tokenizer(translator, tokenizer):
    copy = object.__new__(LiteRTTranslator)
    copy.__dict__ = {**translator.__dict__, "tokenizer": tokenizer}
    return copy


def encoded(translator, source):
    states = translator._zeros
    for token in [*source[::-1], END]:
        states = translator._encode(token=np.array([token], np.int32), **states)
        context = states.pop("context")
    return states, context


def shares(translator, token, states, context):
    """Log probabilities of the next sub-word, by numpy, and the states behind."""
    result = dict(translator._decode(token=np.array([token], np.int32), context=context, **states))
    scores = result.pop("scores")[0].astype(np.float64)
    scores[[0, 1, 2]] = -np.inf
    return scores - np.log(np.sum(np.exp(scores))), result


@pytest.mark.parametrize("beam", ["0", "65"])
def test_a_beam_out_of_range(folder, capsys, beam):
    status, _, err = translate(capsys, folder, "red", "--beam", beam)
    assert status == 2 and "expected a whole number from 1 to 64" in err and err.count("\n") == 1


DAMAGE = {
    "no artefact": lambda folder: (folder / "artifact.json").unlink(),
    "no model": lambda folder: next(folder.glob("*_external.tflite")).unlink(),
    "no JSON": lambda folder: (folder / "artifact.json").write_text("{"),
    "other model": lambda folder: next(folder.glob("*_external.tflite")).write_bytes(b"TFL3"),
    "no tokenizer": lambda folder: edit(folder, tokenizer={}),
    "other tokenizer": lambda folder: edit(folder, tokenizer={"kind": "words"}),
    "other task": lambda folder: edit(folder, task="forecast"),
    "other format": lambda folder: edit(folder, format=99),
}


def edit(folder, **changes):
    path = folder / "artifact.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_artefact_is_one_line(folder, capsys, damage):
    DAMAGE[damage](folder)
    status, out, err = translate(capsys, folder, "red")
    assert status == 2 and not out and err.startswith(f"edgernn: {folder}") and err.count("\n") == 1, err


def test_artifact_json_is_all_a_device_needs(built):
    manifest = json.loads((built.folder / "tflite" / "artifact.json").read_text())
    tokenizer = manifest["tokenizer"]
    assert tokenizer["kind"] == "unigram" and tokenizer["lower_case"] and tokenizer["maximum_length"] == 24
    assert tokenizer["ids"] == {"pad": 0, "unknown": 1, "start": 2, "end": 3}
    assert len(tokenizer["pieces"]) == manifest["signatures"]["decode"]["outputs"][0]["shape"][0] == 25
    assert UnigramTokenizer.of(tokenizer).encode("Red!") == UnigramTokenizer.of(tokenizer).encode("  red!")


def test_quality():
    references = [["the cat sat on the mat .", "a cat sat down ."], ["go away ."]]
    assert bleu(["The cat sat on the mat .", "go away ."], references) == 100.0
    assert bleu(["a dog ran off there .", "stay here now ."], references) < 20
    assert exact_match(["a cat sat down .", "go ."], references) == 0.5
    assert identity([(1, 2), (3,)], [(1, 2), (3, 4)]) == 0.5
    assert token_identity([(1, 2), (3,)], [(1, 2), (3, 4)]) == 0.75


def test_simple_rivals():
    training = {"a red dog": ["un chien rouge"], "a red cat": ["un chat rouge"], "the old dog": ["le vieux chien"]}
    assert retrieval(training, ["a red dogs", "the old cat dog"]) == ["un chien rouge", "le vieux chien"]
    assert retrieval(training, ["%"])[0] in [targets[0] for targets in training.values()]  # like none
    assert word_by_word(training, ["red dog thing"]) == ["rouge chien thing"]
