"""The model card of a translator; see `tflite.report.model_card`."""

from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.scenario import CardText
from pipeline.text.text_scenario import TextScenario
from tflite.figure_text import figure_text
from tflite.report.card_text import bullets, card, facts, table
from tflite.report.translation_page import pair_facts, quality_rows

QUALITY = (("model", "name"), ("BLEU", "bleu"), ("exact", "exact"), ("same as float Keras", "same"),
           ("bytes", "bytes"))  # fmt: skip
INTENDED = "Drafts of translations of sentences like those it learned from, read by a person who knows the matter."
MISUSE = (
    "Text where a wrong or missing word can hurt someone: medicine, law, safety, instructions to machines.",
    "Other languages, other fields, or sentences much longer than its own.",
)
LIMITS = (
    "Measured on sentences that training never saw, of the same collection.",
    "Names, numbers and words it has not learned are often wrong; it never says that it does not know.",
    "It repeats the habits of its training pairs, their mistakes and prejudices too.",
)


def translation_card(
    manifest: Mapping[str, Any],
    *,
    scenario: TextScenario,
    dataset: Mapping[str, Any] | None = None,
    record: Mapping[str, Any] | None = None,
    models: Sequence[Mapping[str, Any]] = (),
) -> str:
    """The card of a translator as Markdown; arguments as of `model_card`."""
    text, longest = scenario.card or CardText(), manifest["tokenizer"]["maximum_length"]
    cut = f"Of a sentence longer than {longest} sub-words the rest is not read."
    sections = [
        ("Intended use", bullets(text.intended_use or (INTENDED,))),
        ("Must not be used for", bullets((*text.not_for, *MISUSE))),
        ("Limits", bullets((*text.limits, *LIMITS, cut))),
        ("Data", facts([*pair_facts(scenario, dataset or {}), ("licence of own files", text.data_licence)])),
        ("Quality", _quality(record or {}, models)),
        ("Form and bytes", facts(_form(manifest, record or {}))),
        ("How it was made", facts(_origin(manifest, scenario, dataset or {}))),
    ]
    reading = "with attention" if scenario.model.attention else "through a context vector"
    return card(manifest, f"A recurrent encoder and decoder {reading}, one sub-word per call.", sections)


def _quality(record: Mapping[str, Any], models: Sequence[Mapping[str, Any]]) -> str:
    if not record.get("metric"):
        return "Not measured yet."
    measured = f"{record['sentences']:,} sentences of the test part, {record['references']:,} references, lower case."
    return f"{measured}\n\n{table(QUALITY, quality_rows(record, models))}"


def _form(manifest: Mapping[str, Any], record: Mapping[str, Any]) -> list[tuple[str, Any]]:
    arenas = (record.get("memory") or {}).get("signatures") or {}
    known = [(key.replace("_", " "), manifest.get(key)) for key in ("activations", "state_dtype", "weights", "state")]
    micro = {f"{one['tflite']}, for TFLite Micro": one["bytes"] for one in manifest["micro"].values()}
    arena = {f"arena of {name} on a 64-bit host": size for name, size in sorted(arenas.items())}
    sizes = {"file": manifest["bytes"], **micro, **arena}
    return known + [(name, figure_text(size, "B")) for name, size in sizes.items()]


def _origin(
    manifest: Mapping[str, Any], scenario: TextScenario, dataset: Mapping[str, Any]
) -> list[tuple[str, Any]]:
    known = [("file", manifest["tflite"]), ("sha256", manifest["sha256"])]
    known += [("scenario", scenario.path.name), ("seed", scenario.seed)]
    files = sorted(((dataset.get("source") or {}).get("sha256") or {}).items())
    return known + [(f"data, {name}", digest) for name, digest in files] + sorted(manifest["versions"].items())
