"""The record of one model in validation.json: reading it, naming it, picking the one a scenario ships."""

from pathlib import Path

from keras_models.choose_form import allowed_forms
from keras_models.numeric_form import NumericForm
from pipeline.scenario import CELLS
from pipeline.user_error import UserError
from tflite.build_record import JSON_NAMES, require_record

# What runs on emulated ARM64, as the parity records of a model call it.
ARM64_BUILTIN, ARM64_XNNPACK = "arm64 litert (builtin)", "arm64 xnnpack (LiteRT default)"
ARM64_GENERATED = "arm64 generated c"
SECTIONS = {
    "metric": dict,
    "far": dict,
    "mar": dict,
    "nrmse": dict,
    "coverage": dict,
    "interval_width": dict,
    "by_lead": dict,
    "events": dict,
    "drift": dict,
    "memory": dict,
    "latency_us": dict,
    "instructions": dict,
    "flash": dict,
    "ram": dict,
    "ethos_u": dict,
    "not_measured": dict,
    "ops": list,
    "parity": list,
}


def form_name(record):
    """`int8`, `int8_state16` from a validation record or a manifest; "" if it names no form.

    Raises:
        ValueError: it names one that there is not.
    """
    if not record.get("activations"):
        return ""
    return NumericForm(record["activations"], record.get("state_dtype")).name


def model_name(record):
    """`gru_int8_state16_external` from a validation record; `-` if it names nothing."""
    parts = [record.get("cell"), form_name(record), record.get("state")]
    return "_".join(str(part) for part in parts if part) or "-"


def shipped_records(scenario, validation):
    """The record of the one model the scenario ships, in a list; an empty list if it was not validated.

    It is the first with the scenario's cell and state form and a form of numbers the scenario allows; a record that
    leaves one out matches. Budgets are about the shipped model, not its variants.
    """
    allowed = {
        "cell": CELLS if scenario.model.cell == "auto" else [scenario.model.cell],
        "form": [form.name for form in allowed_forms(scenario.quantization)],
        "state": [scenario.quantization.state],
    }
    for record in validation["models"]:
        said = {"cell": record.get("cell"), "form": form_name(record) or None, "state": record.get("state")}
        if all(value is None or value in allowed[key] for key, value in said.items()):
            return [record]
    return []


def kernel_pairs(record):
    """The parity records of LiteRT's reference kernels against TFLite Micro, whichever of the two is the reference.

    Only those of steps from the same state: running freely on states of their own, two runtimes that differ by a
    quantum may drift apart by many. Not those of its built-in kernels: their ADD drops bits where the others round.
    At one ADD in thirty a pair of integers has another sum by that, of which a steep TANH makes more quanta.
    """
    return [
        pair
        for pair in record.get("parity") or []
        if {_family(pair.get("runtime")), _family(pair.get("reference"))} == {"litert", "tflm"}
        and pair.get("state_forced", True)
    ]


def _family(runtime):
    """`litert` and `litert (reference)` are LiteRT; its built-in kernels and `xnnpack`, its delegate, are not."""
    name = str(runtime).lower()
    return next((family for family in ("litert", "tflm") if name.startswith(family) and "builtin" not in name), name)


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
        try:
            form_name(record)
        except ValueError as error:
            return f'"activations" or "state_dtype" of a record: {error}'
        for key, kind in SECTIONS.items():
            if not isinstance(record.get(key, kind()), kind):
                return f'expected "{key}" of {model_name(record)} to be a JSON {JSON_NAMES[kind]}'
        if not all(isinstance(pair, dict) for pair in record.get("parity", [])):
            return f'expected "parity" of {model_name(record)} to be a list of records'
    return ""
