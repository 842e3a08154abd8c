"""Distributions of what chance gives, with the observed value marked."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from crucis.report.content import Histogram
from crucis.report.draw import style
from crucis.report.draw.style import COLOURS, INK, SOFT, Frame, Layout

_BINS = 40


def histogram(data: Histogram, layout: Layout) -> Figure:
    """Panels side by side on one horizontal axis, which leaves out the lowest percent where it would stretch it."""
    ends = [(float(np.quantile(panel.values, 0.01)), float(np.max(panel.values)), panel.mark) for panel in data.panels]
    low, high = min(min(one) for one in ends), max(max(one) for one in ends)
    pad = 0.04 * (high - low or 1.0)
    bins = np.linspace(low - pad, high + pad, _BINS + 1)
    most = min(len(data.panels), 3) if layout is style.WIDE else 1
    wide = (layout.width - 0.2 - 0.3 * (most - 1)) / most
    rows = max(len(style.wrap(panel.says, wide, 7.2)) for panel in data.panels)
    above = 0.26 + 0.14 * rows
    frame = Frame(left=0.12, top=above, bottom=0.45, across=0.3, down=above + 0.45)
    fig, axes = style.panels(layout, len(data.panels), 0.5, frame, most)
    for ax, panel in zip(axes, data.panels, strict=True):
        counts, _ = np.histogram(np.clip(panel.values, bins[0], bins[-1]), bins)
        ax.stairs(counts, bins, fill=True, color="#b9c4cc", linewidth=0)
        ax.axvline(panel.mark, color=COLOURS[1], linewidth=1.4)
        ax.set_yticks([])
        ax.spines["left"].set_visible(False)
        style.scale_axis(ax, "x", data.x, float(bins[0]), float(bins[-1]), wanted=4)
        ax.set_xlabel(style.caption_of(data.x))
        lines = [(row, 7.2, "normal", SOFT) for row in reversed(style.wrap(panel.says, wide, 7.2))]
        lines.append((style.fit_words(panel.label, wide, 8.0, "bold"), 8.0, "bold", INK))
        for level, (text, size, weight, colour) in enumerate(lines):
            ax.annotate(text, (0, 1), (0, 3 + 10 * level), "axes fraction", "offset points", fontsize=size,
                        fontweight=weight, color=colour, va="bottom")  # fmt: skip
    return fig
