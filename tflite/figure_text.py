"""Measured figures as people read them."""

import math


def figure_text(value, unit):
    """A figure as people read it: `12,304 B`, `0.42 %` (from the fraction 0.0042), `0.1423`."""
    if value is None:
        return "not measured"
    if isinstance(value, (bool, str)) or not math.isfinite(value):
        return "not a number"
    if unit == "quanta" and value == 1:
        unit = "quantum"
    if unit == "%":
        return f"{100 * value:.2f} %"
    number = f"{value:,.0f}" if float(value).is_integer() and abs(value) >= 1000 else f"{value:,.4g}"
    if unit == "B":
        number = f"{value:,.0f}"
    return f"{number} {unit}".rstrip()
