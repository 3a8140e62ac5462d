"""A translation small enough to go the whole road in a test: numbers in words, of a made-up pair of languages."""

from itertools import product
from pathlib import Path

SCENARIO = """
task = "translate"
seed = 5

[data]
path = "pairs.txt"
max_rejected = 0.01

[split]
by = "sentence"
validation = 0.1
test = 0.15

[subwords]
pieces = 25
longest = 24

[model]
cell = "gru"
units = 16
embedding = 12
epochs = 2
batch = 32
learning_rate = 0.02
warmup = 2
patience = 2

[quantization]
activations = "int8"
epochs = 1
learning_rate = 0.001

[budgets]
bytes = 40000
arena_bytes = 9216
parity_lsb = 1
"""

# Of one length each, and pieces of one letter: one bucket, one shape to compile.
WORDS = {"red": "rou", "sky": "cie", "dog": "chi", "cat": "mao", "big": "gro", "old": "vie"}


def pairs() -> list[tuple[str, str]]:
    """Every three words, and their words in the other order; with capitals and a stop."""
    return [
        (f"{' '.join(words).capitalize()}.", f"{' '.join(WORDS[word] for word in reversed(words))} !")
        for words in product(WORDS, repeat=3)
    ]


def write_pairs(path: Path, lines: list[str] | None = None) -> None:
    path.write_text("".join(f"{line}\n" for line in lines or ["\t".join(pair) for pair in pairs()]), encoding="utf-8")


def translation_scenario(folder: Path, *changes: tuple[str, str]) -> Path:
    """The scenario and its pairs in a folder; changes: (old, new) of its text."""
    write_pairs(folder / "pairs.txt")
    text = SCENARIO
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    (folder / "words.toml").write_text(text)
    return folder / "words.toml"
