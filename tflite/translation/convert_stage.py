"""The convert stage of a translation: the model it ships, and the two it is judged against."""

import time
from pathlib import Path

from keras_models.model_folder import load_model, start_clean
from pipeline.atomic_write import write_json
from pipeline.dataset_folder import read_dataset
from pipeline.text.text_scenario import TextScenario
from pipeline.user_error import UserError
from tflite.report.model_card import write_card
from tflite.translation.convert_translator import convert_translator


def convert_stage(scenario: TextScenario, build_dir: Path) -> Path:
    """Writes build/<scenario>/tflite/{*.tflite, artifact.json}, the same in float32/ and ptq/, and seconds.json.

    Raises:
        UserError: a model of the stages before is missing or cannot be converted.
    """
    _, dataset = read_dataset(scenario, build_dir)
    models, folder = Path(build_dir) / scenario.name / "model", Path(build_dir) / scenario.name / "tflite"
    start_clean([folder])
    cell = scenario.model.cell
    made_by = {"": f"edgernn train {scenario.path}", "_ptq": f"edgernn quantize {scenario.path}"}
    made_by["_qat"] = made_by["_ptq"]
    for suffix, place in (("", folder / "float32"), ("_ptq", folder / "ptq"), ("_qat", folder)):
        model = load_model(models / f"{cell}{suffix}.keras", made_by=made_by[suffix])
        start = time.perf_counter()
        try:
            name = f"{scenario.name}_{cell}_{model.form.name}_external"
            artifact = convert_translator(model, dataset["tokenizer"], name)
        except ValueError as error:  # NaN in the weights, ...
            raise UserError(f"{scenario.path}: {cell}{suffix} cannot be converted: {error}") from error
        path = artifact.save(place)
        write_card(place, artifact.manifest, scenario=scenario, dataset=dataset)
    write_json(folder / "seconds.json", {"convert_seconds": round(time.perf_counter() - start, 3)})
    return path
