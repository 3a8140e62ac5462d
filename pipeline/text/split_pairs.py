"""Which part a pair belongs to: that of its source sentence, so that no sentence is in two."""

import hashlib

from pipeline.text.read_pairs import Pair
from pipeline.text.text_scenario import FileSplit, SentenceSplit

TRAIN, VALIDATION, TEST = PARTS = ("train", "validation", "test")


def part_of(pair: Pair, split: SentenceSplit | FileSplit) -> str:
    """The part of its files, or drawn by a salted hash of the source sentence: the same on every machine."""
    if pair.part is not None:
        return pair.part
    digest = hashlib.sha256(f"{split.salt}\0{pair.source}".encode()).digest()
    drawn = int.from_bytes(digest[:8], "big") / 2**64
    if drawn < split.test:
        return TEST
    return VALIDATION if drawn < split.test + split.validation else TRAIN
