"""A translation trained with several seeds, each taken all the way to its proof: what of the figures is chance."""

from dataclasses import replace
from pathlib import Path

from keras_models.translation.finetune_translator import finetune_translator
from keras_models.translation.train_translator import train_translator
from pipeline.dataset_folder import read_dataset
from pipeline.text.text_scenario import TextScenario
from tflite.build_record import require_record
from tflite.studies.seed_table import SEEDS, seed_folder, write_seeds
from tflite.translation.convert_stage import convert_stage
from tflite.translation.validate_stage import validate_stage

FORMS = {"float": "float32", "ptq": "calibrated", "quantized": "shipped"}
FIGURES = {
    "metric": "BLEU",
    "exact_match": "exact",
    "identity": "sentences as float",
    "token_identity": "sub-words as float",
}


def seeds_stage(scenario: TextScenario, build_dir: Path) -> Path:
    """Trains with every seed below build/seeds/, prints the table and writes build/seeds/<scenario>.json.

    Raises:
        UserError: the dataset is missing.
    """
    read_dataset(scenario, build_dir)
    records = []
    for seed in SEEDS:
        seeded, folder = replace(scenario, seed=seed), seed_folder(scenario.name, build_dir, seed)
        for stage in (train_translator, finetune_translator, convert_stage):
            stage(seeded, folder)
        record = require_record(validate_stage(seeded, folder), kind=dict, made_by="edgernn seeds")["models"][0]
        records.append({"seed": seed, **_figures(record)})
    return write_seeds(scenario.name, build_dir, records)


def _figures(record: dict) -> dict[str, float]:
    """Of the record of a validation, by form; the beam is that of the shipped one."""
    forms = {f"{name}, {of}": record[key][form] for form, name in FORMS.items() for key, of in FIGURES.items()}
    beam = record["beam"]
    name = f"beam of {beam['width']}"
    return {**forms, f"{name}, BLEU": beam["bleu"], f"{name}, exact": beam["exact_match"]}
