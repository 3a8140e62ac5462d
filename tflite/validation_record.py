"""The record of one model in validation.json: reading it, naming it, picking the one a scenario ships."""

from pathlib import Path

from pipeline.user_error import UserError
from tflite.build_record import JSON_NAMES, require_record

SECTIONS = {
    "metric": dict,
    "far": dict,
    "mar": dict,
    "drift": dict,
    "memory": dict,
    "latency_us": dict,
    "ops": list,
    "parity": list,
}


def model_name(record):
    """`gru_int8_external` from a validation record; `-` if it names nothing."""
    parts = [str(record[key]) for key in ("cell", "activations", "state") if record.get(key)]
    return "_".join(parts) or "-"


def shipped_records(scenario, validation):
    """The record of the one model the scenario ships, in a list; an empty list if it was not validated.

    It is the first with the scenario's cell, activations and state form; a record that leaves one out
    matches. Budgets are about the shipped model, not its variants.
    """
    wanted = {
        "cell": scenario.model.cell,
        "activations": scenario.quantization.activations,
        "state": scenario.quantization.state,
    }
    if wanted["activations"] == "auto":  # the stage `quantize` chose
        del wanted["activations"]
    matching = [
        record
        for record in validation["models"]
        if all(record.get(key, value) == value for key, value in wanted.items())
    ]
    return matching[:1]


def kernel_pairs(record):
    """The parity records of LiteRT's own kernels against TFLite Micro, whichever of the two is the reference."""
    return [
        pair
        for pair in record.get("parity") or []
        if {_family(pair.get("runtime")), _family(pair.get("reference"))} == {"litert", "tflm"}
    ]


def _family(runtime):
    """`litert_reference` and `litert (builtin)` are LiteRT; `xnnpack`, its delegate, is not."""
    name = str(runtime).lower()
    return next((family for family in ("litert", "tflm") if name.startswith(family)), name)


def read_validation(scenario, folder):
    """Read `validation.json` of a scenario's build folder.

    Raises:
        UserError: there is none, or it is damaged; the line names the command that makes it.
    """
    path, made_by = Path(folder) / "validation.json", f"edgernn validate {scenario.path}"
    validation = require_record(path, kind=dict, made_by=made_by)
    problem = _damage(validation)
    if problem:
        raise UserError(f"{path}: damaged, {problem}; write it again with `{made_by}`")
    return validation


def _damage(validation):
    """What is wrong with the shape of the records, or ""."""
    models = validation.get("models")
    if not isinstance(models, list) or not all(isinstance(record, dict) for record in models):
        return 'expected a list of records under "models"'
    for record in models:
        for key, kind in SECTIONS.items():
            if not isinstance(record.get(key, kind()), kind):
                return f'expected "{key}" of {model_name(record)} to be a JSON {JSON_NAMES[kind]}'
        if not all(isinstance(pair, dict) for pair in record.get("parity", [])):
            return f'expected "parity" of {model_name(record)} to be a list of records'
    return ""
