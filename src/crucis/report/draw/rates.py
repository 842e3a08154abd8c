"""Learning-rate ranges: the smoothed loss of each seed against the rising rate, what is advised, and the limit."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from crucis.report.content import Axis, RampPanel, Ramps
from crucis.report.draw import style
from crucis.report.draw.style import COLOURS, INK, Frame, Layout

_ADVISED, _LIMIT, _FALL = COLOURS[2], COLOURS[1], COLOURS[3]


def ramps(data: Ramps, layout: Layout) -> Figure:
    """A panel per network on shared axes; a loss far above where it began is cut off at the upper edge."""
    lines = [line for panel in data.panels for line in panel.ramps]
    rates = Axis("learning rate", scale="log")
    x_ends = style.ends(*(line.rates for line in lines), *(_reach(panel) for panel in data.panels))
    low, high = style.ends(*(line.losses for line in lines))
    begun = max((line.losses[0] for line in lines if len(line.losses)), default=high)
    y_ends = low, min(high, low + 2.0 * (begun - low)) if begun > low else high
    y = Axis("smoothed loss", data.unit)
    alone = len(data.panels) == 1
    left = style.label_room(y, *y_ends, 4) + 0.32
    frame = Frame(left=left, top=0.48, bottom=0.45, across=0.16, down=0.32)
    ratio = (0.42 if layout is style.WIDE else 0.75) if alone else 0.72
    fig, axes = style.panels(layout, len(data.panels), ratio, frame)
    for ax, panel in zip(axes, data.panels, strict=True):
        style.scale_axis(ax, "x", rates, *x_ends, wanted=6 if alone else 3)
        style.scale_axis(ax, "y", y, *y_ends, wanted=4)
        _panel(ax, panel)
        style.title(ax, panel.label)
    style.outer(axes, style.columns_of(axes))
    style.name_axes(fig, style.caption_of(rates), style.caption_of(y))
    banded = any(panel.largest is not None and panel.largest.low is not None for panel in data.panels)
    interval = ", its 95 % interval" if layout is style.WIDE else ", 95 %"
    handles = [
        Line2D([], [], color=COLOURS[0], label="one seed"),
        Line2D([], [], color=_LIMIT, linestyle="--", label=f"largest stable rate{interval * banded}"),
        Patch(color=_ADVISED, alpha=0.22, linewidth=0, label="a tenth to a third of it"),
        Line2D([], [], color=_FALL, linestyle=":", label="steepest fall"),
    ]
    style.key(fig, handles, 4 if layout is style.WIDE else 2)
    return fig


def _reach(panel: RampPanel) -> tuple[float, ...]:
    ends = () if panel.largest is None else (panel.largest.value, panel.largest.high or panel.largest.value)
    return ends + (() if panel.steepest is None else (panel.steepest.value,))


def _panel(ax: Axes, panel: RampPanel) -> None:
    if panel.advised is not None:
        ax.axvspan(*panel.advised, color=_ADVISED, alpha=0.22, linewidth=0)
    for line in panel.ramps:
        ax.plot(line.rates, line.losses, color=COLOURS[0], linewidth=1.1, alpha=0.75, solid_joinstyle="round")
    if panel.steepest is not None:
        ax.axvline(panel.steepest.value, color=_FALL, linestyle=":", linewidth=1.2)
    if panel.largest is not None:
        if panel.largest.low is not None and panel.largest.high is not None:
            ax.axvspan(panel.largest.low, panel.largest.high, color=_LIMIT, alpha=0.15, linewidth=0)
        ax.axvline(panel.largest.value, color=_LIMIT, linestyle="--", linewidth=1.2)
    else:
        ax.text(0.98, 0.96, "no limit found", transform=ax.transAxes, ha="right", va="top", fontsize=7.2, color=INK)
