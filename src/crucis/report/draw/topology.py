"""Persistence diagrams and barcodes: when a feature of the landscape appears and when it is gone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from crucis.report.content import Axis, Barcode, Bars, Diagram
from crucis.report.draw import style
from crucis.report.draw.style import COLOURS, SOFT, Frame, Layout

H0, H1, NOISE = COLOURS[0], COLOURS[1], "#e4e4e4"


def _ends(panel: Bars, level: Axis) -> tuple[float, float]:
    finite = [value for bar in (*panel.h0, *panel.h1) for value in bar if math.isfinite(value)]
    low, high = style.ends(finite)
    low, high = (low if level.low is None else level.low), (high if level.high is None else level.high)
    if high <= low:
        high = low + max(abs(low), 1.0) * 0.1
    return low, high


def _split(bars: Sequence[tuple[float, float]], top: float) -> tuple[list[float], list[float]]:
    return [birth for birth, _ in bars], [top if math.isinf(death) else death for _, death in bars]


def _counts(panel: Bars) -> str:
    return f"{len(panel.h0)} H0, {len(panel.h1)} H1"


def _one_diagram(ax: Axes, panel: Bars, level: Axis) -> None:
    low, high = _ends(panel, level)
    room = 0.06 * (high - low)
    top = high + 2.4 * room
    ax.plot([low - room, high + room], [low - room, high + room], color="#8a8a8a", linewidth=0.7, zorder=1)
    if panel.floor:
        edge = [low - room, high + room]
        ax.fill_between(edge, edge, [value + panel.floor for value in edge], color=NOISE, linewidth=0, zorder=0)
    if any(math.isinf(death) for _, death in (*panel.h0, *panel.h1)):
        ax.axhline(top, color="#8a8a8a", linewidth=0.6, linestyle=(0, (2, 2)), zorder=1)
        ax.annotate("∞", (1.0, top), xycoords=("axes fraction", "data"), xytext=(2, 0), textcoords="offset points",
                    fontsize=8, va="center", color=SOFT, annotation_clip=False)  # fmt: skip
    x, y = _split(panel.h0, top)
    ax.plot(x, y, "o", markersize=4, color=H0, alpha=0.75, markeredgewidth=0, zorder=3, clip_on=False)
    x, y = _split(panel.h1, top)
    ax.plot(x, y, "^", markersize=4.2, markerfacecolor="none", color=H1, markeredgewidth=1.0, zorder=4, clip_on=False)
    ax.set_xlim(low - room, high + room)
    ax.set_ylim(low - room, top + 0.6 * room)
    places = style.marks(low - room, high + room, 3, False)
    ax.set_yticks(places, labels=[style.tick(place) for place in places])
    places = style.apart(ax, low - room, high + room, 3)  # births far from zero have long labels
    ax.set_xticks(places, labels=[style.tick(place) for place in places])


def _legend(fig: Figure, panels: Sequence[Bars], layout: Layout, diagram: bool) -> None:
    every = [bar for panel in panels for bar in (*panel.h0, *panel.h1)]
    if diagram:
        handles: list[Any] = [
            Line2D([], [], marker="o", linestyle="none", color=H0, markersize=4, label="H0, separate basins"),
            Line2D([], [], marker="^", linestyle="none", color=H1, markerfacecolor="none", label="H1, enclosed ridges",
                   markersize=4.2),
        ]  # fmt: skip
    else:
        handles = [
            Line2D([], [], color=H0, linewidth=2.2, label="H0, separate basins"),
            Line2D([], [], color=H1, linewidth=2.2, label="H1, enclosed ridges"),
        ]
    if any(panel.floor for panel in panels):
        handles.append(Patch(facecolor=NOISE, label="shorter than the noise floor"))
    if any(math.isinf(death) for _, death in every):
        handles.append(Line2D([], [], color="#8a8a8a", linewidth=0.6, linestyle=(0, (2, 2)), label="∞, never ends"))
    style.key(fig, handles, len(handles) if layout is style.WIDE else 2)


def diagram(data: Diagram, layout: Layout) -> Figure:
    """Death against birth, each panel in its own range (the loss scales of networks differ)."""
    top = 0.5 if layout is style.WIDE else 0.66
    room = max(style.label_room(Axis(""), *_ends(panel, data.level), 3) for panel in data.panels)
    frame = Frame(left=room + 0.32, right=0.16, top=top, bottom=0.45, across=room + 0.27, down=0.45)
    fig, axes = style.panels(layout, len(data.panels), 1.0, frame, widest=2.6)
    for ax, panel in zip(axes, data.panels, strict=True):
        _one_diagram(ax, panel, data.level)
        style.title(ax, panel.label)
        ax.text(0.98, 0.05, _counts(panel), transform=ax.transAxes, fontsize=7.2, color=SOFT, ha="right")
    level = style.caption_of(data.level)
    style.name_axes(fig, f"birth: {level} at which it appears", f"death: {level} at which it is gone")
    _legend(fig, data.panels, layout, True)
    return fig


def _one_barcode(ax: Axes, panel: Bars, level: Axis, most: int) -> int:
    low, high = _ends(panel, level)
    end = high + 0.08 * (high - low)
    height, hidden = 0, 0
    for bars, colour in ((panel.h0, H0), (panel.h1, H1)):
        longest = sorted(bars, key=lambda bar: (bar[0] - bar[1], bar[0]))
        hidden += max(0, len(longest) - most)
        for birth, death in longest[:most]:
            faint = panel.floor is not None and death - birth < panel.floor
            reach = end if math.isinf(death) else death
            ax.plot([birth, reach], [-height, -height], color=colour, linewidth=2.0, alpha=0.35 if faint else 1.0,
                    solid_capstyle="butt")  # fmt: skip
            if math.isinf(death):
                ax.plot([end], [-height], marker=">", markersize=3.5, color=colour, clip_on=False)
            height += 1
        height += 1
    ax.set_ylim(-height, 1)
    ax.set_yticks([])
    ax.spines["left"].set_visible(False)
    style.scale_axis(ax, "x", Axis("", low=low, high=end), low, end, 3)
    return hidden


def barcode(data: Barcode, layout: Layout) -> Figure:
    """One bar per feature, H0 above H1, longest first; at most 30 of each kind are drawn, the rest is counted."""
    top = 0.5 if layout is style.WIDE else 0.66
    frame = Frame(left=0.12, right=0.12, top=top + 0.13, bottom=0.45, across=0.25, down=0.55)
    fig, axes = style.panels(layout, len(data.panels), 0.8, frame)
    for ax, panel in zip(axes, data.panels, strict=True):
        hidden = _one_barcode(ax, panel, data.level, 30)
        style.title(ax, panel.label, _counts(panel) + (f", {hidden} not drawn" if hidden else ""), stacked=True)
    style.name_axes(fig, style.caption_of(data.level))
    handles = [Line2D([], [], color=colour, linewidth=2.2, label=name)
               for colour, name in ((H0, "H0, separate basins"), (H1, "H1, enclosed ridges"))]  # fmt: skip
    style.key(fig, handles)
    return fig
