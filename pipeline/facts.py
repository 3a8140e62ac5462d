"""What the workers find out about the data: small (kind, key, value) tuples, gathered in one file.

Workers never raise for wrong input and never print: they state a fact, and the one place that writes
dataset.json decides. The file is the way back from any runner.
"""

import json
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from pipeline.atomic_write import atomic_write
from pipeline.open_file import open_file
from pipeline.quiet_beam import beam

Fact = tuple[str, str, Any]

FACTS = "facts"  # the tag of the side output


def problem(stage: str, message: str) -> Fact:
    """The user's input is wrong; `stage` is where that was seen."""
    return ("problem", stage, " ".join(message.split()))


def count(name: str, number: int) -> Fact:
    return ("count", name, int(number))


def tagged(fact: Fact) -> beam.pvalue.TaggedOutput:
    """A fact beside the main output of a DoFn."""
    return beam.pvalue.TaggedOutput(FACTS, fact)


class WriteFacts(beam.PTransform):
    """Facts -> one JSON-lines file at `path`, sorted."""

    def __init__(self, path: str):
        super().__init__()
        self.path = path

    def expand(self, facts):
        begin = facts.pipeline | beam.Create([("facts", None)])
        keyed = facts | beam.Map(lambda fact: ("facts", fact))
        return (begin, keyed) | beam.Flatten() | beam.GroupByKey() | beam.Map(_write, path=self.path)


def _write(grouped: tuple[str, Iterable[Fact | None]], path: str) -> None:
    lines = sorted(json.dumps(fact, allow_nan=False) for fact in grouped[1] if fact is not None)
    with atomic_write(path) as temporary:
        temporary.write_text("".join(line + "\n" for line in lines), encoding="utf-8")


class Facts:
    """The facts of one run, by kind."""

    def __init__(self, facts: list[Fact]):
        self._by_kind = defaultdict(list)
        for kind, key, value in facts:
            self._by_kind[kind].append((key, value))

    @classmethod
    def read(cls, path: str) -> "Facts":
        with open_file(path) as file:
            return cls([tuple(json.loads(line)) for line in file.read().decode().splitlines()])

    def problems(self, *stages: str) -> list[str]:
        return [message for stage, message in self._by_kind["problem"] if stage in stages]

    def total(self, name: str) -> int:
        return sum(number for key, number in self._by_kind["count"] if key == name)

    def all(self, kind: str) -> list[tuple[str, Any]]:
        """(key, value) of every fact of a kind, in the order of the file."""
        return self._by_kind[kind]

    def of(self, kind: str) -> dict[str, Any]:
        """The facts of a kind that has one value per key, keys sorted."""
        return dict(sorted(self._by_kind[kind]))
