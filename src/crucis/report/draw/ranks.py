"""Critical-difference diagrams: mean ranks on a line, and bars over the levels that cannot be told apart."""

from __future__ import annotations

import math

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from crucis.report import numbers
from crucis.report.content import RankPanel, Ranks
from crucis.report.draw import style
from crucis.report.draw.style import COLOURS, INK, SOFT, Layout

_HEAD, _AXIS, _BAR, _ROW, _FOOT = 0.36, 0.26, 0.085, 0.19, 0.16


def _height(panel: RankPanel) -> float:
    title = 0.2 if panel.label else 0.0
    return title + _HEAD + _AXIS + 0.08 + _BAR * len(panel.bars) + _ROW * math.ceil(len(panel.levels) / 2) + _FOOT


def _room(data: Ranks, layout: Layout) -> float:
    """Width kept for the names on each side, in inches."""
    texts = [_text(label, rank) for panel in data.panels for label, rank in panel.levels]
    return min(max(map(style.text_width, texts)), 0.3 * layout.width) + 0.14


def _text(label: str, rank: float) -> str:
    return f"{label}, {numbers.number(round(rank, 2))}"


def ranks(data: Ranks, layout: Layout) -> Figure:
    """One panel below the other: a scale of ranks, the critical difference above it, names on the nearer side."""
    room, foot = _room(data, layout), 0.3
    heights = [_height(panel) for panel in data.panels]
    total = sum(heights) + foot
    fig = style.figure(layout.width, total)
    wide = layout.width - 2 * room
    top = total
    for panel, tall in zip(data.panels, heights, strict=True):
        ax = fig.add_axes((room / layout.width, (top - tall) / total, wide / layout.width, tall / total))
        _panel(ax, panel, tall, room, wide)
        top -= tall
    style.name_axes(fig, style.caption_of(data.x))
    return fig


def _panel(ax: Axes, panel: RankPanel, tall: float, room: float, wide: float) -> None:
    k = max(len(panel.levels), 2)
    ax.set_xlim(1, k)
    ax.set_ylim(tall, 0)  # inches from the top
    ax.axis("off")
    at = 0.0
    if panel.label:
        size = 8.0
        ax.text(-room / wide + 0.01, 0.12, style.fit_words(panel.label, wide + room, size, "bold"), fontsize=size,
                fontweight="bold", va="center", transform=ax.get_yaxis_transform())  # fmt: skip
        at += 0.2
    _critical(ax, panel, at + 0.2, k, wide)
    line = at + _HEAD + _AXIS
    ax.plot([1, k], [line, line], color=INK, linewidth=0.8, clip_on=False)
    for mark in style.marks(1, k, 8 if wide > 4 else 5, False):
        if mark == int(mark):
            ax.plot([mark, mark], [line - 0.05, line], color=INK, linewidth=0.8, clip_on=False)
            ax.text(mark, line - 0.12, style.tick(mark), fontsize=7.5, ha="center", va="center")
    for index, (low, high) in enumerate(panel.bars):
        y = line + 0.08 + _BAR * index
        reach = 0.03 * (k - 1) * 2 / max(wide, 1.0)
        ax.plot([low - reach, high + reach], [y, y], color=COLOURS[1], linewidth=3.0, solid_capstyle="butt",
                clip_on=False)  # fmt: skip
    _names(ax, panel, line, room, wide)


def _critical(ax: Axes, panel: RankPanel, y: float, k: int, wide: float) -> None:
    says = f"critical difference {numbers.number(round(panel.critical, 2))}, n = {numbers.number(panel.n)}"
    span = min(panel.critical, k - 1.0)
    text = style.text_width(says, 7.2)
    if span / (k - 1) * wide + text + 0.1 > wide:  # no room at its side: the text alone
        ax.text(1, y, says, fontsize=7.2, color=SOFT, va="center")
        if panel.critical > k - 1:
            return
        y += 0.12
        ax.plot([1, 1 + span], [y, y], color=SOFT, linewidth=1.2, clip_on=False)
        return
    ax.plot([1, 1 + span], [y, y], color=SOFT, linewidth=1.2, clip_on=False)
    for end in (1, 1 + span):
        ax.plot([end, end], [y - 0.04, y + 0.04], color=SOFT, linewidth=1.2, clip_on=False)
    ax.text(1 + span + 0.08 / wide * (k - 1), y, says, fontsize=7.2, color=SOFT, va="center")


def _names(ax: Axes, panel: RankPanel, line: float, room: float, wide: float) -> None:
    """The lower half of the ranks at the left, from the top; the other half mirrored at the right."""
    half = math.ceil(len(panel.levels) / 2)
    first = line + 0.08 + _BAR * len(panel.bars) + 0.1
    for index, (label, rank) in enumerate(panel.levels):
        left = index < half
        row = index if left else len(panel.levels) - 1 - index
        y, edge = first + _ROW * row, 0.0 if left else 1.0
        colour = COLOURS[0]
        k = ax.get_xlim()[1]
        ax.plot([rank, rank, 1 + edge * (k - 1)], [line, y, y], color=colour, linewidth=0.8, clip_on=False)
        ax.plot([rank], [line], "o", color=colour, markersize=3.6, clip_on=False, zorder=4)
        name = style.fit_words(_text(label, rank), room - 0.1, 7.5)
        ax.text(edge + (0.05 if edge else -0.05) / wide, y, name, fontsize=7.5, va="center",
                ha="left" if edge else "right", transform=ax.get_yaxis_transform())  # fmt: skip
