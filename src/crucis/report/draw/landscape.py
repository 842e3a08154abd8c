"""Slices of a loss landscape: filled contours on one colour scale, and surfaces."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure

from crucis.report.content import Axis, Contour, Slice, Surface
from crucis.report.draw import style
from crucis.report.draw.style import Frame, Layout

#: From deep (low loss) to light; readable for colour-blind eyes and in grey.
MAP = "viridis"
_RATIO_FOR_LOG = 20.0


def _norm(slices: Sequence[Slice], level: Axis) -> Normalize:
    """One scale for all slices; logarithmic if the axis says so or the range is wide and positive."""
    low, high = style.ends(*(np.asarray(panel.loss, float).ravel().tolist() for panel in slices))
    low, high = (low if level.low is None else level.low), (high if level.high is None else level.high)
    if high <= low:
        high = low + 1.0
    if low > 0 and (level.scale == "log" or high / low > _RATIO_FOR_LOG):
        return LogNorm(low, high)
    return Normalize(low, high)


def _levels(norm: Normalize, count: int) -> Any:
    low, high = float(norm.vmin or 0.0), float(norm.vmax or 1.0)
    if isinstance(norm, LogNorm):
        return np.geomspace(low * 0.999, high * 1.001, count)
    room = 0.001 * (high - low)
    return np.linspace(low - room, high + room, count)


def _slice(ax: Axes, panel: Slice, norm: Normalize) -> Any:
    loss = np.ma.masked_invalid(np.asarray(panel.loss, float)).T
    a, b = np.asarray(panel.a, float), np.asarray(panel.b, float)
    ax.set_facecolor("#d9d9d9")
    filled = ax.contourf(a, b, loss, levels=_levels(norm, 15), norm=norm, cmap=MAP, antialiased=False)
    ax.contour(a, b, loss, levels=_levels(norm, 15)[1:-1:2], colors="white", linewidths=0.35, alpha=0.75)
    ax.plot(*panel.centre, marker="o", markersize=4.2, markerfacecolor="white", markeredgecolor="black", mew=0.9)
    ax.set_aspect("equal")
    for side in ("top", "right"):
        ax.spines[side].set_visible(True)
    return filled


def _colour_bar(fig: Figure, norm: Normalize, level: Axis, layout: Layout, what: str = "") -> None:
    """A slim bar at the lower edge, named."""
    from matplotlib.cm import ScalarMappable

    width, height = fig.get_size_inches()
    long = 0.42 * width if layout is style.WIDE else 0.6 * width
    cax = fig.add_axes(((width - long) / 2 / width, 0.42 / height, long / width, 0.085 / height))
    bar: Any = fig.colorbar(ScalarMappable(norm, MAP), cax=cax, orientation="horizontal")
    low, high = float(norm.vmin or 0.0), float(norm.vmax or 1.0)
    marks = style.marks(low, high, 5, isinstance(norm, LogNorm))
    bar.set_ticks(marks, labels=[style.tick(mark) for mark in marks])
    bar.ax.minorticks_off()
    bar.outline.set_linewidth(0.0)
    bar.solids.set_rasterized(True)
    scale = ", logarithmic scale" if isinstance(norm, LogNorm) else ""
    bar.set_label(what + style.caption_of(level) + scale, fontsize=8, labelpad=2)


def contour(data: Contour, layout: Layout) -> Figure:
    """Small multiples on shared coordinates; the dot is the trained network."""
    most = data.columns if layout is style.WIDE else 3 if len(data.panels) > 12 else None
    x_ends = style.ends(*(panel.a for panel in data.panels))
    y_ends = style.ends(*(panel.b for panel in data.panels))
    left = style.label_room(Axis("", low=y_ends[0], high=y_ends[1]), *y_ends, 3) + 0.32
    frame = Frame(left=left, top=0.22, bottom=1.02, across=0.13, down=0.3)
    fig, axes = style.panels(layout, len(data.panels), 1.0, frame, most, 2.9)
    norm = _norm(data.panels, data.level)
    for ax, panel in zip(axes, data.panels, strict=True):
        _slice(ax, panel, norm)
        for which, axis, (low, high) in (("x", data.x, x_ends), ("y", data.y, y_ends)):
            style.scale_axis(ax, which, Axis(axis.label, low=low, high=high), low, high, 3)
        labels = ax.get_xticklabels()
        if len(labels) > 1:  # the outermost labels stay inside, so that neighbouring panels do not touch
            labels[0].set_horizontalalignment("left")
            labels[-1].set_horizontalalignment("right")
        style.title(ax, panel.label)
    style.outer(axes, style.columns_of(axes))
    height = fig.get_figheight()
    fig.text(0.5, 0.66 / height, style.caption_of(data.x), fontsize=8, ha="center", va="bottom")
    fig.supylabel(style.caption_of(data.y), fontsize=8, x=0.06 / fig.get_figwidth(), ha="left", y=0.5 + 0.4 / height)
    _colour_bar(fig, norm, data.level, layout)
    return fig


def surface(data: Surface, layout: Layout) -> Figure:
    """The slices in perspective; the height is logarithmic where the contours would be."""
    import mpl_toolkits.mplot3d  # noqa: F401  (registers the projection)

    columns = max(1, min(len(data.panels), 3 if layout is style.WIDE else 1))
    rows = -(-len(data.panels) // columns)
    tall = layout.width / columns * 0.82
    fig = style.figure(layout.width, rows * tall + 0.8)
    norm = _norm(data.panels, data.level)
    log = isinstance(norm, LogNorm)
    marks = style.marks(float(norm.vmin or 0), float(norm.vmax or 1), 3, log)
    height = fig.get_figheight()
    for index, panel in enumerate(data.panels):
        row, column = divmod(index, columns)
        box = (column / columns, 1 - (row + 1) * tall / height, 1 / columns, tall / height)
        ax: Any = fig.add_axes(box, projection="3d")
        loss = np.ma.masked_invalid(np.asarray(panel.loss, float))
        a, b = np.meshgrid(np.asarray(panel.a, float), np.asarray(panel.b, float), indexing="ij")
        z = np.ma.log10(loss) if log else loss
        colours = colormaps[MAP](norm(loss))
        drawn = ax.plot_surface(a, b, z, facecolors=colours, shade=False, rcount=50, ccount=50, linewidth=0.15,
                                edgecolor=(1, 1, 1, 0.35))  # fmt: skip
        drawn.set_rasterized(True)
        ax.set_xticks([panel.a[0], panel.a[-1]], labels=[style.tick(v) for v in (panel.a[0], panel.a[-1])])
        ax.set_yticks([panel.b[0], panel.b[-1]], labels=[style.tick(v) for v in (panel.b[0], panel.b[-1])])
        places = [float(np.log10(mark)) if log else mark for mark in marks]
        ax.set_zticks(places, labels=[style.tick(mark) for mark in marks])
        ax.tick_params(labelsize=6.5, pad=-3)
        ax.set_title(style.words(panel.label), fontsize=8, fontweight="bold", y=1.0, loc="center")
        ax.set_xlabel("direction 1", fontsize=6.5, labelpad=-9)
        ax.set_ylabel("direction 2", fontsize=6.5, labelpad=-9)
        ax.view_init(32, -58)
    _colour_bar(fig, norm, data.level, layout, "height and colour: ")
    return fig
