"""The Markdown of a model card: its sections, lists and tables; what says nothing is left out."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

UNSTATED = "Not stated by its author."
ABSENT = ("", "not measured")


def card(manifest: Mapping[str, Any], summary: str, sections: Sequence[tuple[str, str]]) -> str:
    """The card of an artefact: (title, text) by section, one without text is left out."""
    name = manifest.get("name") or Path(manifest["tflite"]).stem
    parts = [f"# Model card: {name}", summary, *(f"## {title}\n\n{text}" for title, text in sections if text)]
    return "\n\n".join(parts) + "\n"


def bullets(sentences: Iterable[str]) -> str:
    """A list, a line each."""
    return "\n".join(f"- {sentence}" for sentence in sentences)


def facts(known: Iterable[tuple[str, Any]]) -> str:
    """A list of name and value; a value that is None is absent."""
    return bullets(f"{name}: {value}" for name, value in known if value is not None)


def table(columns: Sequence[tuple[str, str]], rows: Sequence[Mapping[str, Any]]) -> str:
    """A Markdown table of (title, key); columns that say nothing in any row are left out."""
    shown = [(title, key) for title, key in columns if any(str(row.get(key, "")) not in ABSENT for row in rows)]
    if not shown:
        return ""
    lines = [[title for title, _ in shown], ["---"] * len(shown)]
    lines += [[_cell(row.get(key, "")) for _, key in shown] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(value: Any) -> str:
    return "-" if str(value) in ABSENT else str(value).replace("|", "\\|")
