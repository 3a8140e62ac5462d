"""A picture of the report: matplotlib drawings as inline SVG that follow the page's light or dark colours.

A picture is drawn twice, wide for a desk or paper and narrow for a phone; the page shows the one that fits.
"""

import io
import re
from dataclasses import dataclass

import numpy as np

WIDE_INCHES, NARROW_INCHES = 9.6, 3.9

# Colour by meaning, as on the light page; the hex codes become CSS variables `--<meaning>` (see page.css).
# Hues follow Okabe and Ito, told apart with any colour vision; lightness differs too, for grey printing.
PALETTE = {
    "ink": "#1b2330",
    "soft": "#5b6675",
    "rule": "#dde2e8",
    "band": "#eef1f5",
    "truth": "#47515f",
    "float": "#0072b2",
    "ours": "#d55e00",
    "ptq": "#a8558a",
    "rival": "#8a94a3",
    "lead": "#00785a",
    "fault": "#9cc9e8",
}

STYLE = {
    "svg.fonttype": "none",
    "text.parse_math": False,
    "font.family": "DejaVu Sans",
    "font.size": 8.5,
    "axes.edgecolor": PALETTE["rule"],
    "axes.labelcolor": PALETTE["soft"],
    "text.color": PALETTE["ink"],
    "xtick.color": PALETTE["rule"],
    "ytick.color": PALETTE["rule"],
    "xtick.labelcolor": PALETTE["soft"],
    "ytick.labelcolor": PALETTE["soft"],
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "grid.color": PALETTE["rule"],
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "legend.frameon": False,
    "lines.solid_capstyle": "round",
    "lines.solid_joinstyle": "round",
    "axes.formatter.use_locale": False,
}


@dataclass(frozen=True)
class Picture:
    """One drawing of the page.

    Attributes:
        name: unique in the page; the ids inside the SVGs start with it.
        wide, narrow: SVG text.
        alt: what a person who cannot see the picture should know.
        caption: the sentence under it.
    """

    name: str
    wide: str
    narrow: str
    alt: str
    caption: str


def draw_picture(name, paint, *, alt, caption, wide_height, narrow_height):
    """Draw one picture in its two widths.

    Args:
        name: `[a-z0-9_]`, unique in the page.
        paint: `paint(figure, narrow)` draws into an empty matplotlib Figure with the colours of PALETTE only.
        alt: text for people who cannot see it.
        caption: sentence under the picture.
        wide_height, narrow_height: inches.

    Returns:
        A Picture, the same bytes for the same drawing.
    """
    wide = _draw_svg(f"{name}_w", paint, False, (WIDE_INCHES, wide_height))
    narrow = _draw_svg(f"{name}_n", paint, True, (NARROW_INCHES, narrow_height))
    return Picture(name, wide, narrow, alt, caption)


def _draw_svg(name, paint, narrow, size):
    import matplotlib
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    with matplotlib.rc_context():
        matplotlib.rcdefaults()  # whatever the machine's matplotlibrc says
        matplotlib.rcParams.update(STYLE | {"svg.hashsalt": name})
        figure = Figure(figsize=size, layout="constrained")
        FigureCanvasSVG(figure)
        paint(figure, narrow)
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", transparent=True)
    return inline_svg(buffer.getvalue(), name)


def inline_svg(text, name):
    """Turn a matplotlib SVG file into an element of an HTML page.

    Prologue, metadata (with its date) and sizes in points go, ids become `<name>-<number>`, text takes the
    page's font, numbers two decimals, and the palette's hex codes become CSS variables.
    """
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", text, flags=re.DOTALL)
    box = re.search(r'viewBox="([^"]+)"', text)[1]
    text = re.sub(r"<svg[^>]*>", f'<svg viewBox="{box}" aria-hidden="true" focusable="false">', text, count=1)
    text = re.sub(r"<!--.*?-->\s*", "", text, flags=re.DOTALL).replace("xlink:href=", "href=")
    text = re.sub(r"font: ([\d.]+)px[^;\"]*", r"font-size: \1px", text)
    text = re.sub(r"font-family:[^;\"]*;?", "", text)
    text = re.sub(r"-?\d+\.\d{3,}", lambda number: _short(number[0]), text)
    text = _number_ids(text, name)
    for meaning, code in PALETTE.items():
        text = text.replace(code, f"var(--{meaning})")
    return re.sub(r"\n\s*", "\n", text).strip()


def _number_ids(text, name):
    """Number the ids in use and drop the others: matplotlib derives some from memory addresses."""
    referring = r"(href=\"|url\()#([\w.-]+)"
    numbers = {found[1]: None for found in re.findall(referring, text)}
    numbers = {found: f"{name}-{number}" for number, found in enumerate(numbers)}
    text = re.sub(r' id="([\w.-]+)"', lambda own: f' id="{numbers[own[1]]}"' if own[1] in numbers else "", text)
    return re.sub(referring, lambda use: f"{use[1]}#{numbers[use[2]]}", text)


def _short(number):
    short = f"{float(number):.2f}".rstrip("0").rstrip(".")
    return "0" if short == "-0" else short


def note(axes, text, place, offset, coords="axes fraction", **style):
    """Write `text` at `place`, moved by `offset` points.

    Args:
        axes: a matplotlib Axes.
        text: what to write.
        place: (x, y) in `coords`.
        offset: (x, y) in points.
        coords: as matplotlib's `xycoords`.
        style: of the text.
    """
    axes.annotate(text, place, xycoords=coords, xytext=offset, textcoords="offset points", **style)


def end_labels(axes, labels):
    """Write each line's name at the right of the axes, beside its last value, without one covering another.

    Args:
        axes: a matplotlib Axes with its final limits.
        labels: list of (last value in data units, text, colour).
    """
    low, high = axes.get_ylim()
    gap = (high - low) * 12 / (axes.figure.get_figheight() * 72 * 0.8)
    placed = []
    for value, text, colour in sorted(labels, key=lambda label: label[0]):
        height = max(min(value, high), low + gap / 2)
        placed.append([max(height, placed[-1][0] + gap) if placed else height, text, colour])
    overshoot = max(placed[-1][0] - high, 0) if placed else 0
    for height, text, colour in placed:
        axes.annotate(
            text,
            (1, height - overshoot),
            xycoords=("axes fraction", "data"),
            xytext=(6, 0),
            textcoords="offset points",
            color=colour,
            va="center",
            annotation_clip=False,
        )


def draw_lines(axes, places, names, lines):
    """Draw the lines, the first on top; that of the float model wide and pale, so that ours is seen upon it.

    Args:
        axes: a matplotlib Axes.
        places: where on the horizontal axis, for all of them.
        names: list of (key, text, meaning of the colour).
        lines: key to the line's values.
    """
    for key, _, colour in reversed(names):
        wide = key == "float"
        axes.plot(places, lines[key], color=PALETTE[colour], linewidth=4 if wide else 1.4, alpha=0.4 if wide else 1)


def name_lines(axes, narrow, names, last):
    """Name each line: at its end, or on a narrow picture one name a line above the axes, as they are long for a phone.

    Args:
        axes: a matplotlib Axes with its final limits.
        narrow: whether the picture is the narrow one.
        names: list of (key, text, meaning of the colour).
        last: key to last value of the line, in data units.
    """
    if not narrow:
        end_labels(axes, [(float(np.nan_to_num(last[key])), text, PALETTE[colour]) for key, text, colour in names])
        return
    for row, (_, text, colour) in enumerate(names):
        note(axes, text, (0, 1), (2, 3 + 11 * (len(names) - 1 - row)), color=PALETTE[colour])


def key_above(axes, labels):
    """Write the lines' names, coloured like the lines, in a row above the axes.

    Args:
        axes: a matplotlib Axes.
        labels: list of (text, colour).
    """
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], color=colour, linewidth=2) for _, colour in labels]
    axes.legend(
        handles,
        [text for text, _ in labels],
        loc="lower left",
        bbox_to_anchor=(0, 1),
        borderaxespad=0.2,
        ncols=len(labels),
        labelcolor="linecolor",
        handlelength=1.0,
        handletextpad=0.4,
        columnspacing=1.0,
        borderpad=0,
    )
