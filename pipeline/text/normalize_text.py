"""What is done to a sentence before it is cut into sub-words, as artifact.json tells it to a device."""

import unicodedata
from typing import Any

# Typographic apostrophes, of which the data have several for one thing; white space is dealt with by itself.
REPLACED = (("\u2019", "'"), ("\u2018", "'"), ("\u02bc", "'"))


def normalize(sentence: str) -> str:
    """Unicode NFC, lower case, plain apostrophes, runs of white space one space, none at the ends."""
    text = unicodedata.normalize("NFC", sentence).lower()
    for old, new in REPLACED:
        text = text.replace(old, new)
    return " ".join(text.split())


def normalization_record() -> dict[str, Any]:
    """The steps of `normalize`, in order, for a device."""
    return {
        "steps": ["unicode", "lower_case", "replace", "white_space"],
        "unicode": "NFC",
        "lower_case": True,
        "replace": [list(pair) for pair in REPLACED],
        "white_space": "runs of Unicode white space become one space; none at the ends",
    }
