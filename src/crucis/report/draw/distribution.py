"""Distributions of what chance gives, with the observed value marked."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from crucis.report.content import Histogram
from crucis.report.draw import style
from crucis.report.draw.style import COLOURS, INK, SOFT, Frame, Layout

_BINS = 40
_TIMES = 5.0


def reach(values: np.ndarray, mark: float) -> tuple[float, float]:
    """The ends of an axis on which a distribution can be read, whatever its tails: they hold the mark.

    At most five times the shorter side of the distribution (from its median) to either side; what lies beyond is
    counted in words and drawn in the outermost bar.
    """
    low, middle, high = float(np.min(values)), float(np.median(values)), float(np.max(values))
    side = _TIMES * (min(middle - low, high - middle) or max(middle - low, high - middle))
    return min(max(low, middle - side), mark), max(min(high, middle + side), mark)


def _beyond(values: np.ndarray, ends: tuple[float, float]) -> str:
    """How many values the axis leaves out, in words, and how far the farthest is."""
    out = ""
    for count, side, far in (
        (int((values < ends[0]).sum()), "left", float(values.min())),
        (int((values > ends[1]).sum()), "right", float(values.max())),
    ):
        if count:
            out += f"; {count} lie {side} of the axis, the farthest at {far:.3g}"
    return out


def histogram(data: Histogram, layout: Layout) -> Figure:
    """Panels side by side, each on an axis of its own that long tails do not stretch."""
    shown = [np.asarray(panel.values, float) for panel in data.panels]
    spans = [reach(values, panel.mark) for values, panel in zip(shown, data.panels, strict=True)]
    texts = [panel.says + _beyond(values, ends) for panel, values, ends in zip(data.panels, shown, spans, strict=True)]
    most = min(len(data.panels), 3) if layout is style.WIDE else 1
    wide = (layout.width - 0.2 - 0.3 * (most - 1)) / most
    rows = max(len(style.wrap(says, wide, 7.2)) for says in texts)
    above = 0.26 + 0.14 * rows
    frame = Frame(left=0.12, top=above, bottom=0.45, across=0.3, down=above + 0.45)
    fig, axes = style.panels(layout, len(data.panels), 0.5, frame, most)
    for ax, panel, values, (low, high), says in zip(axes, data.panels, shown, spans, texts, strict=True):
        pad = 0.04 * (high - low or 1.0)
        bins = np.linspace(low - pad, high + pad, _BINS + 1)
        counts, _ = np.histogram(np.clip(values, bins[0], bins[-1]), bins)
        ax.stairs(counts, bins, fill=True, color="#b9c4cc", linewidth=0)
        ax.axvline(panel.mark, color=COLOURS[1], linewidth=1.4)
        ax.set_yticks([])
        ax.spines["left"].set_visible(False)
        style.scale_axis(ax, "x", data.x, float(bins[0]), float(bins[-1]), wanted=4)
        ax.set_xlabel(style.caption_of(data.x))
        lines = [(row, 7.2, "normal", SOFT) for row in reversed(style.wrap(says, wide, 7.2))]
        lines.append((style.fit_words(panel.label, wide, 8.0, "bold"), 8.0, "bold", INK))
        for level, (text, size, weight, colour) in enumerate(lines):
            ax.annotate(text, (0, 1), (0, 3 + 10 * level), "axes fraction", "offset points", fontsize=size,
                        fontweight=weight, color=colour, va="bottom")  # fmt: skip
    return fig
