"""Sentences to sub-words and back, by a unigram language model of pieces (Kudo 2018, "Subword regularization")."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from pipeline.text.normalize_text import normalization_record, normalize

PAD, UNKNOWN, START, END = range(4)
CONTROL = ("<pad>", "<unk>", "<START>", "<END>")
SPACE = "\u2581"
UNKNOWN_PENALTY = 10.0  # below the worst piece, as sentencepiece has it


@dataclass(frozen=True)
class UnigramTokenizer:
    """`pieces`: (text, log probability), the four of CONTROL first; `longest`: sub-words of a sentence."""

    pieces: tuple[tuple[str, float], ...]
    longest: int

    def encode(self, sentence: str) -> list[int]:
        """Sub-words of the normalized sentence, without START and END; none of an empty one.

        Characters that no piece has become UNKNOWN, a run of them one.
        """
        text = normalize(sentence)
        return self._best(SPACE + text.replace(" ", SPACE)) if text else []

    def decode(self, ids: Iterable[int]) -> str:
        """The sentence; control pieces are left out."""
        words = "".join(self.pieces[index][0] for index in ids if index >= len(CONTROL))
        return words.replace(SPACE, " ").strip()

    def unknown_characters(self, sentence: str) -> str:
        """The characters of the sentence that no piece has, each once, in order."""
        known = {character for piece in self._index for character in piece}
        return "".join(dict.fromkeys(c for c in normalize(sentence) if c != " " and c not in known))

    def record(self) -> dict[str, Any]:
        """The tokenizer as artifact.json says it."""
        return {
            "kind": "unigram",
            "lower_case": True,
            "normalization": normalization_record(),
            "space": SPACE,
            "prefix_space": True,
            "unknown_penalty": UNKNOWN_PENALTY,
            "merge_unknown": True,
            "ids": {"pad": PAD, "unknown": UNKNOWN, "start": START, "end": END},
            "source_ends_with": END,
            "never_generated": [PAD, UNKNOWN, START],
            "maximum_length": self.longest,
            "pieces": [[text, score] for text, score in self.pieces],
        }

    @classmethod
    def of(cls, record: dict[str, Any]) -> "UnigramTokenizer":
        """From what `record` gave; KeyError, TypeError or ValueError where it is something else."""
        if record["kind"] != "unigram":
            raise ValueError(f"a tokenizer of kind {record['kind']!r}; expected unigram")
        return cls(tuple((str(text), float(score)) for text, score in record["pieces"]), int(record["maximum_length"]))

    @cached_property
    def _index(self) -> dict[str, int]:
        return {text: index for index, (text, _) in enumerate(self.pieces) if index >= len(CONTROL)}

    @cached_property
    def _longest_piece(self) -> int:
        return max(map(len, self._index), default=1)

    @cached_property
    def _unknown_score(self) -> float:
        return min((score for _, score in self.pieces[len(CONTROL) :]), default=0.0) - UNKNOWN_PENALTY

    def _best(self, text: str) -> list[int]:
        """The most probable way to cut `text` into pieces (Viterbi)."""
        best: list[tuple[float, int, int]] = [(0.0, 0, UNKNOWN)] + [(-math.inf, 0, UNKNOWN)] * len(text)
        for begin in range(len(text)):
            score = best[begin][0]
            single = False
            for end in range(begin + 1, min(begin + self._longest_piece, len(text)) + 1):
                index = self._index.get(text[begin:end])
                if index is not None:
                    single |= end == begin + 1
                    best[end] = _better(best[end], (score + self.pieces[index][1], begin, index))
            if not single:
                best[begin + 1] = _better(best[begin + 1], (score + self._unknown_score, begin, UNKNOWN))
        return _merged(_traced(best))


def _better(now: tuple[float, int, int], other: tuple[float, int, int]) -> tuple[float, int, int]:
    """Of equal ones the first."""
    return other if other[0] > now[0] else now


def _traced(best: Sequence[tuple[float, int, int]]) -> list[int]:
    ids, end = [], len(best) - 1
    while end > 0:
        _, end, index = best[end]
        ids.append(index)
    return ids[::-1]


def _merged(ids: list[int]) -> list[int]:
    return [index for place, index in enumerate(ids) if index != UNKNOWN or place == 0 or ids[place - 1] != UNKNOWN]
