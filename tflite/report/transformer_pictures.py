"""The Transformer beside the recurrent network: a picture of memory and time by window, and the table behind it."""

import math

from tflite.figure_text import figure_text
from tflite.report.cell_table import CELL_NAMES
from tflite.report.picture import PALETTE, draw_picture, key_above

WAYS = (("window", "Transformer, window anew", "float"), ("cache", "Transformer, cache", "lead"))
AXES = (("arena_bytes", "arena", ("B", "kB", "MB")), ("step_us", "time per reading", ("µs", "ms", "s")))
DASHES = {"float32": "-", "int8": (0, (4, 2))}


def transformer_pictures(transformer):
    """Draw arena and time per reading against the length of the window.

    Args:
        transformer: the parsed transformer.json, or None.

    Returns:
        A list of one Picture, or an empty list.
    """
    if transformer is None:
        return []
    costs, cell = transformer["costs"], CELL_NAMES.get(transformer["cell"], transformer["cell"])
    counts = transformer["parameters"]
    caption = (
        "Memory (TFLite Micro's arena) and time per reading (LiteRT, one thread) against the steps that are looked "
        f"back on: a Transformer of {counts['transformer']:,} parameters and the {cell} of {counts['rnn']:,}, whose "
        "costs know no window. Lines: float32; dashes: int8."
    )

    def paint(figure, narrow):
        grid = figure.subplots(2, 1) if narrow else figure.subplots(1, 2)
        for axes, quantity in zip(grid, AXES, strict=True):
            _paint(axes, costs, *quantity)
        names = [(cell, PALETTE["ours"]), *((name, PALETTE[colour]) for _, name, colour in WAYS)]
        key_above(grid[0], names if not narrow else [(name.split(" ")[-1], hue) for name, hue in names])

    return [draw_picture("transformer", paint, alt=caption, caption=caption, wide_height=3.0, narrow_height=5.2)]


def transformer_rows(transformer):
    """Rows of the table: dicts of name, kind (`shipped` for the recurrent network, else `rival`), numbers, context,
    bytes, arena, time and against (the recurrent network) as text; empty where nothing was measured."""
    if transformer is None:
        return []
    names = {form: name for form, name, _ in WAYS} | {"rnn": CELL_NAMES.get(transformer["cell"], transformer["cell"])}
    return [
        {
            "name": names[one["form"]],
            "kind": "shipped" if one["form"] == "rnn" else "rival",
            "numbers": one["activations"],
            "context": f"{one['context']:,}" if one["context"] else "any",
            "bytes": figure_text(one.get("bytes"), "B"),
            "arena": figure_text(one.get("arena_bytes"), "B"),
            "time": figure_text(one.get("step_us"), "µs"),
            "against": "" if one["form"] == "rnn" else figure_text(one.get("against_rnn"), "x"),
        }
        for one in transformer["costs"]
    ]


def transformer_note(transformer):
    """Two sentences on quality and size, or "" where nothing was measured."""
    if transformer is None:
        return ""
    cell = CELL_NAMES.get(transformer["cell"], transformer["cell"])
    rnn, rival = (transformer["quality"][name] for name in ("rnn", "transformer"))
    return (
        f"Trained on the same windows, in as many parameters: on the validation part the {cell} has a loss of "
        f"{figure_text(rnn['loss'], '')} (RMSE {figure_text(rnn['rmse'], '')} standard deviations), the Transformer "
        f"{figure_text(rival['loss'], '')} ({figure_text(rival['rmse'], '')}), the better of "
        f"{len(rival['rates'])} learning rates. Its cache is kept by the caller and lies in the arena once."
    )


def _decimal(value, units):
    """`10 kB` of 10,000: a power of ten in the unit in which it is less than a thousand."""
    if value <= 0:
        return ""
    thousands = min(max(math.floor(math.log10(value) / 3 + 1e-9), 0), len(units) - 1)
    return f"{value / 1000**thousands:g} {units[thousands]}"


def _paint(axes, costs, key, title, units):
    contexts = sorted({one["context"] for one in costs if one["context"]})
    for form, _, colour in WAYS:
        for numbers, dashes in DASHES.items():
            ones = [one for one in costs if (one["form"], one["activations"]) == (form, numbers) and key in one]
            xs, ys = [one["context"] for one in ones], [one[key] for one in ones]
            axes.plot(xs, ys, color=PALETTE[colour], linestyle=dashes, marker=".", linewidth=1.6)
    for one in costs:
        if one["form"] == "rnn" and key in one:
            axes.axhline(one[key], color=PALETTE["ours"], linestyle=DASHES[one["activations"]], linewidth=1.8)
    axes.set_xscale("log", base=2)
    if any(key in one for one in costs):  # an axis with nothing on it has no logarithm
        axes.set_yscale("log")
    axes.yaxis.set_major_formatter(lambda value, _: _decimal(value, units))
    axes.set_xticks(contexts, [f"{context}" for context in contexts])
    axes.set_xlabel("window, steps")
    axes.set_ylabel(title)
