"""The training curves: float epochs, then quantization-aware ones."""

import numpy as np

from tflite.report.picture import PALETTE, draw_picture, key_above

PHASES = (("float", "float", "float"), ("qat", "quantization-aware", "ours"))


def training_pictures(history, ours):
    """Draw loss and validation loss over the epochs.

    Args:
        history: see Evidence, or None.
        ours: what the shipped model is called, by its numbers: `int8`.

    Returns:
        A list of one Picture, or an empty list.
    """
    if history is None or not (np.isfinite(history["loss"]) & (history["loss"] > 0)).any():
        return []
    phases = np.array(history["phase"])
    counts = [f"{(phases == phase).sum()} {name} epochs" for phase, name, _ in PHASES if (phases == phase).any()]
    caption = f"Training: {', then '.join(counts)}.{_best_text(history['val_loss'], phases, ours)}"

    def paint(figure, narrow):
        _paint_losses(figure.subplots(), history, phases)

    return [draw_picture("training", paint, alt=caption, caption=caption, wide_height=2.6, narrow_height=2.6)]


def _paint_losses(axes, history, phases):
    from matplotlib.ticker import LogLocator, NullLocator

    epochs = np.arange(1, len(phases) + 1)
    names = [("training loss", PALETTE["rival"])]
    for phase, name, colour in PHASES:
        rows = phases == phase
        if rows.any():
            names.append((f"validation, {name}", PALETTE[colour]))
            axes.plot(epochs[rows], history["loss"][rows], color=PALETTE["rival"], marker=".", linewidth=1.4)
            axes.plot(epochs[rows], history["val_loss"][rows], color=PALETTE[colour], marker=".", linewidth=1.8)
    quantized = epochs[phases == "qat"]
    if quantized.size:
        axes.axvspan(quantized[0] - 0.5, quantized[-1] + 0.5, color=PALETTE["band"], zorder=-1, linewidth=0)
    key_above(axes, names)
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.set_xlim(0.5, len(epochs) + 0.5)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.set_xlabel("epoch")
    axes.set_ylabel("loss")


def _best_text(validation, phases, ours):
    texts = []
    for phase, name, _ in PHASES:
        losses = validation[phases == phase]
        if np.isfinite(losses).any():
            texts.append(f"{name} {np.nanmin(losses):.4g}")
    taught = f" The loss of {ours} is its distance from the float model." if (phases == "qat").any() else ""
    return f" Lowest validation loss: {', '.join(texts)}.{taught}" if texts else ""
