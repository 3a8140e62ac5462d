"""The quantize stage of a translation: calibration, then quantization-aware fine-tuning towards the float model."""

from itertools import islice
from pathlib import Path

from keras_models.finetune_qat import float_history
from keras_models.fit_model import write_history, write_summary
from keras_models.model_folder import load_model, save_model, seed_everything, start_clean
from keras_models.numeric_form import NumericForm
from keras_models.qat_model import calibrate
from keras_models.translation.fit_translator import fit_translator
from keras_models.translation.pair_batches import PairBatches
from keras_models.translation.translator import Translator
from pipeline.dataset_folder import read_dataset
from pipeline.text.text_scenario import TextScenario
from pipeline.user_error import UserError

CALIBRATION_BATCHES = 64


def calibrated_twin(model: Translator, form: NumericForm, batches: PairBatches) -> Translator:
    """The model in an integer form, its ranges those of the first training batches.

    Raises:
        ValueError: weights hold NaN, or a tensor never moves.
    """
    twin = model.quantized(form)
    calibrate(twin, [list(inputs) for inputs, _ in islice(batches, CALIBRATION_BATCHES)])
    return twin


def finetune_translator(scenario: TextScenario, build_dir: Path) -> Path:
    """Writes build/<scenario>/model/<cell>_qat.keras, <cell>_ptq.keras (calibrated only), the QAT part of history.csv
    and, last, qat.json.

    Raises:
        UserError: the float model or the dataset is missing, the model cannot be quantized, or the folder cannot be
            written.
    """
    dataset_folder, dataset = read_dataset(scenario, build_dir)
    folder, cell = Path(build_dir) / scenario.name / "model", scenario.model.cell
    path, logs = folder / f"{cell}_qat.keras", folder / "logs" / "qat"
    start_clean([path, logs, folder / f"{cell}_ptq.keras", folder / "qat.json"])
    teacher = load_model(folder / f"{cell}.keras", made_by=f"edgernn train {scenario.path}")
    settings, batch = scenario.quantization, scenario.model.batch
    form = NumericForm(settings.activations, settings.state_dtype)
    seed_everything(scenario.seed)
    train = PairBatches(dataset_folder, dataset, "train", batch, scenario.seed)
    try:
        twin = calibrated_twin(teacher, form, train)
    except ValueError as error:  # NaN in the weights, a tensor that never moves, ...
        raise UserError(f"{scenario.path}: the float model cannot be quantized: {error}") from error
    save_model(twin, folder / f"{cell}_ptq.keras")
    history = []
    if settings.epochs:
        history = fit_translator(
            twin,
            train,
            PairBatches(dataset_folder, dataset, "validation", batch),
            epochs=settings.epochs,
            rate=settings.learning_rate,
            warmup=0,
            smoothing=0.0,
            patience=settings.epochs,
            logs=logs,
            teacher=teacher,
        )
    write_history(folder / "history.csv", {"float": float_history(folder / "history.csv"), "qat": history})
    save_model(twin, path)
    write_summary(folder / "qat.json", history, form=twin.form.name)
    return path
