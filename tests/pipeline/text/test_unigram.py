"""Sub-words: ours against sentencepiece's own, and against every way to cut a short word, written out."""

import math
from itertools import combinations

import pytest
import sentencepiece
from tiny_translation import pairs

from pipeline.text.normalize_text import normalize
from pipeline.text.train_subwords import tokenizer_of, train_sentencepiece, train_subwords
from pipeline.text.unigram import CONTROL, END, PAD, START, UNKNOWN, UnigramTokenizer
from pipeline.user_error import UserError

SENTENCES = [normalize(text) for pair in pairs() for text in pair]
STRANGE = ["zebra", "a漢字b", "le chat, l'été", "redred  blue", "ß dog", "x", "漢 red 字字"]


@pytest.fixture(scope="module")
def model() -> bytes:
    return train_sentencepiece(SENTENCES, 40)


def by_hand(text: str, scores: dict[str, float], unknown: float) -> list[str]:
    """The best of all ways to cut a text, each tried; a character that is no piece costs `unknown`."""
    best, found = -math.inf, []
    for number in range(len(text)):
        for cuts in combinations(range(1, len(text)), number):
            parts = [text[a:b] for a, b in zip((0, *cuts), (*cuts, len(text)), strict=True)]
            costs = [scores.get(p, unknown if len(p) == 1 else -math.inf) for p in parts]
            if sum(costs) > best:
                best, found = sum(costs), parts
    return found


def test_equals_sentencepiece_on_every_sentence(model):
    processor, ours = sentencepiece.SentencePieceProcessor(model_proto=model), tokenizer_of(model, 10)
    for sentence in SENTENCES + STRANGE:
        assert ours.encode(sentence) == processor.encode(normalize(sentence)), sentence


def test_equals_all_cuts_tried_by_hand(model):
    ours = tokenizer_of(model, 10)
    scores = {piece: score for piece, score in ours.pieces[len(CONTROL) :]}
    for word in ("red", "cie", "vie", "chi", "dogcat", "rogue"):
        parts = by_hand("\u2581" + word, scores, min(scores.values()) - 10.0)
        assert [ours.pieces[i][0] for i in ours.encode(word) if i != UNKNOWN] == [p for p in parts if p in scores]


def test_the_same_text_gives_the_same_pieces(model):
    assert train_sentencepiece(SENTENCES, 40) == model


def test_control_pieces_stand_first(model):
    assert [text for text, _ in tokenizer_of(model, 10).pieces[:4]] == ["<pad>", "<unk>", "<START>", "<END>"]
    assert (PAD, UNKNOWN, START, END) == (0, 1, 2, 3)


def test_comes_back_from_its_record_and_from_its_pieces(model):
    ours = tokenizer_of(model, 10)
    assert UnigramTokenizer.of(ours.record()) == ours
    for sentence in SENTENCES[:20]:
        assert ours.decode([START, *ours.encode(sentence), END, PAD]) == sentence


def test_text_of_control_pieces_is_no_control_piece(model):
    assert not {START, END, PAD} & set(tokenizer_of(model, 10).encode("<START> red <END> <pad>"))


@pytest.mark.parametrize("empty", ["", "   ", "\t\n", "\u00a0\u202f"])
def test_an_empty_sentence_has_no_subwords(model, empty):
    assert tokenizer_of(model, 10).encode(empty) == []


def test_unknown_characters_are_one_unknown_a_run(model):
    ours = tokenizer_of(model, 10)
    assert ours.encode("red 漢字漢字 dog").count(UNKNOWN) == 1
    assert ours.unknown_characters("漢 red 字漢") == "漢字"


def test_normalizing():
    assert normalize("  L\u2019E\u0301te\u0301\u00a0!\u202f ") == "l'été !"


def test_too_many_pieces_for_the_text():
    with pytest.raises(UserError, match="subwords.pieces: the training part does not yield 4000 pieces"):
        train_subwords(SENTENCES, 4000, 10)




def test_an_unknown_character_costs_more_than_any_piece():
    pieces = [*((text, 0.0) for text in CONTROL), ("\u2581", -1.0), ("ab", -15.0), ("b", -1.0)]
    ours = UnigramTokenizer(tuple(pieces), 8)
    assert ours.encode("ab") == [4, 5]  # -16; unknown and "b" would be -1 - 25 - 1
    assert ours.encode("cb") == [4, UNKNOWN, 6]
