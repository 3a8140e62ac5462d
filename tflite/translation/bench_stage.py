"""`edgernn bench` of a translation: whole sentences, the shipped model against the float one, in turns."""

import json
from pathlib import Path

from pipeline.atomic_write import write_json
from pipeline.dataset_folder import read_dataset
from pipeline.text.pair_shards import references
from pipeline.text.text_scenario import TextScenario
from tflite.bench import print_bench
from tflite.latency import interleaved_ratio
from tflite.translation.litert_translator import LiteRTTranslator
from tflite.translation.translator_artifact import read_translator
from tflite.validation_record import form_name

SENTENCES, ROUNDS = 20, 7


def bench_stage(scenario: TextScenario, build_dir: Path) -> Path:
    """Writes build/<scenario>/bench.json, and build/bench.json with the entries of every scenario that has one.

    Raises:
        UserError: a model or the dataset of the stages before is missing.
    """
    folder = Path(build_dir) / scenario.name
    dataset_folder, dataset = read_dataset(scenario, build_dir)
    shipped, plain = (read_translator(folder / "tflite" / place) for place in ("", "float32"))
    sentences = list(references(dataset_folder, dataset["files"], "validation"))[:SENTENCES]
    ours, rival = (LiteRTTranslator(artifact, "default").translate for artifact in (shipped, plain))
    name = f"{scenario.name}: LiteRT {form_name(shipped.manifest)} sentence"
    entry = {"name": name, "unit": "us/sentence", "rival_name": "LiteRT float32, the same road"}
    entries = [{**entry, **interleaved_ratio(ours, rival, sentences, rounds=ROUNDS)}]
    print_bench(entries)
    path = folder / "bench.json"
    write_json(path, entries)
    everything = [row for part in sorted(Path(build_dir).glob("*/bench.json")) for row in json.loads(part.read_text())]
    write_json(Path(build_dir) / "bench.json", everything)
    return path
