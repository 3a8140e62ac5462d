"""The convert stage: the model a scenario ships, and the two it is judged against."""

import time
from pathlib import Path

from keras_models.anomaly_score import load_score
from keras_models.choose_form import allowed_forms
from keras_models.feature_encoding import load_encoding
from keras_models.forecast_intervals import with_intervals
from keras_models.model_folder import load_model, start_clean
from keras_models.numeric_form import NumericForm
from keras_models.shard_dataset import training_batches
from keras_models.trained_cell import cell_choice, with_trained_cell
from pipeline.atomic_write import write_json
from pipeline.dataset_folder import read_dataset
from pipeline.scenario import Scenario
from pipeline.user_error import UserError
from tflite.conversion import convert
from tflite.report.model_card import write_card


def convert_scenario(scenario: Scenario, build_dir: Path) -> Path:
    """Converts the model to ship and, beside it, the float and the calibrated-only model.

    Writes build/<scenario>/tflite/{*.tflite, model_card.md, artifact.json}, the same in float32/ and ptq/, and
    seconds.json.

    Raises:
        UserError: a model of the stages before is missing, is of another form than the scenario asks for, or cannot be
            converted.
    """
    dataset_folder, dataset = read_dataset(scenario, build_dir)
    models, folder = Path(build_dir) / scenario.name / "model", Path(build_dir) / scenario.name / "tflite"
    start_clean([folder])
    choice, scenario = cell_choice(scenario, build_dir), with_trained_cell(scenario, build_dir)
    cell, state = scenario.model.cell, scenario.quantization.state
    plain = load_model(models / f"{cell}.keras", made_by=f"edgernn train {scenario.path}")
    qat = load_model(models / f"{cell}_qat.keras", made_by=f"edgernn quantize {scenario.path}")
    _check_form(qat.form, scenario)
    encoding = load_encoding(models / "encoding.json")
    encodings = [with_intervals(encoding, models / f"intervals{s}.json") for s in ("", "_qat")]
    scores = [load_score(models / f"score{s}.json") if scenario.anomaly else None for s in ("", "_qat")]
    windows, _ = training_batches(dataset_folder, dataset, encoding, scenario.model, scenario.seed)
    about = {"task": scenario.task, "cell": cell, "units": scenario.model.units, **choice}
    about["step_seconds"] = scenario.data.step_seconds

    def ship(model, form, trained, place, **options):
        name = f"{scenario.name}_{cell}_{form.name}_{state}"
        numbers = {"activations": form.activations, "state_dtype": form.state_dtype}
        try:
            shell = {"encoding": encodings[trained], "score": scores[trained]}
            artifact = convert(model, **numbers, state=state, **shell, name=name, **options)
        except ValueError as error:  # NaN in the weights, an LSTM made for the other kind of state, ...
            raise UserError(f"{scenario.path}: {name} cannot be made: {error}") from error
        artifact.manifest.update(about)
        for told, column in zip(artifact.manifest["inputs"][0]["columns"], scenario.inputs, strict=True):
            if column.ahead_seconds:
                told["ahead_seconds"] = column.ahead_seconds  # feed the value it will have then, or had
        path = artifact.save(place)
        write_card(place, artifact.manifest, scenario=scenario, dataset=dataset)
        return path

    ship(plain, NumericForm("float32"), 0, folder / "float32")
    calibration = (window for features, _ in windows for window in features.numpy())
    ship(plain, qat.form, 0, folder / "ptq", representative=calibration)
    start = time.perf_counter()
    path = ship(qat, qat.form, 1, folder)
    write_json(folder / "seconds.json", {"convert_seconds": round(time.perf_counter() - start, 3)})
    return path


def _check_form(made: NumericForm, scenario: Scenario) -> None:
    """The scenario may have been changed since the stage `quantize`."""
    allowed = [form.name for form in allowed_forms(scenario.quantization)]
    if made.name not in allowed:
        raise UserError(
            f"{scenario.path}: quantization.activations: the model was quantized in {made.name}, the scenario asks for "
            f"{', '.join(allowed)}; run `edgernn quantize {scenario.path}` again"
        )
