"""Estimates in rows: a forest of effects with intervals, and cells with every seed as a dot."""

from __future__ import annotations

import math
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from crucis.report import numbers
from crucis.report.content import Absent, Cloud, Dots, Effect, Estimate, Forest
from crucis.report.draw import style
from crucis.report.draw.style import COLOURS, INK, RULE, SOFT, Layout

_ROW = 0.235


def _rows(items: Sequence[Effect | Cloud]) -> tuple[list[tuple[int, float]], list[tuple[str, float]], float]:
    """Positions of the items and of their groups' headings, from the top; and the total height in rows."""
    places: list[tuple[int, float]] = []
    heads: list[tuple[str, float]] = []
    at, last = 0.0, ""
    for index, item in enumerate(items):
        if item.group and item.group != last:
            at += 0.35 if heads or places else 0.0
            heads.append((item.group, at))
            at += 1.0
        last = item.group
        places.append((index, at))
        at += 1.0
    return places, heads, at


def _stage(
    layout: Layout, items: Sequence[Effect | Cloud], *texts: Sequence[str]
) -> tuple[Figure, Axes, float, Sequence[str]]:
    """A picture with room for the names at the left and, at the right, the longest of the texts that fits."""
    widest = max((style.text_width(item.label) for item in items), default=0.5)
    left = min(widest, 0.42 * layout.width) + 0.15
    right: Sequence[str] = ()
    after = 0.12
    for candidate in texts:
        wide = max((style.text_width(text, 7.2) for text in candidate), default=0.0) + 0.16
        if wide <= 0.42 * layout.width:
            right, after = candidate, wide
            break
    _, _, total = _rows(items)
    height = total * _ROW + 0.62
    fig = style.figure(layout.width, height)
    wide = layout.width - left - after
    ax = fig.add_axes((left / layout.width, 0.45 / height, wide / layout.width, (height - 0.55) / height))
    ax.set_ylim(total - 0.5, -0.6)
    ax.spines["left"].set_visible(False)
    ax.set_yticks([])
    return fig, ax, left, right


def _texts(fig: Figure, ax: Axes, items: Sequence[Effect | Cloud], right: Sequence[str], left: float) -> None:
    places, heads, _ = _rows(items)
    wide = ax.get_position().width * fig.get_figwidth()
    for index, at in places:
        name = style.fit_words(items[index].label, left - 0.1, 7.5)
        ax.text(-0.08 / wide, at, name, transform=ax.get_yaxis_transform(), fontsize=7.5, ha="right", va="center")
        ax.axhline(at, color="#efefef", linewidth=0.6, zorder=0)
        if right:
            ax.text(1 + 0.1 / wide, at, style.words(right[index]), transform=ax.get_yaxis_transform(), fontsize=7.2,
                    va="center", color=SOFT)  # fmt: skip
    for head, at in heads:
        ax.text((0.08 - left) / wide, at, style.words(head), transform=ax.get_yaxis_transform(), fontsize=7.5,
                fontweight="bold", va="center")  # fmt: skip


def _bounds(estimate: Estimate | Absent) -> list[float]:
    if isinstance(estimate, Absent):
        return []
    return [end for end in (estimate.value, estimate.low, estimate.high) if end is not None and math.isfinite(end)]


def _interval(ax: Axes, estimate: Estimate | Absent, at: float, colour: str, size: float = 5.0) -> None:
    if isinstance(estimate, Absent):
        ax.text(0.5, at, style.words(_absent(estimate)), transform=ax.get_yaxis_transform(), fontsize=7, color=SOFT,
                ha="center", va="center", style="italic", backgroundcolor="white")  # fmt: skip
        return
    if estimate.low is not None and estimate.high is not None:
        low, high = ax.get_xlim()
        ends = [max(estimate.low, low), min(estimate.high, high)]
        ax.plot(ends, [at, at], color=colour, linewidth=1.4, zorder=2, solid_capstyle="butt")
        for end, limit, arrow in ((estimate.low, low, "<"), (estimate.high, high, ">")):
            if not low <= end <= high:
                ax.plot([limit], [at], marker=arrow, markersize=4, color=colour, clip_on=False)
    ax.plot([estimate.value], [at], marker="s", markersize=size, color=colour, zorder=3)


def _absent(item: Absent) -> str:
    return f"{item.state}: {item.why}" if item.why and len(item.why) < 40 else item.state


def forest(data: Forest, layout: Layout) -> Figure:
    """Effects from top to bottom in the given order; those whose interval meets the reference are drawn in grey."""
    short = ["" if isinstance(row.estimate, Absent) else numbers.estimate(row.estimate) for row in data.effects]
    full = [", ".join(filter(None, pair)) for pair in zip(short, (row.says for row in data.effects), strict=True)]
    fig, ax, left, right = _stage(layout, data.effects, full, short)
    extra = [] if data.reference is None else [data.reference]
    if data.reference is not None and data.margin:
        extra += [data.reference - data.margin, data.reference + data.margin]
    bounds = [bound for row in data.effects for bound in _bounds(row.estimate)]
    style.scale_axis(ax, "x", data.x, *style.ends(bounds, extra), wanted=4 if layout is style.NARROW else 6)
    if data.reference is not None:
        if data.margin:
            ax.axvspan(
                data.reference - data.margin, data.reference + data.margin, color="#ececec", linewidth=0, zorder=0
            )
        ax.axvline(data.reference, color="#6a6a6a", linewidth=0.8, zorder=1)
    for index, at in _rows(data.effects)[0]:
        estimate = data.effects[index].estimate
        _interval(ax, estimate, at, COLOURS[0] if _clear(estimate, data.reference) else "#7d7d7d")
    _texts(fig, ax, data.effects, right, left)
    ax.set_xlabel(style.caption_of(data.x))
    return fig


def _clear(estimate: Estimate | Absent, reference: float | None) -> bool:
    if isinstance(estimate, Absent) or estimate.low is None or estimate.high is None or reference is None:
        return reference is None
    return not estimate.low <= reference <= estimate.high


def dots(data: Dots, layout: Layout) -> Figure:
    """Every seed as a dot, mean and interval below it in the same row."""
    short = [numbers.estimate(cloud.estimate) if isinstance(cloud.estimate, Estimate) else "" for cloud in data.clouds]
    full = [text and f"{text}, n = {len(cloud.values)}" for text, cloud in zip(short, data.clouds, strict=True)]
    fig, ax, left, right = _stage(layout, data.clouds, full, short)
    bounds = [bound for cloud in data.clouds for bound in (*_bounds(cloud.estimate), *map(float, cloud.values))]
    style.scale_axis(ax, "x", data.x, *style.ends(bounds), wanted=4 if layout is style.NARROW else 6)
    for index, at in _rows(data.clouds)[0]:
        cloud = data.clouds[index]
        _interval(ax, cloud.estimate, at + 0.14, COLOURS[0], 4.0)
        ax.plot(
            cloud.values, [at - 0.2] * len(cloud.values), "o", markersize=3.2, color=INK, alpha=0.55, mew=0, zorder=3
        )
    _texts(fig, ax, data.clouds, right, left)
    ax.grid(axis="x", color=RULE, linewidth=0.5)
    ax.set_axisbelow(True)
    ax.set_xlabel(style.caption_of(data.x))
    return fig
