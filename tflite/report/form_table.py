"""The numbers a model computes with, and the forms they were chosen from."""

from tflite.figure_text import figure_text

NOT_FINETUNED = " Fine-tuning did not bring it nearer to the float model: it ships as it was calibrated."


def form_rows(quantization):
    """Rows of the table of the forms tried, the float model first.

    Args:
        quantization: the parsed qat.json, or None.

    Returns:
        list of dicts: form, chosen (bool), and calibrated, finetuned and loss (against float) as text; empty where no
        form was recorded.
    """
    trials = (quantization or {}).get("trials") or []
    if not trials:
        return []
    reference = quantization.get("float_loss")
    float_row = {"form": "float32", "chosen": False, "finetuned": "", "loss": ""}
    return [float_row | {"calibrated": figure_text(reference, "")}] + [
        {
            "form": str(trial["form"]),
            "chosen": trial["form"] == quantization.get("form"),
            "calibrated": figure_text(trial.get("calibrated"), ""),
            "finetuned": figure_text(trial["finetuned"], "") if "finetuned" in trial else "",
            "loss": _against(trial.get("finetuned" if _is_finetuned(trial) else "calibrated"), reference),
        }
        for trial in trials
    ]


def form_note(scenario, quantization):
    """One sentence on why the shipped model computes with the numbers it has, or "" if nothing was recorded."""
    if not (quantization or {}).get("trials"):
        return ""
    form, allowed = quantization.get("form"), figure_text(quantization.get("allowed_loss"), "%")
    chosen = next((trial for trial in quantization["trials"] if trial.get("form") == form), {})
    kept = "" if "finetuned" not in chosen or _is_finetuned(chosen) else NOT_FINETUNED
    if scenario.quantization.activations != "auto":
        return f"The scenario asks for {form}.{kept}"
    above = f"at most {allowed} above that of the float model"
    if quantization.get("good_enough"):
        return f"The cheapest form whose validation loss is {above}: {form}.{kept}"
    return f"No form has a validation loss {above}; the best of them: {form}.{kept}"


def _is_finetuned(trial):
    """Whether the model stayed fine-tuned; it is calibrated only where that was the better one."""
    return "finetuned" in trial and trial.get("kept") != "calibrated"


def _against(loss, reference):
    if loss is None or not reference:
        return "not measured"
    return f"{100 * (loss / reference - 1):+.2f} %"
