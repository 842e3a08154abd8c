"""Figures of single statistics: performance profiles of scores, critical-difference diagrams of ranks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from ..report import content as c
from ..stats.bootstrap import profile
from .results import AnalysisResult, ResultRow

#: Thresholds of a profile.
_PLACES = 101
_MOST_PANELS = 24


def profiles(result: AnalysisResult, rows: Sequence[ResultRow]) -> Iterator[c.Figure]:
    """For each column the share of runs above every score, one line per row of the analysis."""
    panels = []
    for metric in dict.fromkeys(row.axes.get("metric", "") for row in rows):
        lines = []
        chosen = [row for row in rows if row.axes.get("metric", "") == metric and _method(row) in ("", "iqm")]
        scores = [_scores(row) for row in chosen]
        if not scores:
            continue
        low, high = min(x.min() for x in scores), max(x.max() for x in scores)
        at = np.linspace(low - 0.02 * (high - low), high + 0.02 * (high - low), _PLACES)
        for row, x in zip(chosen, scores, strict=True):
            found = profile(x, at, confidence=result.confidence)
            share, lowest, highest = (part.tolist() for part in (found.share, found.low, found.high))
            lines.append(c.Line(_label(row.axes), at.tolist(), share, lowest, highest, len(x)))
        panels.append(c.LinePanel(metric, tuple(lines)))
    if panels:
        yield c.Figure(
            f"{result.name}-profile", f"{result.name}: performance profiles",
            c.Curves(tuple(panels), c.Axis("score"), c.Axis("share of runs above", "fraction", low=0, high=1.02), True),
            f"Share of runs above each score, mean over tasks, with its pointwise {result.confidence:.0%} bootstrap "
            "band (stratified over tasks; it has no width where all runs agree). A line that lies above another "
            "everywhere is stochastically better if large scores are good.",
            exploratory=result.exploratory,
        )  # fmt: skip


def _method(row: ResultRow) -> str:
    return row.axes.get("method", "")


def _scores(row: ResultRow) -> np.ndarray:
    """Runs x tasks of a row."""
    if "scores" in row.data:
        return np.array(row.data["scores"], dtype=float).T
    return np.array(row.data["x"], dtype=float)[:, None]


def _label(axes: Mapping[str, str]) -> str:
    return ", ".join(label for axis, label in axes.items() if axis not in ("metric", "method")) or "all"


def critical_differences(result: AnalysisResult, rows: Sequence[ResultRow]) -> Iterator[c.Figure]:
    """Mean ranks of all levels with Nemenyi's critical difference, one panel per column and level of `each`."""
    groups: dict[str, list[ResultRow]] = {}
    for row in rows:
        if row.values.get("critical_difference") is None or row.values.get("rank_a") is None:
            continue
        names = list(row.axes)
        between = names[names.index("against") - 1]
        apart = {axis: label for axis, label in row.axes.items() if axis not in (between, "against", "method")}
        groups.setdefault(", ".join(apart.values()), []).append(row)
    panels = tuple(_panel(label if len(groups) > 1 else "", members) for label, members in groups.items())
    if panels:
        yield c.Figure(
            f"{result.name}-ranks", f"{result.name}: mean ranks and their critical difference",
            c.Ranks(panels, c.Axis("mean rank (1 = smallest value)")),
            "Mean rank of each level over n rows (Friedman). Levels under one bar lie closer than Nemenyi's critical "
            f"difference, so that they cannot be told apart at the family-wise level {1 - result.confidence:.2g}; with "
            "fewer than 10 rows it is rough, and the exact p-values of the table count.",
            exploratory=result.exploratory,
        )  # fmt: skip


def _panel(label: str, rows: Sequence[ResultRow]) -> c.RankPanel:
    found: dict[str, float] = {}
    for row in rows:
        names = list(row.axes)
        level, other = row.axes[names[names.index("against") - 1]], row.axes["against"]
        found[level], found[other] = float(row.values["rank_a"] or 0.0), float(row.values["rank_b"] or 0.0)
    levels = tuple(sorted(found.items(), key=lambda pair: (pair[1], pair[0])))
    critical = float(rows[0].values["critical_difference"] or 0.0)
    return c.RankPanel(label, levels, critical, rows[0].n, together([rank for _, rank in levels], critical))


def together(ranks: Sequence[float], critical: float) -> tuple[tuple[float, float], ...]:
    """The maximal runs of at least two sorted mean ranks whose ends lie no further apart than the critical difference.

    Reference case: 1, 1.5, 2.4, 4 with 1 gives (1, 1.5) and (1.5, 2.4).
    """
    out: list[tuple[int, int]] = []
    for first in range(len(ranks)):
        last = max(i for i in range(first, len(ranks)) if ranks[i] - ranks[first] <= critical)
        if last > first and (not out or last > out[-1][1]):
            out.append((first, last))
    return tuple((ranks[first], ranks[last]) for first, last in out)


def shaped(result: AnalysisResult, rows: Sequence[ResultRow]) -> Iterator[c.Figure]:
    """Units or runs over the levels of an axis as lines, independent groups as clouds of dots."""
    panels = []
    for row in rows:
        data = row.data
        if "panel" not in data:
            continue
        lines = []
        for name, values in zip(data["labels"], data["panel"], strict=True):
            points = [(x, y) for x, y in zip(data["places"], values, strict=True) if y is not None]
            lines.append(c.Line(name, [x for x, _ in points], [y for _, y in points]))
        where = ", ".join(label for axis, label in row.axes.items() if axis != "method")
        panels.append(c.LinePanel(where, tuple(lines)))
    if panels:
        first = rows[0].data
        numbered = [f"{place:g}" for place in first["places"]] == [str(i) for i in range(len(first["places"]))]
        order = "; ".join(f"{i}: {level}" for i, level in enumerate(first["levels"])) if numbered else ""
        yield c.Figure(
            f"{result.name}-along", f"{result.name}: values along the axis",
            c.Curves(tuple(panels[:_MOST_PANELS]), c.Axis(f"level ({order})" if order else "level"), c.Axis("value")),
            "One line per unit (its mean over seeds) or run. Lines that cross are units that change places.",
            main=False, exploratory=result.exploratory,
        )  # fmt: skip
    for row in rows:
        if "groups" not in row.data:
            continue
        where = ", ".join(label for axis, label in row.axes.items() if axis != "method")
        pairs = zip(row.data["labels"], row.data["groups"], strict=True)
        clouds = tuple(c.Cloud(name, values, c.Estimate(float(np.median(values)))) for name, values in pairs)
        name = "".join(letter if letter.isalnum() else "-" for letter in where)
        yield c.Figure(
            f"{result.name}-{name}", f"{result.name}: {where}", c.Dots(clouds, c.Axis(row.axes.get("metric", "value"))),
            "Every dot is one value; beside them the median of the group.",
            main=False, exploratory=result.exploratory,
        )  # fmt: skip
