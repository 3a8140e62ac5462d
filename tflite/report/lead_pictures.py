"""Picture of how far ahead a forecaster can be relied on: its error by lead."""

import numpy as np

from tflite.report.calendar_text import elapsed_unit, span_text
from tflite.report.picture import draw_lines, draw_picture, name_lines
from tflite.report.tables import strongest_rival

FEWEST_LEADS = 3  # fewer are no line


def lead_pictures(record, ours):
    """Draw the error by lead.

    Args:
        record: validation record.
        ours: what the shipped model is called, by its numbers: `int8`.

    Returns:
        A list of one Picture, or an empty list where there are too few leads or they were not measured.
    """
    measured = record.get("by_lead") or {}
    seconds, errors = np.array(measured.get("seconds", ())), measured.get("wape", {})
    if len(seconds) < FEWEST_LEADS or not {"float", "quantized"} <= errors.keys():
        return []
    names = [("quantized", ours, "ours"), ("float", "float", "float")]
    rival = strongest_rival(record.get("metric") or {})
    if rival is not None:
        names.append((rival[0], rival[0], "rival"))
    errors = errors | errors["rivals"]
    lines = {key: 100 * np.array(errors[key], float) for key, _, _ in names}  # None is NaN
    return [_picture(seconds, lines, names, ours)]


def _picture(seconds, lines, names, ours):
    told = sorted({0, len(seconds) // 4, len(seconds) // 2, len(seconds) - 1})
    told = [i for i in told if np.isfinite(lines["quantized"][i])]
    said = ", ".join(f"{lines['quantized'][i]:.1f} % {span_text(seconds[i])} ahead" for i in told)
    caption = f"Error (WAPE) by how far ahead the forecast looks, over the whole test part. The {ours} model: {said}."
    size, unit = elapsed_unit(seconds[-1])

    def paint(figure, narrow):
        axes = figure.subplots()
        draw_lines(axes, seconds / size, names, lines)
        axes.set_xlim(seconds[0] / size, seconds[-1] / size)
        axes.set_ylim(0, None)
        axes.set_ylabel("WAPE, %")
        axes.set_xlabel(f"ahead, {unit}")
        name_lines(axes, narrow, names, {key: lines[key][-1] for key, _, _ in names})

    return draw_picture("error_by_lead", paint, alt=caption, caption=caption, wide_height=2.6, narrow_height=2.7)
