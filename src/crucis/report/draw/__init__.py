"""Pictures: one painter per kind of data, all `(data, layout) -> Figure`. Imported only when something is drawn."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from crucis.report import content
from crucis.report.draw import distribution, effects, heat, landscape, lines, ranks, rates, relation, search, topology

PAINTERS: dict[type, Callable[..., Any]] = {
    content.Curves: lines.curves,
    content.Retention: lines.retention,
    content.Contour: landscape.contour,
    content.Surface: landscape.surface,
    content.Diagram: topology.diagram,
    content.Barcode: topology.barcode,
    content.Scatter: relation.scatter,
    content.Forest: effects.forest,
    content.Dots: effects.dots,
    content.Histogram: distribution.histogram,
    content.Heat: heat.heat,
    content.History: search.history,
    content.Slices: search.slices,
    content.Parallel: search.parallel,
    content.Plane: search.plane,
    content.Ranks: ranks.ranks,
    content.Ramps: rates.ramps,
}


def painter(data: Any) -> Callable[..., Any]:
    """Who draws this kind of data."""
    return PAINTERS[type(data)]
