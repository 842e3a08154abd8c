"""Tables of known truth for statistics that take more than a sample or pairs, by their literal `TABLE`.

What the draws have in common: n units, runs, values of each group or fresh seeds, noise of deviation 1, and one number
`effect` that the intervals in `TRUTHS` are about.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..stats.panel import Groups, Panel, Selection
from ..stats.table import Array

#: (stream, size, shape) -> independent numbers of mean 0 and deviation 1.
Values = Callable[[np.random.Generator, Any, str], Array]
Draw = Callable[[np.random.Generator, int, str, float], Any]

LEVELS, GROUPS = 4, 3
#: TABLE -> estimate with an interval -> its true value as a function of the effect.
TRUTHS: Mapping[str, Mapping[str, Callable[[float], float]]] = {
    "panel": {"icc": lambda effect: effect},
    "runs": {"slope": lambda effect: effect, "change": lambda effect: (LEVELS - 1) * effect},
    "selection": {"bias": lambda effect: effect},
    "groups": {"share": lambda effect: 2.0 * effect**2 / (9.0 + 2.0 * effect**2)},
}


def normal(stream: np.random.Generator, size: Any, shape: str) -> Array:  # noqa: ARG001 - one shape only
    """Standard normal numbers."""
    return stream.standard_normal(size)


def draw(table: str, values: Values = normal) -> Draw:
    """How tables of a kind are drawn.

    `panel`: n units at four levels, of whose variance the share `effect` lies between units. `runs`: n runs that rise
    by `effect` per level. `selection`: a find that is `effect` better than n fresh seeds. `groups`: three groups of n
    values, the first of which is `effect` larger.

    Raises:
        KeyError: no such kind.
    """

    def panel(stream: np.random.Generator, n: int, shape: str, effect: float) -> Panel:
        inside = math.sqrt(1.0 - effect) * values(stream, (n, LEVELS), shape)
        return Panel(inside + math.sqrt(effect) * values(stream, (n, 1), shape))

    def runs(stream: np.random.Generator, n: int, shape: str, effect: float) -> Panel:
        return Panel(effect * np.arange(LEVELS) + values(stream, (n, LEVELS), shape))

    def selection(stream: np.random.Generator, n: int, shape: str, effect: float) -> Selection:
        return Selection(effect, values(stream, n, shape))

    def groups(stream: np.random.Generator, n: int, shape: str, effect: float) -> Groups:
        return Groups(tuple((i == 0) * effect + values(stream, n, shape) for i in range(GROUPS)))

    return {"panel": panel, "runs": runs, "selection": selection, "groups": groups}[table]


def degenerate(table: str) -> dict[str, Any]:
    """Tables of a kind that say nothing, which a leaf must refuse.

    Raises:
        KeyError: no such kind.
    """
    line, flat = np.arange(6.0), np.ones(6)
    tables: dict[str, dict[str, Any]] = {
        "panel": {"one unit": Panel(line[None, :]), "one level": Panel(line[:, None]), "ties": Panel(np.ones((6, 3)))},
        "runs": {"one level": Panel(line[:, None]), "no whole run": Panel(np.array([[0.0, math.nan]]))},
        "selection": {"one fresh seed": Selection(1.0, line[:1]), "no fresh seed": Selection(1.0, line[:0])},
        "groups": {
            "one group": Groups((line,)),
            "equal values": Groups((flat, flat)),
            "singles": Groups((flat[:1],) * 3),
        },
    }
    return tables[table]
