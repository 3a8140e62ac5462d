"""The validate stage of a translation: the test part through every form of the model, and its proof."""

import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
from rich.progress import track

from keras_models.model_folder import load_model
from keras_models.translation.translator import Translator
from pipeline.atomic_write import atomic_write, write_json
from pipeline.dataset_folder import read_dataset
from pipeline.text.pair_shards import references
from pipeline.text.text_scenario import TextScenario
from pipeline.text.unigram import END, PAD, START, UnigramTokenizer
from tflite.build_record import require_record
from tflite.flatbuffer import operator_names
from tflite.latency import step_latency
from tflite.memory import arena_bytes
from tflite.parity import parity
from tflite.runtimes import load_model as load_step_model
from tflite.translation.litert_translator import LiteRTTranslator
from tflite.translation.signatures import DECODE, ENCODE, FILLED, MEMORY, TOKEN
from tflite.translation.simple_rivals import retrieval, word_by_word
from tflite.translation.translation_quality import bleu, exact_match, identity, token_identity
from tflite.translation.translation_table import print_translation
from tflite.translation.translator_artifact import TranslatorArtifact, read_translator

FORMS = {"float": "float32", "ptq": "ptq", "quantized": ""}
KERNELS = {"builtin": "litert (builtin)", "reference": "litert (reference)", "default": "xnnpack (LiteRT default)"}
SAID = ("cell", "activations", "state_dtype", "state", "bytes")
BATCH = 64
BEAM = 6
PARITY_STEPS = 400  # TFLite Micro's reference kernels take milliseconds for each


def validate_stage(scenario: TextScenario, build_dir: Path) -> Path:
    """Writes build/<scenario>/translations.parquet and validation.json.

    Raises:
        UserError: a model or the dataset of the stages before is missing or damaged.
    """
    folder = Path(build_dir) / scenario.name
    dataset_folder, dataset = read_dataset(scenario, build_dir)
    for stale in ("validation.json", "translations.parquet"):
        (folder / stale).unlink(missing_ok=True)
    artifacts = {form: read_translator(folder / "tflite" / place) for form, place in FORMS.items()}
    test, training = (references(dataset_folder, dataset["files"], part) for part in ("test", "train"))
    keras_model = load_model(folder / "model" / f"{scenario.model.cell}.keras", f"edgernn train {scenario.path}")
    sources, wanted = list(test), list(test.values())
    expected = keras_ids(keras_model, UnigramTokenizer.of(dataset["tokenizer"]), sources)
    written = {form: _translated(artifact, sources, form) for form, artifact in artifacts.items()}
    beam = [one.text for one in map(_beamed(artifacts["quantized"]), sources)]
    shipped = artifacts["quantized"]
    rivals = {
        "nearest training sentence": retrieval(training, sources),
        "word by word": word_by_word(training, sources),
        "not translated": sources,
    }
    record = {
        "scenario": scenario.name,
        **_said(shipped),
        **_quality({form: [one.text for one in results] for form, results in written.items()}, rivals, wanted),
        **_sameness({form: [one.ids for one in results] for form, results in written.items()}, expected),
        "beam": {"width": BEAM, "bleu": bleu(beam, wanted), "exact_match": exact_match(beam, wanted)},
        "sentences": len(sources),
        "references": sum(map(len, wanted)),
        "ptq_bytes": artifacts["ptq"].manifest["bytes"],
        **_proof(shipped, sources, [one.ids for one in written["quantized"]]),
        **require_record(folder / "tflite" / "seconds.json", kind=dict, made_by=f"edgernn convert {scenario.path}"),
    }
    float_metric = {"name": "bleu", "float": record["metric"]["float"]}
    float_record = {"scenario": scenario.name, **_said(artifacts["float"]), "metric": float_metric}
    _write_translations(folder / "translations.parquet", test, written)
    path = folder / "validation.json"
    write_json(path, {"models": [record, float_record]})
    print_translation(record)
    return path


def _said(artifact: TranslatorArtifact) -> dict[str, Any]:
    return {key: artifact.manifest[key] for key in SAID if key in artifact.manifest}


def _quality(written: dict[str, list[str]], rivals: dict[str, list[str]], wanted: list[list[str]]) -> dict[str, Any]:
    """BLEU and exact matches of every form and rival."""
    return {
        "metric": {
            "name": "bleu",
            **{form: bleu(texts, wanted) for form, texts in written.items()},
            "rivals": {name: {"value": bleu(texts, wanted)} for name, texts in rivals.items()},
        },
        "exact_match": {
            **{form: exact_match(texts, wanted) for form, texts in written.items()},
            "rivals": {name: exact_match(texts, wanted) for name, texts in rivals.items()},
        },
    }


def _sameness(written: dict[str, list], expected: list) -> dict[str, Any]:
    """How much of every form is what the float Keras model writes: of sentences, and of sub-words."""
    return {
        "identity": {form: identity(ids, expected) for form, ids in written.items()},
        "token_identity": {form: token_identity(ids, expected) for form, ids in written.items()},
    }


def keras_ids(model: Translator, tokenizer: UnigramTokenizer, sources: list[str]) -> list[tuple[int, ...]]:
    """What the Keras model writes, greedily, for each sentence, END left out."""
    ids = [[*reversed(tokenizer.encode(source)[: tokenizer.longest]), END] for source in sources]
    order = sorted(range(len(ids)), key=lambda i: len(ids[i]))  # few lengths in a batch
    found: list[tuple[int, ...]] = [()] * len(ids)
    for start in range(0, len(order), BATCH):
        rows = order[start : start + BATCH]
        padded = np.full((BATCH, max(len(ids[i]) for i in rows)), PAD, np.int32)
        for row, i in zip(padded, rows, strict=False):
            row[: len(ids[i])] = ids[i]
        for i, written in zip(rows, model.translate(padded, tokenizer.longest).tolist(), strict=False):
            found[i] = tuple(written[: written.index(END)] if END in written else written)
    return found


def _translated(artifact: TranslatorArtifact, sources: list[str], title: str) -> list:
    translator = LiteRTTranslator(artifact)
    shown = track(sources, title, transient=True, disable=not sys.stderr.isatty())
    return [translator.translate(source) for source in shown]


def _beamed(artifact: TranslatorArtifact):
    translator = LiteRTTranslator(artifact)
    return lambda source: translator.translate(source, BEAM)


def _proof(artifact: TranslatorArtifact, sources: list[str], written: list) -> dict[str, Any]:
    """Operators, parity, memory and time of the two signatures, on the steps of the test part."""
    tokenizer = UnigramTokenizer.of(artifact.manifest["tokenizer"])
    steps = {
        ENCODE: [token for source in sources for token in (*reversed(tokenizer.encode(source)), END)][:PARITY_STEPS],
        DECODE: [token for ids in written for token in (START, *ids)][:PARITY_STEPS],
    }
    still = {name: _still(ends) for name, ends in artifact.manifest["micro"].items()}
    calls = {name: [{**still[name], TOKEN: np.array(t, np.int32)} for t in tokens] for name, tokens in steps.items()}
    arenas = {name: arena_bytes(model) for name, model in artifact.micro.items()}
    runtimes = {name: load_step_model(model) for name, model in artifact.micro.items()}
    times = {name: step_latency(one, calls[name], rounds=2, raw=True) for name, one in runtimes.items()}
    states = artifact.manifest["signatures"][ENCODE]["states"]
    return {
        "ops": [name for model in artifact.micro.values() for name in operator_names(model)],
        "parity": [pair for name, model in artifact.micro.items() for pair in _parity(name, model, calls[name])],
        "memory": {
            "arena_bytes": max(arena["total"] for arena in arenas.values()),
            "signatures": {name: arena["total"] for name, arena in arenas.items()},
            "state_bytes": sum(int(np.prod(s["shape"])) * np.dtype(s["dtype"]).itemsize for s in states),
        },
        "micro_bytes": {name: len(model) for name, model in artifact.micro.items()},
        "latency_us": times[DECODE],
        "encode_latency_us": times[ENCODE],
        "sentence_ms": _sentence_ms(artifact, sources[:100]),
    }


def _still(ends: dict[str, Any]) -> dict[str, np.ndarray]:
    """What a signature reads beside the sub-word and its states, the same in every step: a context, or a memory half
    filled, in the tensors' own integers.
    """
    inputs = {one["name"]: one for one in ends["inputs"] if one["name"] != TOKEN}
    random, values = np.random.default_rng(0), {}
    for name, one in inputs.items():
        if name == FILLED:
            values[name] = np.array([inputs[MEMORY]["shape"][0] // 2], one["dtype"])
        else:
            values[name] = random.integers(-100, 100, one["shape"]).astype(one["dtype"])
    return values


def _parity(signature: str, model: bytes, calls: list) -> list[dict[str, Any]]:
    """LiteRT and its delegate against TFLite Micro, every step from the same state."""
    pairs = []
    for kernels, name in KERNELS.items():
        figures = parity(load_step_model(model, kernels=kernels), load_step_model(model, "tflm"), calls)
        pairs.append({"runtime": name, "reference": "tflm", "signature": signature, "state_forced": True, **figures})
    return pairs


def _sentence_ms(artifact: TranslatorArtifact, sources: list[str]) -> float:
    """Mean time of a sentence through Python, greedy."""
    translator = LiteRTTranslator(artifact)
    translator.translate(sources[0])
    start = time.perf_counter()
    for source in sources:
        translator.translate(source)
    return round(1000 * (time.perf_counter() - start) / len(sources), 3)


def _write_translations(path: Path, test: dict[str, list[str]], written: dict[str, list]) -> None:
    columns = {"source": list(test), "references": list(test.values())}
    columns |= {form: [one.text for one in results] for form, results in written.items()}
    with atomic_write(path) as temporary:
        pa.parquet.write_table(pa.table(columns), temporary, compression="zstd")
