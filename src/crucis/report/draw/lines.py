"""Learning curves and retention curves: lines with bands over seeds, named where they end."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from crucis.report.content import Axis, Curves, Line, Retention
from crucis.report.draw import style
from crucis.report.draw.style import COLOURS, DASHES, FAINT, Frame, Layout

#: Where the first step after zero stands on the stretched step axis, in decades.
_FIRST = 0.45


def _draw(ax: Axes, line: Line, x: Sequence[float], colour: str, dash: object, band: bool = True) -> None:
    if band and len(line.low) == len(x) and len(line.high) == len(x):
        low, high = np.asarray(line.low, float), np.asarray(line.high, float)
        ax.fill_between(x, low, high, color=colour, alpha=0.18, linewidth=0)
    ax.plot(x, line.y, color=colour, linestyle=dash, solid_joinstyle="round")
    if len(x) <= 15:
        ax.plot(x, line.y, linestyle="none", marker="o", markersize=2.6, color=colour)


def spread(wanted: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Heights as close as possible to the wanted ones, in their order, at least `gap` apart, within the ends.

    With the gaps taken off, this is isotonic regression; pooling adjacent violators solves it.
    """
    count = len(wanted)
    gap = min(gap, (high - low) / max(count - 1, 1))
    order = sorted(range(count), key=lambda index: (wanted[index], index))
    blocks: list[tuple[float, int]] = []  # sum of targets, how many
    for position, index in enumerate(order):
        total, size = wanted[index] - position * gap, 1
        while blocks and blocks[-1][0] / blocks[-1][1] >= total / size:
            total, size = total + blocks[-1][0], size + blocks[-1][1]
            blocks.pop()
        blocks.append((total, size))
    level = [min(max(total / size, low), high - (count - 1) * gap) for total, size in blocks for _ in range(size)]
    out = [0.0] * count
    for position, index in enumerate(order):
        out[index] = level[position] + position * gap
    return out


def _name_ends(ax: Axes, shown: Sequence[tuple[Line, float, str]]) -> None:
    """The lines' names right of their ends, moved apart, each in its line's colour."""
    low, high = ax.get_ylim()
    log = ax.get_yscale() == "log"
    place = (lambda value: math.log10(max(value, low))) if log else float
    fig = ax.figure
    tall = ax.get_position().height * fig.get_size_inches()[1] * 72  # type: ignore[union-attr]
    gap = (place(high) - place(low)) * 10.0 / tall
    heights = spread([place(line.y[-1]) for line, _, _ in shown], gap, place(low), place(high))
    for (line, x, colour), height in zip(shown, heights, strict=True):
        target = 10.0**height if log else height
        ax.annotate(
            style.words(line.label),
            xy=(x, line.y[-1]),
            xycoords="data",
            xytext=(1.035, (place(target) - place(low)) / (place(high) - place(low))),
            textcoords="axes fraction",
            fontsize=7.5,
            color=colour,
            va="center",
            arrowprops={"arrowstyle": "-", "color": colour, "linewidth": 0.5, "shrinkA": 1, "shrinkB": 2},
            annotation_clip=False,
        )


def _stretch(x: Sequence[float], first: float) -> list[float]:
    """Zero at 0, the first step at `_FIRST`, then one unit per decade."""
    return [0.0 if value <= 0 else _FIRST + math.log10(value / first) for value in x]


def _step_axis(ax: Axes, marks: Sequence[float], first: float) -> None:
    """Ticks at the recorded steps, thinned where their labels would touch."""
    places = _stretch(marks, first)
    ends = places[-1] if places[-1] > 0 else 1.0
    ax.set_xlim(-0.03 * ends, ends * 1.03)
    fig = ax.figure
    inches = ax.get_position().width * fig.get_size_inches()[0] / (1.06 * ends)  # type: ignore[union-attr]
    halves = [style.text_width(style.tick(mark)) / 2 + 0.03 for mark in marks]
    shown: list[int] = []
    for index in (0, len(marks) - 1, *range(1, len(marks) - 1)):
        if all(abs(places[index] - places[i]) * inches > halves[index] + halves[i] for i in shown):
            shown.append(index)
    shown.sort()
    ax.set_xticks([places[i] for i in shown], labels=[style.tick(marks[i]) for i in shown])


def _arms(data: Retention) -> list[Line]:
    return [*data.lines, *(line for panel in data.panels for line in panel.lines)]


def _retention_axes(ax: Axes, data: Retention, steps: Sequence[float], first: float) -> None:
    low, high = style.ends(*(values for line in _arms(data) for values in (line.y, line.high)))
    top = max(1.0, high)
    style.scale_axis(ax, "y", Axis("", low=min(0.0, low), high=top * 1.02), 0, top, 4)
    _step_axis(ax, steps, first)
    ax.axhline(1.0, color=style.RULE, linewidth=0.7, zorder=0)


def retention(data: Retention, layout: Layout) -> Figure:
    """Up to four arms in one picture; more as small multiples, each before the others in grey, or as `panels` say."""
    steps = sorted({float(value) for line in _arms(data) for value in line.x})
    first = next((value for value in steps if value > 0), 1.0)
    if data.panels:
        return _retention_panels(data, layout, steps, first)
    if len(data.lines) <= 4:
        return _retention_together(data, layout, steps, first)
    edge = style.text_width(style.tick(steps[-1])) / 2 + 0.04
    across = max(0.16, edge)
    room = (layout.width - 0.55 - edge - (layout.panels - 1) * across) / layout.panels
    notes = data.summary or ("",) * len(data.lines)
    stacked = not style.fits([(line.label, note) for line, note in zip(data.lines, notes, strict=True)], room)
    stacked = stacked and any(notes)
    extra = 0.13 if stacked else 0.0
    frame = Frame(left=0.55, right=edge, bottom=0.42, top=0.22 + extra, across=across, down=0.32 + extra)
    fig, axes = style.panels(layout, len(data.lines), 0.72, frame)
    for index, (ax, line) in enumerate(zip(axes, data.lines, strict=True)):
        for other in data.lines:
            if other is not line:
                ax.plot(_stretch(other.x, first), other.y, color=FAINT, linewidth=0.6, zorder=1)
        colour = COLOURS[0]
        _draw(ax, line, _stretch(line.x, first), colour, "-")
        _retention_axes(ax, data, steps, first)
        style.title(ax, line.label, notes[index], stacked)
    style.outer(axes, style.columns_of(axes))
    style.name_axes(fig, style.caption_of(data.x), style.caption_of(data.y))
    return fig


def _retention_panels(data: Retention, layout: Layout, steps: Sequence[float], first: float) -> Figure:
    names = list(dict.fromkeys(line.label for line in _arms(data)))
    looks = {name: (COLOURS[i % len(COLOURS)], DASHES[i % len(DASHES)]) for i, name in enumerate(names)}
    edge = style.text_width(style.tick(steps[-1])) / 2 + 0.04
    columns = max(1, min(len(names), int(layout.width / (max(map(style.text_width, names)) + 0.7))))
    across, most = max(0.16, edge), min(layout.panels, len(data.panels))
    room = (layout.width - 0.55 - edge - (most - 1) * across) / most
    notes = data.summary if all(style.text_width(note, 7.2) <= room for note in data.summary) else ()
    extra = 0.13 if any(notes) else 0.0
    above = 0.28 + 0.17 * math.ceil(len(names) / columns) + extra
    frame = Frame(left=0.55, right=edge, bottom=0.42, top=above, across=across, down=0.32 + extra)
    fig, axes = style.panels(layout, len(data.panels), 0.72, frame)
    for ax, panel, note in zip(axes, data.panels, notes or ("",) * len(data.panels), strict=True):
        for line in panel.lines:
            _draw(ax, line, _stretch(line.x, first), *looks[line.label])
        _retention_axes(ax, data, steps, first)
        style.title(ax, panel.label, note, bool(note))
    style.outer(axes, style.columns_of(axes))
    style.name_axes(fig, style.caption_of(data.x), style.caption_of(data.y))
    style.legend(fig, [(style.words(name), looks[name]) for name in names], columns)
    return fig


def _retention_together(data: Retention, layout: Layout, steps: Sequence[float], first: float) -> Figure:
    names = max(style.text_width(line.label) for line in data.lines)
    frame = Frame(left=0.55, right=names + 0.3, bottom=0.45, top=0.12)
    fig, (ax,) = style.panels(layout, 1, 0.48 if layout is style.WIDE else 0.8, frame)
    shown = []
    for index, line in enumerate(data.lines):
        x = _stretch(line.x, first)
        _draw(ax, line, x, COLOURS[index % len(COLOURS)], DASHES[index % len(DASHES)])
        shown.append((line, x[-1], COLOURS[index % len(COLOURS)]))
    _retention_axes(ax, data, steps, first)
    _name_ends(ax, shown)
    ax.set_xlabel(style.caption_of(data.x))
    ax.set_ylabel(style.caption_of(data.y))
    return fig


def curves(data: Curves, layout: Layout) -> Figure:
    """Learning curves; one panel alone gets its lines named at their ends, many panels a legend above."""
    names = list(dict.fromkeys(line.label for panel in data.panels for line in panel.lines))
    alone = len(data.panels) == 1
    ends = alone and not data.key
    room = max((style.text_width(name) for name in names), default=0.0) + 0.3
    every = [line for panel in data.panels for line in panel.lines]
    x_ends = style.ends(*(line.x for line in every))
    y_ends = style.ends(*(values for line in every for values in (line.y, line.low, line.high)))
    left = style.label_room(data.y, *y_ends, 4) + 0.32
    columns = (
        max(1, min(len(names), int(layout.width / (min(room, layout.width - 0.5) + 0.4)))) if data.key else len(names)
    )
    rows = math.ceil(len(names) / columns)
    frame = (
        Frame(left=left, right=room, bottom=0.45, top=0.12)
        if ends
        else Frame(left=left, top=0.28 + 0.17 * rows, across=0.16, down=0.32)
    )
    ratio = (0.45 if layout is style.WIDE else 0.8) if alone else 0.72
    fig, axes = style.panels(layout, len(data.panels), ratio, frame)
    looks = {name: (COLOURS[i % len(COLOURS)], DASHES[i % len(DASHES)]) for i, name in enumerate(names)}
    for ax, panel in zip(axes, data.panels, strict=True):
        for line in panel.lines:
            _draw(ax, line, line.x, *looks[line.label])
        style.scale_axis(ax, "x", data.x, *x_ends, wanted=5 if alone else 3)
        style.scale_axis(ax, "y", data.y, *y_ends, wanted=4)
        if ends:
            _name_ends(ax, [(line, float(line.x[-1]), looks[line.label][0]) for line in panel.lines if len(line.y)])
        elif not alone:
            style.title(ax, panel.label)
    style.name_axes(fig, style.caption_of(data.x), style.caption_of(data.y))
    if ends:
        return fig
    style.outer(axes, style.columns_of(axes))
    wide = layout.width / columns - 0.6
    shown = [(style.fit_words(name, wide, 7.5) if data.key else style.words(name), looks[name]) for name in names]
    style.legend(fig, shown, columns)
    return fig
