"""The scenario file of a translation: which pairs of sentences, which sub-words, which model, which budgets."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline import toml_table as toml
from pipeline.data_sets import DATA_SETS
from pipeline.scenario import CardText
from pipeline.scenario_rules import state_width
from pipeline.toml_table import entry

BUDGETS = ("bytes", "arena_bytes", "convert_seconds", "bleu", "bleu_loss", "exact_match", "identity", "parity_lsb")


@dataclass(frozen=True, kw_only=True)
class PairSource:
    """Where the pairs come from: exactly one of `set` and `path`. How files are read follows from the split."""

    set: str | None = entry(toml.choice(*DATA_SETS), default=None)
    path: str | None = entry(toml.text, default=None)
    max_rejected: float = entry(toml.number(0.0, 1.0), default=0.01)


@dataclass(frozen=True, kw_only=True)
class SentenceSplit:
    """The `[split]` table with by = "sentence": every line of a file is source TAB target, and all pairs of a source
    sentence are in one part, drawn by a salted hash of the sentence. Shares of the sentences.
    """

    by: str = entry(toml.choice("sentence"))
    validation: float = entry(toml.number(maximum=1.0, above=0.0))
    test: float = entry(toml.number(maximum=1.0, above=0.0))
    salt: str = entry(toml.text, default="edgernn")


FILE_PAIR = toml.list_of(toml.text, size=2)


@dataclass(frozen=True, kw_only=True)
class FileSplit:
    """The `[split]` table with by = "files": each part is two files, source and target, line by line."""

    by: str = entry(toml.choice("files"))
    train: tuple[str, str] = entry(FILE_PAIR)
    validation: tuple[str, str] = entry(FILE_PAIR)
    test: tuple[str, str] = entry(FILE_PAIR)


SPLITS = {"sentence": SentenceSplit, "files": FileSplit}


def read_split(table: Any, place: toml.Place) -> SentenceSplit | FileSplit:
    """The form of the table follows from its key `by`."""
    by = table.get("by", "sentence") if isinstance(table, dict) else "sentence"
    return toml.read_table(SPLITS[toml.choice(*SPLITS)(by, place.at("by"))], table, place)


@dataclass(frozen=True, kw_only=True)
class SubwordSettings:
    """One vocabulary for both languages: how many pieces, and the longest sentence in pieces."""

    pieces: int = entry(toml.whole(16, 32000))
    longest: int = entry(toml.whole(2, 512))


@dataclass(frozen=True, kw_only=True)
class TranslatorSettings:
    """The encoder and decoder and their float training.

    `embedding`: width of the shared table, and of the decoder's output before it. `weight_bound`: of the elements of a
    matrix, times their root mean square. `warmup`: batches until the full learning rate.
    """

    cell: str = entry(toml.choice("gru"))
    units: int = entry(toml.whole(1))
    embedding: int = entry(toml.whole(1))
    attention: bool = entry(toml.flag, default=False)
    dropout: float = entry(toml.number(0.0, 0.9), default=0.0)
    label_smoothing: float = entry(toml.number(0.0, 0.9), default=0.0)
    weight_bound: float | None = entry(toml.number(above=1.0), default=None)
    epochs: int = entry(toml.whole(1))
    batch: int = entry(toml.whole(1))
    learning_rate: float = entry(toml.number(above=0.0))
    warmup: int = entry(toml.whole(0), default=0)
    patience: int = entry(toml.whole(1))


@dataclass(frozen=True, kw_only=True)
class TranslatorQuantization:
    """The shipped form, and its fine-tuning towards the float model (0 epochs: calibration only)."""

    activations: str = entry(toml.choice("int8", "int16"))
    state_dtype: str | None = entry(toml.choice("int8", "int16"), default=None)
    state: str = entry(toml.choice("external"), default="external")
    epochs: int = entry(toml.whole(0))
    learning_rate: float = entry(toml.number(above=0.0))


@dataclass(frozen=True, kw_only=True)
class TextScenario:
    """One scenario file with task = "translate". `name` is the stem of the file."""

    name: str
    path: Path
    task: str = entry(toml.choice("translate"))
    seed: int = entry(toml.whole(0, 2**31 - 1))
    data: PairSource = entry(toml.table_of(PairSource))
    split: SentenceSplit | FileSplit = entry(read_split)
    subwords: SubwordSettings = entry(toml.table_of(SubwordSettings))
    model: TranslatorSettings = entry(toml.table_of(TranslatorSettings))
    quantization: TranslatorQuantization = entry(toml.table_of(TranslatorQuantization))
    budgets: dict[str, float] = entry(toml.numbers_by_name(*BUDGETS), default_factory=dict)
    card: CardText | None = entry(toml.table_of(CardText), default=None)

    cores: tuple[str, ...] = ()


def read_text_scenario(table: dict, place: toml.Place, **given: Any) -> TextScenario:
    """Raises a UserError for a key or value that is not allowed."""
    scenario = toml.read_table(TextScenario, table, place, **given)
    for rule in RULES:
        rule(scenario, place)
    return scenario


def _data(scenario: TextScenario, place: toml.Place) -> None:
    data = scenario.data
    if (data.set is None) == (data.path is None):
        raise place.at("data").error("expected exactly one of the keys set (a registered data set) and path (your own)")


def _shares(scenario: TextScenario, place: toml.Place) -> None:
    split = scenario.split
    if isinstance(split, SentenceSplit) and not split.validation + split.test < 1:
        raise place.at("split.test").error("expected validation + test to leave a share for training, less than 1")


RULES: tuple[Callable[[TextScenario, toml.Place], None], ...] = (_data, _shares, state_width)
