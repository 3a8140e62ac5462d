"""Everything a scenario's build folder says about it, read once for the report."""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.user_error import UserError
from tflite.build_record import read_record
from tflite.validation_record import read_validation, shipped_records

TRACE_COLUMNS = {"forecast": ("stream", "time", "truth"), "anomaly": ("stream", "time", "label", "alarm")}
PHASES = ("float", "qat")
SHOWN_TRANSLATIONS = 24


@dataclass(frozen=True)
class Evidence:
    """What was measured. A file that is not there is None; only the validation is required.

    Attributes:
        record: validation record of the shipped model; {} if the validation has none.
        models: all validation records.
        gates: list of gate records, or None.
        dataset, artifact: the parsed dataset.json and artifact.json, or None.
        quantization: the parsed qat.json, which holds the forms tried, or None.
        history: {"loss": (epochs,), "val_loss": (epochs,), "phase": list of "float" | "qat"}, or None.
        trace: column name to array (rows,), rows sorted by (stream, time), or None. `time` is datetime64[ms],
            `stream` (and `part`, if there is one) text, every other column float64, NaN where absent.
        bench: list of bench rows, or None.
        translations: of a translation, dicts of source, references, float, ptq and quantized, or None.
    """

    record: dict
    models: list
    gates: list | None
    dataset: dict | None
    artifact: dict | None
    quantization: dict | None
    history: dict | None
    trace: dict | None
    bench: list | None
    translations: list | None = None


def gather_evidence(scenario, build_dir):
    """Read the files of one scenario.

    Args:
        scenario: the Scenario.
        build_dir: the build folder with `<scenario>/` and perhaps `bench.json`.

    Raises:
        UserError: validation.json is missing, or any of the files is damaged.
    """
    folder = Path(build_dir) / scenario.name
    validation = read_validation(scenario, folder)
    shipped = shipped_records(scenario, validation)
    gates = read_record(folder / "gates.json", kind=dict, made_by=f"edgernn gates {scenario.path}")
    return Evidence(
        record=shipped[0] if shipped else {},
        models=validation["models"],
        gates=None if gates is None else _gate_list(folder / "gates.json", gates, scenario),
        dataset=read_record(
            folder / "dataset" / "dataset.json", kind=dict, made_by=f"edgernn preprocess {scenario.path}"
        ),
        artifact=read_record(
            folder / "tflite" / "artifact.json", kind=dict, made_by=f"edgernn convert {scenario.path}"
        ),
        quantization=_read_trials(folder / "model" / "qat.json", scenario),
        history=_read_history(folder / "model" / "history.csv", scenario),
        trace=None if scenario.task == "translate" else _read_trace(folder / "trace.parquet", scenario),
        bench=read_record(Path(build_dir) / "bench.json", kind=list, made_by="edgernn bench"),
        translations=_read_translations(folder / "translations.parquet", scenario),
    )


def _gate_list(path, gates, scenario):
    listed = gates.get("gates")
    if not isinstance(listed, list) or not all(isinstance(g, dict) and {"budget", "ok"} <= set(g) for g in listed):
        raise UserError(
            f"{path}: damaged, expected a list of gates; write it again with `edgernn gates {scenario.path}`"
        )
    return listed


def _read_trials(path, scenario):
    """model/qat.json; None if there is none."""
    made_by = f"edgernn quantize {scenario.path}"
    record = read_record(path, kind=dict, made_by=made_by)
    trials = (record or {}).get("trials", [])
    if not isinstance(trials, list) or not all(isinstance(trial, dict) and "form" in trial for trial in trials):
        raise UserError(f"{path}: damaged, expected a list of forms under \"trials\"; write it again with `{made_by}`")
    return record


def _read_history(path, scenario):
    """Columns of model/history.csv: epoch, loss, val_loss, phase; None if there is none."""
    if not path.is_file():
        return None
    try:
        with open(path, newline="", encoding="utf-8") as lines:
            table = csv.DictReader(lines)
            rows = list(table)
        if not {"loss", "val_loss", "phase"} <= set(table.fieldnames or ()):
            raise ValueError(f"columns {table.fieldnames}")
        history = {name: np.array([float(row[name] or "nan") for row in rows]) for name in ("loss", "val_loss")}
        history["phase"] = [PHASES[PHASES.index(row["phase"])] for row in rows]
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"{path}: damaged, expected columns epoch, loss, val_loss, phase ({error!r}); "
            f"write it again with `edgernn train {scenario.path}`"
        ) from error
    return history if rows else None


def _read_translations(path, scenario):
    """SHOWN_TRANSLATIONS rows of translations.parquet, drawn evenly; None if there is none."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not path.is_file():
        return None
    try:
        rows = pq.read_table(path).to_pylist()
    except (OSError, pa.ArrowException) as error:
        remedy = f"write it again with `edgernn validate {scenario.path}`"
        raise UserError(f"{path}: damaged, not Parquet ({' '.join(str(error).split())}); {remedy}") from error
    return rows[:: max(len(rows) // SHOWN_TRANSLATIONS, 1)][:SHOWN_TRANSLATIONS]


def _read_trace(path, scenario):
    """trace.parquet as numpy columns, sorted by (stream, time); None if there is none."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not path.is_file():
        return None
    remedy = f"write it again with `edgernn validate {scenario.path}`"
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise UserError(f"{path}: damaged, not Parquet ({' '.join(str(error).split())}); {remedy}") from error
    missing = [name for name in TRACE_COLUMNS[scenario.task] if name not in table.column_names]
    if missing:
        raise UserError(f"{path}: damaged, no column {missing[0]!r}; {remedy}")
    table = table.sort_by([("stream", "ascending"), ("time", "ascending")])
    times = table.column("time").cast(pa.timestamp("ms")).to_numpy()
    columns = {
        "stream": table.column("stream").to_numpy().astype(str),
        "time": times.astype("datetime64[ms]"),
    }
    if "part" in table.column_names:
        columns["part"] = table.column("part").to_numpy().astype(str)
    figures = [name for name in table.column_names if name not in columns]
    columns |= {name: table.column(name).cast(pa.float64()).to_numpy() for name in figures}
    return columns if table.num_rows else None
