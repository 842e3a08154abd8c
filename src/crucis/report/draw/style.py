"""How every picture looks: sizes, colours that colour-blind readers can tell apart, texts, ticks, panels.

All lengths are inches. Every picture is drawn in two widths: `WIDE` for page, files and print, `NARROW` for a phone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from crucis.report import numbers
from crucis.report.content import Axis

INK, SOFT, FAINT, RULE = "#1a1a1a", "#555555", "#b9b9b9", "#dddddd"
#: After Okabe and Ito (2008) and Tol (2021), without the yellows that vanish on white. Dashes repeat the distinction.
COLOURS = ("#0b62a4", "#c8500a", "#00866b", "#b5488e", "#7a5c00", "#3c9dd0", "#4b4b4b", "#8a2f2f")
DASHES: tuple[Any, ...] = ("-", (0, (5, 1.6)), (0, (1.4, 1.3)), (0, (6, 1.4, 1.4, 1.4)))
MARKERS = ("o", "^", "s", "D", "v", "P", "X", "<")

RC: dict[str, Any] = {
    "text.parse_math": False,  # a dollar sign in a name starts no formula
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 8.0,
    "axes.titlesize": 8.5,
    "axes.labelsize": 8.0,
    "xtick.labelsize": 7.5,
    "ytick.labelsize": 7.5,
    "legend.fontsize": 7.5,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": "#8a8a8a",
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlelocation": "left",
    "axes.titlepad": 5.0,
    "axes.labelpad": 3.5,
    "axes.unicode_minus": True,
    "xtick.color": "#8a8a8a",
    "ytick.color": "#8a8a8a",
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 3.0,
    "ytick.major.size": 3.0,
    "xtick.major.pad": 2.5,
    "ytick.major.pad": 2.5,
    "lines.linewidth": 1.5,
    "lines.solid_capstyle": "round",
    "patch.linewidth": 0.6,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "svg.fonttype": "none",
    "pdf.fonttype": 42,
    "path.simplify": True,
}


@dataclass(frozen=True)
class Layout:
    """Width of the picture and how many small panels stand side by side at most."""

    name: str
    width: float
    panels: int


WIDE = Layout("wide", 7.4, 4)
NARROW = Layout("narrow", 3.5, 2)


def words(text: str) -> str:
    """Text without control characters (they would break the SVG)."""
    return "".join(char for char in text if char >= " " or char == "\n")


def caption_of(axis: Axis) -> str:
    """`loss (nats)`. Units that say nothing stay away."""
    shown = {"1": "", "": "", "count": ""}.get(axis.unit, axis.unit)
    return words(f"{axis.label} ({shown})" if shown else axis.label)


def tick(value: float) -> str:
    """A tick's label: short, with a true minus."""
    if value == 0:
        return "0"
    if 1e-3 <= abs(value) < 1e6:
        return numbers.grouped(f"{value:.9g}").replace("-", numbers.MINUS)
    mantissa, power = f"{value:.6e}".split("e")
    head = mantissa.rstrip("0").rstrip(".").replace("-", numbers.MINUS)
    tail = numbers.power_of_ten(int(power))
    return {"1": tail, numbers.MINUS + "1": numbers.MINUS + tail}.get(head, f"{head}·{tail}")


def _steps(low: float, high: float, wanted: int) -> list[float]:
    """Multiples of 1, 2 or 5 times a power of ten: the finest of which there are at most wanted + 1."""
    span = high - low
    if span <= 0 or not math.isfinite(span):
        return [low]
    base = 10.0 ** (math.floor(math.log10(span)) - 1)
    for step in (base * factor for factor in (1, 2, 5, 10, 20, 50)):
        first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
        if last - first + 1 <= wanted + 1:
            break
    return [float(f"{index * step:.15g}") for index in range(first, last + 1)]


def _decades(low: float, high: float, wanted: int) -> list[float]:
    """Powers of ten; over a short range also their multiples."""
    first, last = math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9)
    if last - first >= 2:
        stride = max(1, math.ceil((last - first) / max(wanted, 2)))
        return [10.0**power for power in range(first, last + 1, stride)]
    for factors in ((1, 2, 5), (1, 3), (1,)):
        fine = [float(f"{m}e{power}") for power in range(first - 1, last + 1) for m in factors]
        inside = [mark for mark in fine if low * 0.999 <= mark <= high * 1.001]
        if len(inside) <= wanted + 1:
            break
    return inside if len(inside) >= 2 else [float(f"{low:.2g}"), float(f"{high:.2g}")]


def marks(low: float, high: float, wanted: int, log: bool) -> list[float]:
    """Round numbers between the ends, about as many as wanted."""
    return _decades(low, high, wanted) if log else _steps(low, high, wanted)


def _room(ax: Axes, places: Sequence[float], log: bool) -> bool:
    """Whether the labels of horizontal ticks keep clear of each other."""
    fig: Any = ax.figure
    low, high = (math.log10(end) if log else end for end in ax.get_xlim())
    inches = ax.get_position().width * fig.get_figwidth() / (high - low)
    at = [(math.log10(place) if log else place) * inches for place in places]
    half = [text_width(tick(place)) / 2 for place in places]
    return all(at[i + 1] - at[i] > half[i] + half[i + 1] + 0.06 for i in range(len(at) - 1))


def apart(ax: Axes, low: float, high: float, wanted: int, log: bool = False) -> list[float]:
    """Ticks of the horizontal axis, fewer than wanted if their labels would touch; one, if two already do."""
    places = marks(low, high, wanted, log)
    while wanted > 1 and not _room(ax, places, log):
        wanted -= 1
        places = marks(low, high, wanted, log) if wanted > 1 else [places[0], places[-1]]
    return places if _room(ax, places, log) else places[-1:]


def _view(axis: Axis, low: float, high: float) -> tuple[float, float, bool]:
    """The ends that are shown for data between low and high, and whether the scale is logarithmic."""
    low, high = (low if axis.low is None else axis.low), (high if axis.high is None else axis.high)
    log = axis.scale == "log" and low > 0
    if high <= low:
        low, high = (low / 2, low * 2) if log else (low - 0.5, low + 0.5)
    ratio, span = high / low if log else 1.0, high - low
    if axis.low is None:
        low = low / ratio**0.05 if log else low - 0.05 * span
    if axis.high is None:
        high = high * ratio**0.05 if log else high + 0.05 * span
    return low, high, log


def label_room(axis: Axis, low: float, high: float, wanted: int) -> float:
    """Width of the widest label on a vertical axis, in inches."""
    low, high, log = _view(axis, low, high)
    return max((text_width(tick(mark)) for mark in marks(low, high, wanted, log)), default=0.0)


def scale_axis(ax: Axes, which: str, axis: Axis, low: float, high: float, wanted: int = 5) -> None:
    """Scale, ends and ticks of one axis; low and high are the data's ends, the axis' own ends win."""
    low, high, log = _view(axis, low, high)
    if log:
        getattr(ax, f"set_{which}scale")("log")
    getattr(ax, f"set_{which}lim")(low, high)
    places = apart(ax, low, high, wanted, log) if which == "x" else marks(low, high, wanted, log)
    getattr(ax, f"set_{which}ticks")(places, labels=[tick(place) for place in places])
    if log:
        getattr(ax, f"{which}axis").minorticks_off()


def name_axes(fig: Figure, x: str, y: str = "") -> None:
    """One name for the horizontal axis of all panels, at the lower edge, and one for the vertical, at the left."""
    fig.supxlabel(words(x), fontsize=8, y=0.04 / fig.get_figheight(), va="bottom")
    if y:
        fig.supylabel(words(y), fontsize=8, x=0.06 / fig.get_figwidth(), ha="left")


def ends(*series: Sequence[float]) -> tuple[float, float]:
    """The smallest and largest finite number in all of them (0 and 1 if there is none)."""
    finite = [float(value) for values in series for value in values if math.isfinite(value)]
    return (min(finite), max(finite)) if finite else (0.0, 1.0)


def text_width(text: str, size: float = 7.5, weight: str = "normal") -> float:
    """Width of a text in inches, from the outlines of its letters (no pixel grid rounds it)."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    font = FontProperties(family="DejaVu Sans", size=size, weight=weight)
    return text_to_path.get_text_width_height_descent(words(text), font, False)[0] / 72


def figure(width: float, height: float) -> Figure:
    """A picture of that size that knows how wide its texts are."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    fig = Figure(figsize=(width, height), dpi=72)
    FigureCanvasAgg(fig)
    return fig


@dataclass(frozen=True)
class Frame:
    """Room around and between panels."""

    left: float = 0.5
    right: float = 0.08
    top: float = 0.25
    bottom: float = 0.42
    across: float = 0.2
    down: float = 0.45


def panels(
    layout: Layout, count: int, ratio: float, frame: Frame, most: int | None = None, widest: float = math.inf
) -> tuple[Figure, list[Axes]]:
    """A picture with `count` equal panels of height `ratio` times width, filled row by row; it is narrower than the
    layout where its panels would be wider than `widest`."""
    columns = max(1, min(count, most or layout.panels))
    rows = math.ceil(count / columns)
    around = frame.left + frame.right + (columns - 1) * frame.across
    width = min((layout.width - around) / columns, widest)
    paper = around + columns * width
    tall = width * ratio
    height = frame.top + frame.bottom + rows * tall + (rows - 1) * frame.down
    fig = figure(paper, height)
    axes = []
    for index in range(count):
        row, column = divmod(index, columns)
        x = frame.left + column * (width + frame.across)
        y = height - frame.top - (row + 1) * tall - row * frame.down
        axes.append(fig.add_axes((x / paper, y / height, width / paper, tall / height)))
    return fig, axes


def outer(axes: Sequence[Axes], columns: int) -> None:
    """Tick labels only at the left and bottom edge of a block of panels that share both axes."""
    for index, ax in enumerate(axes):
        if index % columns:
            ax.tick_params(labelleft=False)
        if index + columns < len(axes):
            ax.tick_params(labelbottom=False)


def columns_of(axes: Sequence[Axes]) -> int:
    """How many of the panels stand in the first row."""
    top = axes[0].get_position().y0
    return sum(abs(ax.get_position().y0 - top) < 1e-6 for ax in axes)


def fit_words(text: str, width: float, size: float = 8.5, weight: str = "normal") -> str:
    """The text; if it is wider than that many inches, with an ellipsis (what follows the last comma is kept)."""
    shown = clean = words(text)
    head, comma, tail = clean.rpartition(", ")
    if not comma or len(tail) > len(head):
        head, tail = clean, ""
    keep = len(head)
    while keep > 2 and text_width(shown, size, weight) > width:
        keep -= 1
        shown = head[:keep].rstrip() + "…" + (comma + tail if tail else "")
    return shown


def wrap(text: str, width: float, size: float) -> list[str]:
    """The text in as many lines as it needs, broken at spaces; a single word may be too wide and is cut."""
    rows: list[str] = []
    for word in words(text).split():
        longer = f"{rows[-1]} {word}" if rows else word
        if rows and text_width(longer, size) <= width:
            rows[-1] = longer
        else:
            rows.append(word)
    return [fit_words(row, width, size) for row in rows]


def title(ax: Axes, text: str, note: str = "", stacked: bool = False) -> None:
    """A panel's name at its upper left, bold, and a short note at its right or, if stacked, below the name."""
    fig: Any = ax.figure
    room = ax.get_position().width * fig.get_figwidth()
    size = next((s for s in (8.0, 7.4, 6.8) if text_width(text, s, "bold") <= room), 6.8)
    name = fit_words(text, room, size, "bold")
    lift = 12 if stacked else 3
    ax.annotate(
        name, (0, 1), (0, lift), "axes fraction", "offset points", fontsize=size, fontweight="bold", va="bottom"
    )
    if note:
        at, side = (0, "left") if stacked else (1, "right")
        ax.annotate(words(note), (at, 1), (0, 3), "axes fraction", "offset points", fontsize=7.2, color=SOFT,
                    va="bottom", ha=side)  # fmt: skip


def fits(texts: Sequence[tuple[str, str]], room: float) -> bool:
    """Whether each name and its note stand side by side in that many inches."""
    return all(text_width(text, 8.0, "bold") + text_width(note, 7.2) + 0.1 <= room for text, note in texts)


def legend(fig: Figure, entries: Sequence[tuple[str, tuple[str, Any]]], columns: int | None = None) -> None:
    """Line samples with names at the upper left of the picture, in one row or in so many columns."""
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], color=colour, linestyle=dash, label=name) for name, (colour, dash) in entries]
    key(fig, handles, columns)


def key(fig: Figure, handles: Sequence[Any], columns: int | None = None) -> None:
    """A frameless legend at the upper left of the picture."""
    fig.legend(
        handles=list(handles),
        loc="upper left",
        bbox_to_anchor=(0.0, 1.0),
        ncol=columns or len(handles),
        frameon=False,
        handlelength=2.2,
        columnspacing=1.6,
        handletextpad=0.6,
        borderaxespad=0.1,
        borderpad=0.2,
        fontsize=7.5,
    )
