"""The cells a model was chosen from, where the scenario says `cell = "auto"`."""

from tflite.figure_text import figure_text

CELL_NAMES = {"gru": "GRU", "lstm": "LSTM", "simple_rnn": "simple RNN", "auto": "cell chosen by training"}


def cell_rows(artifact):
    """Rows of the table of cells, the GRU first.

    Args:
        artifact: the parsed artifact.json, or None.

    Returns:
        list of dicts: cell, chosen (bool), and units, bytes, errors (by seed), mean and against (the GRU) as text;
        empty where the scenario named the cell.
    """
    choice = (artifact or {}).get("cell_choice") or {}
    rows = [_cell_row(cell, choice) for cell in choice.get("cells") or []]
    means = [row.pop("number") for row in rows]
    for row, mean in list(zip(rows, means, strict=True))[1:]:
        row["against"] = f"{100 * (mean / means[0] - 1):+.2f} %" if mean and means[0] else "not measured"
    return rows


def cell_note(artifact):
    """The rule the cell was chosen by and its outcome, or "" where there was no choice."""
    choice = (artifact or {}).get("cell_choice") or {}
    if not choice:
        return ""
    seeds, margin = len(choice.get("seeds") or []), figure_text(choice.get("margin"), "%")
    return (
        f"The GRU was trained first. Another cell replaces it where its {choice.get('metric')} of the validation part "
        f"is better by {margin} in the mean of {seeds} seeds, and with each of them, in at most as many bytes. "
        f"Chosen: {CELL_NAMES.get(choice.get('chosen'), choice.get('chosen'))}."
    )


def _cell_row(cell, choice):
    errors = cell.get("errors") or []
    known = bool(errors) and None not in errors
    mean = sum(errors) / len(errors) if known else None
    return {
        "cell": CELL_NAMES.get(cell.get("cell"), str(cell.get("cell"))),
        "chosen": cell.get("cell") == choice.get("chosen"),
        "units": figure_text(cell.get("units"), ""),
        "bytes": figure_text(cell.get("bytes"), "B"),
        "errors": ", ".join("not a number" if error is None else f"{error:.4f}" for error in errors),
        "mean": "not measured" if mean is None else f"{mean:.4f}",
        "number": mean,
        "against": "",
    }
