"""Pictures of memory: how the gradient of a model fades with the lag, and how long each kind of cell recalls."""

import numpy as np

from tflite.report.cell_table import CELL_NAMES
from tflite.report.picture import PALETTE, draw_picture, end_labels

COLOURS = {"simple_rnn": "rival", "gru": "ours", "lstm": "float"}


def horizon_pictures(horizon, step_text):
    """Draw the gradient by lag, and recall by lag.

    Args:
        horizon: the parsed horizon.json, or None.
        step_text: how long a step of the model is: `1 h`.

    Returns:
        A list of two Pictures, or an empty list.
    """
    if horizon is None:
        return []
    return [_gradient_picture(horizon["gradient"], step_text), _recall_picture(horizon["recall"])]


def _gradient_picture(gradient, step_text):
    norms = np.array(gradient["norms"])
    share, reach = gradient["share"], gradient["horizon"]
    least = "at least " if gradient["beyond"] else ""
    caption = (
        f"How far back the trained model looks ({gradient['model']}): norm of the gradient of its output by the inputs "
        f"so many steps before, as a share of the largest, mean over {gradient['streams']} streams of the "
        f"{gradient['streams_of']}. It stays over {100 * share:g} % for {least}{reach} steps of {step_text}."
    )

    def paint(figure, narrow):
        axes, lags = figure.subplots(), np.arange(len(norms))
        axes.semilogy(lags, np.maximum(norms / norms.max(), 1e-9), color=PALETTE["ours"], linewidth=1.6)
        axes.axhline(share, color=PALETTE["soft"], linewidth=0.8, linestyle=(0, (4, 3)))
        axes.axvspan(0, reach, color=PALETTE["band"], zorder=-1, linewidth=0)
        axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:g} %")
        axes.set_xlim(0, len(norms) - 1)
        axes.set_xlabel("lag, steps")
        axes.set_ylabel("gradient norm")

    return draw_picture("gradient", paint, alt=caption, caption=caption, wide_height=2.6, narrow_height=2.6)


def _recall_picture(recall):
    means = {cell: np.mean(one["accuracy"], axis=0) for cell, one in recall["cells"].items()}
    seeds = max(len(one["accuracy"]) for one in recall["cells"].values())
    reaches = "; ".join(
        f"{CELL_NAMES.get(cell, cell)} {_reach_text(one['horizon'], recall['lags'][-1])}"
        for cell, one in recall["cells"].items()
    )
    caption = (
        f"Where each kind of cell forgets: one of {round(1 / recall['chance'])} symbols is shown, then noise, and it "
        f"is to be named. Share of right answers by the steps in between; mean and range of {seeds} seeds. Steps up to "
        f"which {100 * recall['level']:g} % are right: {reaches}."
    )

    def paint(figure, narrow):
        axes, lags = figure.subplots(), np.array(recall["lags"])
        for cell, one in recall["cells"].items():
            runs, colour = np.array(one["accuracy"]), PALETTE[COLOURS.get(cell, "truth")]
            axes.fill_between(lags, runs.min(axis=0), runs.max(axis=0), color=colour, alpha=0.15, linewidth=0)
            axes.plot(lags, means[cell], color=colour, marker=".", linewidth=1.8)
        axes.axhline(recall["chance"], color=PALETTE["soft"], linewidth=0.8, linestyle=(0, (4, 3)))
        axes.axhline(recall["level"], color=PALETTE["soft"], linewidth=0.8, linestyle=(0, (4, 3)))
        axes.set_xscale("log", base=2)
        axes.set_xticks(lags, [str(lag) for lag in lags])
        axes.set_xlim(lags[0], lags[-1])
        axes.set_ylim(0, 1.05)
        axes.set_xlabel("steps since the symbol")
        axes.set_ylabel("right answers")
        ends = [(means[cell][-1], CELL_NAMES.get(cell, cell), PALETTE[COLOURS.get(cell, "truth")]) for cell in means]
        end_labels(axes, ends)

    return draw_picture("recall", paint, alt=caption, caption=caption, wide_height=2.8, narrow_height=2.8)


def _reach_text(horizon, longest):
    if horizon is None:
        return "none"
    return f"{horizon}, the longest tried" if horizon == longest else str(horizon)
