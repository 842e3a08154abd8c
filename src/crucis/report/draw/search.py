"""Pictures of a search: its history, slices through the space, lines through all parameters, a plane of two."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from crucis.report.content import Axis, History, Parallel, Plane, Slices, Trials, Varied
from crucis.report.draw import style
from crucis.report.draw.style import COLOURS, FAINT, INK, Frame, Layout

MAP = "viridis"
_WINNER = COLOURS[1]


def _axis(trials: Trials) -> Axis:
    return Axis(trials.name, trials.unit)


def _points(ax: Axes, x: Any, trials: Trials) -> None:
    """Full trainings as dots, short ones as rings, the winner in its own colour."""
    y, full = np.asarray(trials.objective, float), np.asarray(trials.full, bool)
    ax.plot(x[~full], y[~full], "o", markersize=3.2, markerfacecolor="white", markeredgecolor=COLOURS[0], mew=0.7)
    ax.plot(x[full], y[full], "o", markersize=3.4, color=COLOURS[0], markeredgecolor="white", mew=0.3)
    ax.plot(x[trials.winner], y[trials.winner], "o", markersize=5.5, color=_WINNER, markeredgecolor="white", mew=0.5)


def _key(fig: Figure, trials: tuple[Trials, ...], line: bool, layout: Layout) -> None:
    from matplotlib.lines import Line2D

    def dot(label: str, **look: Any) -> Line2D:
        return Line2D([], [], linestyle="none", marker="o", markersize=4, label=label, **look)

    handles = [dot("trial", color=COLOURS[0])]
    if any(not all(one.full) for one in trials):
        handles.append(dot("shorter training", markerfacecolor="white", markeredgecolor=COLOURS[0]))
    handles.append(dot("winner", color=_WINNER))
    if line:
        handles.append(Line2D([], [], color=INK, linewidth=1.0, label="best so far"))
    style.key(fig, handles, None if layout is style.WIDE or len(handles) < 4 else 2)


def history(data: History, layout: Layout) -> Figure:
    """One panel per search."""
    values = [one.objective for one in data.panels]
    low, high = style.ends(*values)
    axis = _axis(data.panels[0])
    most = layout.panels if len(data.panels) > 2 else 2 if layout is style.WIDE else 1
    top = 0.5 if layout is style.WIDE else 0.67  # the key takes two rows there
    frame = Frame(left=style.label_room(axis, low, high, 4) + 0.4, top=top, bottom=0.42, across=0.2, down=0.4)
    ratio = 0.42 if len(data.panels) == 1 and layout is style.WIDE else 0.7
    fig, axes = style.panels(layout, len(data.panels), ratio, frame, most if len(data.panels) > 1 else 1)
    for ax, trials in zip(axes, data.panels, strict=True):
        x = np.arange(1, len(trials.objective) + 1)
        _points(ax, x, trials)
        best = np.asarray(trials.best, float)
        ax.step(x[np.isfinite(best)], best[np.isfinite(best)], where="post", color=INK, linewidth=1.0, zorder=1)
        style.scale_axis(ax, "x", Axis("", low=0.3, high=len(x) + 0.7), 1, len(x), 4)
        style.scale_axis(ax, "y", axis, low, high, 4)
        if len(data.panels) > 1:
            style.title(ax, trials.label)
    style.outer(axes, style.columns_of(axes))
    style.name_axes(fig, "trial", style.caption_of(axis))
    _key(fig, data.panels, True, layout)
    return fig


def _places(varied: Varied, column: Any) -> Any:
    """Choices are spread a little by the order of the trials, so that equal ones stay visible."""
    if varied.scale != "choice":
        return column
    return column + (np.arange(len(column)) % 7 - 3) * 0.05


def _scale(ax: Axes, which: str, varied: Varied) -> None:
    if varied.scale == "choice":
        names = [style.fit_words(name, 0.9, 7.0) for name in varied.choices]
        getattr(ax, f"set_{which}ticks")(range(len(names)), labels=names)
        getattr(ax, f"set_{which}lim")(-0.6, len(names) - 0.4)
        return
    style.scale_axis(ax, which, Axis("", scale=varied.scale), varied.low, varied.high, 3)


def slices(data: Slices, layout: Layout) -> Figure:
    """One panel per parameter; a trial without that parameter is not in its panel."""
    trials = data.trials
    table, axis = np.asarray(trials.values, float), _axis(trials)
    low, high = style.ends(trials.objective)
    frame = Frame(left=style.label_room(axis, low, high, 4) + 0.4, top=0.5, bottom=0.34, across=0.22, down=0.55)
    fig, axes = style.panels(layout, len(trials.parameters), 0.85, frame)
    for j, (ax, varied) in enumerate(zip(axes, trials.parameters, strict=True)):
        _points(ax, _places(varied, table[:, j]), trials)
        _scale(ax, "x", varied)
        style.scale_axis(ax, "y", axis, low, high, 4)
        style.title(ax, varied.name)
    columns = style.columns_of(axes)
    for index, ax in enumerate(axes):
        if index % columns:
            ax.tick_params(labelleft=False)
    style.name_axes(fig, "", style.caption_of(axis))
    _key(fig, (trials,), False, layout)
    return fig


def _share(varied: Varied, column: Any) -> Any:
    """A parameter on its own scale from 0 to 1."""
    if varied.scale == "choice":
        return column / max(1, len(varied.choices) - 1)
    if varied.scale == "log":
        return (np.log(column) - math.log(varied.low)) / (math.log(varied.high) - math.log(varied.low))
    return (column - varied.low) / (varied.high - varied.low)


def parallel(data: Parallel, layout: Layout) -> Figure:
    """Axes side by side, the objective at the right; the colour is the objective, the winner is drawn last."""
    trials = data.trials
    height = 2.6
    fig = style.figure(layout.width, height)
    left, right = 0.35, 0.45
    ax = fig.add_axes((left / layout.width, 0.3 / height, 1 - (left + right) / layout.width, (height - 0.62) / height))
    table, y = np.asarray(trials.values, float), np.asarray(trials.objective, float)
    low, high = style.ends(trials.objective)
    columns = [_share(varied, table[:, j]) for j, varied in enumerate(trials.parameters)]
    columns.append((y - low) / (high - low or 1.0))
    norm = Normalize(low, high)
    order = np.argsort(np.where(np.isfinite(y), y if trials.maximise else -y, -np.inf))
    for i in [*order, trials.winner]:
        path = np.array([column[i] for column in columns])
        won = i == trials.winner
        known = np.isfinite(path)
        if not known[-1]:
            continue
        colour = _WINNER if won else colormaps[MAP](norm(y[i]))
        ax.plot(
            np.flatnonzero(known), path[known], color=colour, linewidth=1.8 if won else 0.8, alpha=1 if won else 0.6
        )
    _upright(ax, trials, low, high)
    return fig


def _upright(ax: Axes, trials: Trials, low: float, high: float) -> None:
    """The upright axes with their names and ends."""
    count = len(trials.parameters)
    ax.set_xlim(0, count)
    ax.set_ylim(-0.04, 1.04)
    ax.set_yticks([])
    ax.set_xticks([])
    for side in ("top", "right", "bottom", "left"):
        ax.spines[side].set_visible(False)
    every = [*trials.parameters, Varied(trials.name, "linear", low, high)]
    for j, varied in enumerate(every):
        ax.axvline(j, color=FAINT, linewidth=0.8, zorder=0)
        side = "left" if j == 0 else "right" if j == count else "center"
        ax.annotate(style.fit_words(varied.name, 0.85, 7.5, "bold"), (j, 1.04), (0, 4), textcoords="offset points",
                    ha=side, va="bottom", fontsize=7.5, fontweight="bold", annotation_clip=False)  # fmt: skip
        marks = [(0.0, style.tick(varied.low)), (1.0, style.tick(varied.high))]
        if j == count:
            marks = [(0.0, f"{low:.3g}"), (1.0, f"{high:.3g}")]
        if varied.scale == "choice":
            last = max(1, len(varied.choices) - 1)
            marks = [(k / last, style.fit_words(name, 0.8, 6.8)) for k, name in enumerate(varied.choices)]
        for place, text in marks:
            ax.annotate(text, (j, place), (3, 0), textcoords="offset points", fontsize=6.8, va="center",
                        bbox={"facecolor": "white", "alpha": 0.75, "linewidth": 0, "pad": 0.6},
                        annotation_clip=False, zorder=6)  # fmt: skip


def plane(data: Plane, layout: Layout) -> Figure:
    """Filled contours between the trials (linear over their triangles), trials as dots on their own scales."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.tri import Triangulation

    trials = data.trials
    across, up = trials.parameters[data.x], trials.parameters[data.y]
    table, z = np.asarray(trials.values, float), np.asarray(trials.objective, float)
    keep = np.isfinite(z) & np.isfinite(table[:, data.x]) & np.isfinite(table[:, data.y])
    x, y, z = table[keep, data.x], table[keep, data.y], z[keep]
    left = style.label_room(Axis("", scale=up.scale), up.low, up.high, 4) + 0.4
    frame = Frame(left=left, right=0.75, top=0.12, bottom=0.45)
    fig, (ax,) = style.panels(layout, 1, 0.75, frame, 1, 3.6)
    norm = Normalize(*style.ends(z.tolist()))
    shape = Triangulation(_share(across, x), _share(up, y))
    levels = np.linspace(norm.vmin or 0.0, norm.vmax or 1.0, 13)
    drawn = ax.tricontourf(Triangulation(x, y, shape.triangles), z, levels=levels, cmap=MAP, norm=norm, alpha=0.9)
    drawn.set_rasterized(True)
    ax.plot(x, y, "o", markersize=2.8, color="white", markeredgecolor=INK, mew=0.5)
    won = table[trials.winner]
    ax.plot(won[data.x], won[data.y], "o", markersize=6, color=_WINNER, markeredgecolor="white", mew=0.6)
    _scale(ax, "x", across)
    _scale(ax, "y", up)
    ax.set_xlabel(style.words(across.name))
    ax.set_ylabel(style.words(up.name))
    box = ax.get_position()
    cax = fig.add_axes((box.x1 + 0.1 / fig.get_figwidth(), box.y0, 0.1 / fig.get_figwidth(), box.height))
    bar: Any = fig.colorbar(ScalarMappable(norm, MAP), cax=cax)
    marks = style.marks(float(norm.vmin or 0.0), float(norm.vmax or 1.0), 4, False)
    bar.set_ticks(marks, labels=[style.tick(mark) for mark in marks])
    bar.outline.set_linewidth(0.0)
    bar.set_label(style.caption_of(_axis(trials)), fontsize=8, labelpad=2)
    return fig
