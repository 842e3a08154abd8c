"""What the levels of a factor cost, and which of them stand on the Pareto front of quality against cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .derived import Columns
from .rows import mean_of, restrict, series
from .spec import Analysis
from .stage_columns import expand
from .table import grouped


@dataclass(frozen=True)
class Cost:
    """One cost column: its mean per level over seeds and all other axes, and how many planned values are absent."""

    label: str
    means: Mapping[str, float]
    absent: int


def costs(analysis: Analysis, axis: str, each: Mapping[str, str], columns: Columns) -> list[Cost]:
    """The cost columns of an analysis by level of `axis` (a factor or one of its fields).

    A level without any value is not in `means`; absent values are counted, never passed over.
    """
    refs = list(dict.fromkeys(one for ref in analysis.cost for one in expand(columns.study, ref)))
    out = []
    for one in series(refs, "metric", analysis, columns):
        means, absent = {}, 0
        for (level,), group in grouped(restrict(one.column, each, columns), [axis], columns.source).items():
            inside = [entry for entry in group if not entry.excluded]
            values = [float(entry.value or 0.0) for entry in inside if entry.present]
            absent += len(inside) - len(values)
            if values:
                means[level] = mean_of(values)
        out.append(Cost(one.label, means, absent))
    return out


def front(points: Mapping[str, tuple[float, float]], higher: bool = True) -> tuple[str, ...]:
    """The levels that no other level beats: (quality, cost) pairs, cheaper is better, ties stay.

    A level is off the front if another is at least as good in both and better in one. Means alone decide, so two
    levels whose intervals overlap may both deserve a look.

    Reference case: a (0.9, 5), b (0.8, 1), c (0.7, 2): a and b.
    """
    sign = 1.0 if higher else -1.0
    return tuple(name for name, mine in points.items() if not any(_beats(o, mine, sign) for o in points.values()))


def _beats(other: Sequence[float], mine: Sequence[float], sign: float) -> bool:
    better, cheaper = sign * other[0] - sign * mine[0], mine[1] - other[1]
    return better >= 0 and cheaper >= 0 and (better > 0 or cheaper > 0)


def expectation(
    expected: float, effect: float | None, low: float | None, high: float | None, neutral: float = 0.0
) -> str:
    """`as expected`, `not as expected` or `undecided`: an expected effect held against the measured interval.

    Not as expected: the interval excludes it. As expected: the interval holds it and excludes no effect, on the side
    that was expected. Undecided: the interval holds both, or there is none. That nothing was expected and nothing is
    seen is undecided too; `equivalence` with a margin shows it.
    """
    if effect is None or low is None or high is None:
        return "undecided"
    if not low <= expected <= high:
        return "not as expected"
    return "undecided" if low <= neutral <= high else "as expected"
