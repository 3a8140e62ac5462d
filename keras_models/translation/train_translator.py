"""The train stage of a translation: a float translator from the pairs of a dataset."""

from pathlib import Path

from keras_models.bounded_weights import bound_matrices
from keras_models.fit_model import write_history, write_summary
from keras_models.model_folder import save_model, seed_everything, start_clean
from keras_models.translation.fit_translator import fit_translator
from keras_models.translation.pair_batches import PairBatches
from keras_models.translation.translator import Translator
from pipeline.dataset_folder import read_dataset
from pipeline.text.text_scenario import TextScenario


def train_translator(scenario: TextScenario, build_dir: Path) -> Path:
    """Trains the float model: build/<scenario>/model/<cell>.keras, history.csv, logs/, float.json last.

    Raises:
        UserError: there is no dataset, or the folder cannot be written.
    """
    dataset_folder, dataset = read_dataset(scenario, build_dir)
    folder, settings = Path(build_dir) / scenario.name / "model", scenario.model
    start_clean([folder])
    seed_everything(scenario.seed)
    pieces = len(dataset["tokenizer"]["pieces"])
    model = Translator(
        pieces,
        settings.units,
        settings.embedding,
        settings.dropout,
        settings.attention,
        seed=scenario.seed,
        name=scenario.name,
    )
    if settings.weight_bound is not None:
        bound_matrices(model, settings.weight_bound)
    history = fit_translator(
        model,
        PairBatches(dataset_folder, dataset, "train", settings.batch, scenario.seed),
        PairBatches(dataset_folder, dataset, "validation", settings.batch),
        epochs=settings.epochs,
        rate=settings.learning_rate,
        warmup=settings.warmup,
        smoothing=settings.label_smoothing,
        patience=settings.patience,
        logs=folder / "logs" / "float",
    )
    write_history(folder / "history.csv", {"float": history})
    path = folder / f"{settings.cell}.keras"
    save_model(model, path)
    write_summary(folder / "float.json", history)
    return path
