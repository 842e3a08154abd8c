"""Scatter plots: one labelled point per cell, intervals over seeds as thin crosses, a fitted line with its band."""

from __future__ import annotations

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from crucis.report.content import Dot, Scatter, ScatterPanel
from crucis.report.draw import labels, style
from crucis.report.draw.style import COLOURS, INK, MARKERS, SOFT, Frame, Layout

_SIZE = 7.0


def _crosses(ax: Axes, point: Dot, colour: str) -> None:
    if point.x_low is not None and point.x_high is not None:
        ax.plot([point.x_low, point.x_high], [point.y, point.y], color=colour, linewidth=0.7, alpha=0.55, zorder=2)
    if point.y_low is not None and point.y_high is not None:
        ax.plot([point.x, point.x], [point.y_low, point.y_high], color=colour, linewidth=0.7, alpha=0.55, zorder=2)


def _ends(panel: ScatterPanel, which: str) -> tuple[float, float]:
    wanted = [getattr(point, name) for point in panel.points for name in (which, f"{which}_low", f"{which}_high")]
    return style.ends([value for value in wanted if value is not None])


def _lines(panel: ScatterPanel, to_points: Any) -> list[labels.Box]:
    """Small boxes along the fit and the intervals, which names would rather not cover."""
    spots = [] if panel.fit is None else [to_points(pair) for pair in zip(panel.fit.x, panel.fit.y, strict=True)]
    for point in panel.points:
        for low, high, across in ((point.x_low, point.x_high, True), (point.y_low, point.y_high, False)):
            if low is not None and high is not None:
                ends = [(end, point.y) if across else (point.x, end) for end in (low, high)]
                (u, v), (s, t) = (to_points(end) for end in ends)
                spots += [(u + (s - u) * k / 12, v + (t - v) * k / 12) for k in range(13)]
    return [(x - 1.0, y - 1.0, x + 1.0, y + 1.0) for x, y in spots]


def _name_points(ax: Axes, panel: ScatterPanel) -> list[str]:
    """Labels with leaders where they stand away; returns the names for which there was no room."""
    to_points = ax.transData.transform
    spots = [tuple(map(float, to_points((point.x, point.y)))) for point in panel.points]
    sizes = [(style.text_width(point.label, _SIZE) * 72 + 2, _SIZE * 1.25) for point in panel.points]
    box = ax.get_window_extent()
    frame = (box.x0 + 1, box.y0 + 1, box.x1 - 1, box.y1 - 1)
    boxes = labels.place(spots, sizes, frame, _lines(panel, to_points))  # type: ignore[arg-type]
    for point, spot, place in zip(panel.points, spots, boxes, strict=True):
        if place is None:
            continue
        near = labels.nearest_edge(place, *spot)
        if abs(near[0] - spot[0]) + abs(near[1] - spot[1]) > 9.5:
            back = ax.transData.inverted().transform
            (u, v), (s, t) = back(near), back(spot)
            ax.plot([s, u], [t, v], color="#9a9a9a", linewidth=0.5, zorder=2.5)
        ax.annotate(
            style.words(point.label),
            ((place[0] + place[2]) / 2, (place[1] + place[3]) / 2),
            xycoords="figure points",
            fontsize=_SIZE,
            ha="center",
            va="center",
            color=INK,
            zorder=5,
            annotation_clip=False,
        )
    return [point.label for point, place in zip(panel.points, boxes, strict=True) if place is None]


def _unnamed(count: int) -> str:
    return f"; no room for {count} {'name' if count == 1 else 'names'}"


def _heading(ax: Axes, label: str, says: str) -> None:
    """The panel's name, and below it what was found, in as many lines as it needs."""
    fig: Any = ax.figure
    wide = ax.get_position().width * fig.get_figwidth()
    rows = style.wrap(says, wide, 7.2)
    texts = [(row, 7.2, "normal", SOFT) for row in reversed(rows)]
    texts.append((style.fit_words(label, wide, 8.0, "bold"), 8.0, "bold", INK))
    for level, (text, size, weight, colour) in enumerate(texts):
        ax.annotate(text, (0, 1), (0, 3 + 10 * level), "axes fraction", "offset points", fontsize=size,
                    fontweight=weight, color=colour, va="bottom")  # fmt: skip


def _one(ax: Axes, panel: ScatterPanel, looks: dict[str, tuple[str, str]]) -> None:
    if panel.fit is not None:
        fit = panel.fit
        if len(fit.low) == len(fit.x) and len(fit.high) == len(fit.x):
            ax.fill_between(fit.x, fit.low, fit.high, color="#8a8a8a", alpha=0.16, linewidth=0, zorder=0)
        ax.plot(fit.x, fit.y, color="#6a6a6a", linewidth=1.0, zorder=1)
    for point in panel.points:
        colour, marker = looks[point.group]
        _crosses(ax, point, colour)
        ax.plot([point.x], [point.y], marker=marker, markersize=5, color=colour, markeredgecolor="white", mew=0.5,
                linestyle="none", zorder=3)  # fmt: skip
    style.scale_axis(ax, "x", panel.x, *_ends(panel, "x"), wanted=4)
    style.scale_axis(ax, "y", panel.y, *_ends(panel, "y"), wanted=4)
    ax.set_xlabel(style.caption_of(panel.x))
    ax.set_ylabel(style.caption_of(panel.y))


def scatter(data: Scatter, layout: Layout) -> Figure:
    """Panels side by side; groups by colour and marker, explained above if there are several."""
    groups = list(dict.fromkeys(point.group for panel in data.panels for point in panel.points))
    looks = {group: (COLOURS[i % len(COLOURS)], MARKERS[i % len(MARKERS)]) for i, group in enumerate(groups)}
    rows_of_key = 0 if len(groups) < 2 else 1 if layout is style.WIDE else -(-len(groups) // 3)
    room = max(style.label_room(panel.y, *_ends(panel, "y"), 4) for panel in data.panels) + 0.32
    most = min(len(data.panels), 2) if layout is style.WIDE else 1
    wide = (layout.width - room * most - 0.1) / most
    rows = max(len(style.wrap(panel.says + _unnamed(0), wide, 7.2)) for panel in data.panels)
    above = 0.26 + 0.14 * rows
    frame = Frame(left=room, top=above + 0.17 * rows_of_key, bottom=0.45, across=room + 0.05, down=above + 0.45)
    ratio = 0.55 if most == 1 and layout is style.WIDE else 0.78
    fig, axes = style.panels(layout, len(data.panels), ratio, frame, most)
    for ax, panel in zip(axes, data.panels, strict=True):
        _one(ax, panel, looks)
        unnamed = _name_points(ax, panel)
        _heading(ax, panel.label, panel.says + (_unnamed(len(unnamed)) if unnamed else ""))
    if rows_of_key:
        from matplotlib.lines import Line2D

        handles = [
            Line2D([], [], color=looks[g][0], marker=looks[g][1], linestyle="none", markersize=5, label=style.words(g))
            for g in groups
        ]
        style.key(fig, handles, None if layout is style.WIDE else 3)
    return fig
