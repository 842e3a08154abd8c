"""From columns to the small tables that statistics take: pairs, units, samples, each with what it lacks."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ..stats.panel import Groups, Panel, Selection
from ..stats.table import Design, Frame, Pairs, Points, Regression, Sample
from .derived import Columns
from .outcomes import spread_of, whole
from .results import Reason
from .spec import Analysis, Ref
from .table import Column, Entry, Missing, allowed, grouped, label_of, ordered, united

#: A row of many is called by its labels joined with this.
GLUE = ", "


@dataclass(frozen=True)
class Series:
    """One column of an analysis; `axes` names it among its neighbours (`metric`, and what `@axis=*` spread)."""

    axes: Mapping[str, str]
    label: str
    column: Column


@dataclass
class Task:
    """One table that a leaf will see, or the reason why it sees none."""

    axes: dict[str, str]
    table: Sample | Pairs | Points | Regression | Frame | Design | Panel | Groups | Selection | None = None
    n: int = 0
    n_planned: int = 0
    missing: tuple[Missing, ...] = ()
    excluded: int = 0
    mixed: bool = False
    refused: Reason | None = None
    data: dict[str, Any] = field(default_factory=dict)
    tested: bool = True  # whether its p, if its leaf has one, counts in the family


# --- columns and loops ---------------------------------------------------------------------------------------


def series(refs: Sequence[Ref], axis: str, analysis: Analysis, columns: Columns) -> list[Series]:
    """The columns of a list of references: filtered, spread over every `@axis=*`, named by column (or whole)."""
    short = [replace(ref, at=()) for ref in refs]
    out: list[Series] = []
    for ref, plain in zip(refs, short, strict=True):
        label = str(ref) if short.count(plain) > 1 else str(plain)
        source = columns.source
        read = whole(analysis, ref, columns.within(ref)) if analysis.unit or analysis.along else ref
        column = [e for e in columns.column(read) if allowed(e.axes, analysis.only, analysis.exclude, source)]
        spread = spread_of(analysis, ref)
        if not spread:
            out.append(Series({axis: label}, label, column))
            continue
        groups = grouped(column, spread, source)
        for labels in in_order(groups, spread, columns):
            parts = [entry.without(spread) for entry in groups[labels]]
            names = dict(zip(spread, labels, strict=True))
            text = label + "".join(f"@{name}={value}" for name, value in names.items())
            out.append(Series({axis: label, **names}, text, parts))
    return out


def in_order(keys: Iterable[tuple[str, ...]], axes: Sequence[str], columns: Columns) -> list[tuple[str, ...]]:
    """Keys of labels in the order of the file, axis by axis."""
    found = list(keys)
    ranks = []
    for place, axis in enumerate(axes):
        labels = ordered((key[place] for key in found), axis, columns.source)
        ranks.append({label: rank for rank, label in enumerate(labels)})
    return sorted(found, key=lambda key: [rank[label] for rank, label in zip(ranks, key, strict=True)])


def loops(analysis: Analysis, of: Sequence[Series], columns: Columns) -> list[dict[str, str]]:
    """Levels to loop over: the combinations of `each` labels that occur in some column."""
    axes = [axis for axis in analysis.each if not any(axis in one.axes for one in of) and axis != "method"]
    per_column = []
    for one in of:
        mine = [axis for axis in axes if any(axis.partition(".")[0] in entry.axes for entry in one.column)]
        if mine:
            per_column.append((mine, grouped(one.column, mine, columns.source)))
    if not per_column:
        return [{}]
    known = [axis for axis in axes if any(axis in mine for mine, _ in per_column)]
    # A natural join, column by column: what agrees so far stays few, where the product of all columns explodes.
    joined: list[dict[str, str]] = [{}]
    for mine, groups in per_column:
        wider: dict[tuple[str | None, ...], dict[str, str]] = {}
        for labels, values in itertools.product(joined, groups):
            level = dict(zip(mine, values, strict=True))
            if all(labels.get(axis, value) == value for axis, value in level.items()):
                both = {**labels, **level}
                wider[tuple(both.get(axis) for axis in known)] = both
        joined = list(wider.values())
    found = [tuple(labels[axis] for axis in known) for labels in joined]
    return [dict(zip(known, key, strict=True)) for key in in_order(found, known, columns)]


def restrict(column: Column, each: Mapping[str, str], columns: Columns) -> Column:
    """The entries of one level of every `each` axis; plain axes are removed, the factor of a field stays."""
    if not each:
        return column
    out = []
    for entry in column:
        for axis, value in each.items():
            if axis.partition(".")[0] in entry.axes and label_of(entry.axes, axis, columns.source) != value:
                break
        else:
            out.append(entry.without(each))
    return out


def finish(task: Task, frames: Iterable[Entry], present: Iterable[Entry]) -> Task:
    """Fill in what is missing, excluded, mixed and sealed, from all frames of the table and those with a number."""
    frames = list(frames)
    inside = [frame for frame in frames if not frame.excluded]
    task.missing = united(item for frame in inside for item in frame.missing)
    task.excluded += len(frames) - len(inside)
    task.mixed = len(frozenset().union(*(frame.numerics for frame in present))) > 1
    if not task.n_planned and task.refused is None:
        task.refused = Reason("not_applicable", "absent by design: the study plans no row for this")
    sealed = sum(item.state == "sealed" for item in task.missing)
    if sealed and task.refused is None:
        task.refused = Reason("sealed", f"waits for the test split ({sealed} values are sealed)")
    return task


def mean_of(values: Iterable[float]) -> float:
    """The plain mean of at least one number."""
    found = list(values)
    return math.fsum(found) / len(found)


def name_of(axes: Mapping[str, str], seed: int | None = None) -> str:
    """What a row is called in a list."""
    return GLUE.join([*axes.values(), *([f"seed {seed}"] if seed is not None else [])])
