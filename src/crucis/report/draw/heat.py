"""A table of coefficients as coloured cells, with frames around those that chance does not explain."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from crucis.report.content import Heat
from crucis.report.draw import style
from crucis.report.draw.style import COLOURS, INK, SOFT, Layout

_SIZE = 7.0
_MAP = LinearSegmentedColormap.from_list("signed", [COLOURS[0], "#ffffff", COLOURS[1]])


def heat(data: Heat, layout: Layout) -> Figure:
    """Rows from the top, columns from the left; the number in a cell where there is room for it."""
    left = min(max(style.text_width(name, _SIZE) for name in data.panels), 0.45 * layout.width) + 0.2
    side = min((layout.width - left - 0.1) / len(data.columns), 0.75)
    small = min(_SIZE, 72.0 * side / 1.25)  # names of columns that would run into one another
    below = min(max(style.text_width(name, small) for name in data.columns), 2.2) + 0.25
    tall = 0.24
    width = max(left + side * len(data.columns) + 0.1, 0.45 * layout.width)
    height = 0.32 + tall * len(data.panels) + below
    fig = style.figure(width, height)
    ax = fig.add_axes(
        (left / width, below / height, side * len(data.columns) / width, tall * len(data.panels) / height)
    )
    ax.set_xlim(0, len(data.columns))
    ax.set_ylim(len(data.panels), 0)
    for spine in ax.spines.values():
        spine.set_visible(False)
    roomy = side >= style.text_width("-0.88", _SIZE) + 0.06
    for i in range(len(data.panels)):
        for j in range(len(data.columns)):
            _cell(ax, data, i, j, roomy)
    for i, name in enumerate(data.panels):
        ax.text(
            -0.06 / side, i + 0.5, style.fit_words(name, left - 0.1, _SIZE), fontsize=_SIZE, ha="right", va="center"
        )
    for j, name in enumerate(data.columns):
        ax.text(j + 0.5, len(data.panels) + 0.2, style.fit_words(name, below - 0.1, small), fontsize=small, rotation=90,
                ha="center", va="top")  # fmt: skip
    ax.set_xticks([])
    ax.set_yticks([])
    note = f"{data.symbol} from -1 (blue) to 1 (orange); frame: p < {data.level:.2g}"
    note = style.fit_words(note if width > 3 else f"frame: p < {data.level:.2g}", width - 0.1, 7.2)
    fig.text(0.05 / width, 1 - 0.08 / height, note, fontsize=7.2, color=SOFT, va="top")
    return fig


def _cell(ax: Axes, data: Heat, i: int, j: int, roomy: bool) -> None:
    value, p = data.values[i][j], data.p[i][j]
    colour = "#f0f0f0" if value is None else _MAP(0.5 + 0.5 * value)
    ax.add_patch(Rectangle((j + 0.03, i + 0.04), 0.94, 0.92, facecolor=colour, linewidth=0))
    if value is None:
        ax.plot([j + 0.35, j + 0.65], [i + 0.5, i + 0.5], color="#b0b0b0", linewidth=0.8)
        return
    if p is not None and p < data.level:
        ax.add_patch(Rectangle((j + 0.05, i + 0.08), 0.9, 0.84, fill=False, edgecolor=INK, linewidth=1.3))
    if roomy:
        dark, shown = abs(value) > 0.62, value if abs(value) >= 0.005 else 0.0
        text = f"{shown:.2f}".replace("-", "\u2212")
        ax.text(j + 0.5, i + 0.5, text, fontsize=_SIZE, ha="center", va="center", color="white" if dark else INK)
