"""Tables of more shape than a sample: units or runs along an axis, independent groups, a find and its confirmation."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from ..stats.panel import Groups, Panel, Selection
from ..stats.table import Array
from .derived import Columns
from .results import Reason
from .rows import GLUE, Series, Task, finish, in_order, mean_of, name_of, restrict
from .spec import Analysis
from .table import Column, Entry, axes_of, grouped, ordered

Cells = Mapping[tuple[str, ...], Column]


def _good(entries: Sequence[Entry]) -> list[float]:
    return [float(entry.value or 0.0) for entry in entries if entry.present]


def _planned(entries: Sequence[Entry]) -> bool:
    return any(not entry.excluded for entry in entries)


def places(labels: Sequence[str]) -> tuple[float, ...]:
    """Where levels lie on their axis: their numbers if all labels are numbers, else 0, 1, 2 ..."""
    try:
        return tuple(0.01 * float(label[:-1]) if label.endswith("%") else float(label) for label in labels)
    except ValueError:
        return tuple(map(float, range(len(labels))))


# --- units along an axis ---------------------------------------------------------------------------------------


def agreement(one: Series, each: dict[str, str], analysis: Analysis, columns: Columns) -> list[Task]:
    """Units (means over seeds) by the levels of `along`; without `unit` the units are the cells of what is left."""
    column, along = restrict(one.column, each, columns), analysis.along or ""
    axes = [analysis.unit] if analysis.unit else [axis for axis in axes_of(column) if axis != along.partition(".")[0]]
    return [_units({**one.axes, **each}, column, axes, along, columns)]


def _units(axes: dict[str, str], column: Column, by: Sequence[str], along: str, columns: Columns) -> Task:
    task = Task(axes)
    cells = grouped(column, [*by, along], columns.source)
    units = in_order(dict.fromkeys(key[:-1] for key in cells), by, columns)
    levels = ordered((key[-1] for key in cells), along, columns.source)
    rows, names = [], []
    for unit in units:
        row = [_good(cells.get((*unit, level), [])) for level in levels]
        task.n_planned += any(_planned(cells.get((*unit, level), [])) for level in levels)
        if any(row):
            rows.append([mean_of(found) if found else math.nan for found in row])
            names.append(GLUE.join(unit))
    return _panel(task, rows, names, levels, column)


def _panel(
    task: Task, rows: Sequence[Sequence[float]], names: Sequence[str], levels: Sequence[str], column: Column
) -> Task:
    task.n = len(rows)
    shown = [[None if math.isnan(value) else value for value in row] for row in rows]
    task.data = {"panel": shown, "labels": list(names), "levels": list(levels), "places": list(places(levels))}
    finish(task, column, [entry for entry in column if entry.present])
    if task.refused is None:
        values = np.array(rows, dtype=np.float64).reshape(len(rows), len(levels))
        task.table = Panel(values, tuple(names), tuple(levels), places(levels))
    return task


def trajectories(one: Series, each: dict[str, str], analysis: Analysis, columns: Columns) -> list[Task]:
    """Runs along an axis: the seeds of each remaining cell, or the levels of `unit` (means over seeds)."""
    column, along = restrict(one.column, each, columns), analysis.along or ""
    if analysis.unit:
        return [_units({**one.axes, **each}, column, [analysis.unit], along, columns)]
    axes = [axis for axis in axes_of(column) if axis != along.partition(".")[0]]
    cells: Cells = grouped(column, axes, columns.source) if axes else {(): column}
    out = []
    for labels in in_order(cells, axes, columns):
        where = {**one.axes, **each, **dict(zip(axes, labels, strict=True))}
        out.append(_runs(where, cells[labels], along, columns))
    return out


def _runs(axes: dict[str, str], column: Column, along: str, columns: Columns) -> Task:
    task = Task(axes)
    cells = grouped(column, [along], columns.source)
    levels = ordered((key[0] for key in cells), along, columns.source)
    rows, names = [], []
    for seed in dict.fromkeys(entry.seed for entry in column):
        parts = [[entry for entry in cells[(level,)] if entry.seed == seed] for level in levels]
        planned = any(map(_planned, parts))
        task.n_planned += planned
        values = [mean_of(found) if (found := _good(part)) else math.nan for part in parts]
        if planned and not any(map(math.isnan, values)):
            rows.append(values)
            names.append(name_of({}, seed) or "all")
    return _panel(task, rows, names, levels, column)


# --- independent groups ----------------------------------------------------------------------------------------


def groups(one: Series, each: dict[str, str], analysis: Analysis, columns: Columns) -> list[Task]:
    """All levels of `between` at once: their values over seeds, or over the levels of `unit` (means over seeds)."""
    between = analysis.between or ""
    column = restrict(one.column, each, columns)
    task = Task({**one.axes, **each})
    found = grouped(column, [between], columns.source)
    levels = ordered((key[0] for key in found), between, columns.source)
    values: list[Array] = []
    kept = []
    for level in levels:
        entries = found[(level,)]
        parts = list(grouped(entries, [analysis.unit], columns.source).values()) if analysis.unit else [
            [entry] for entry in entries
        ]  # fmt: skip
        task.n_planned += sum(map(_planned, parts))
        means = [mean_of(good) for part in parts if (good := _good(part))]
        if means:
            values.append(np.array(means))
            kept.append(level)
    task.n = sum(map(len, values))
    task.data = {"groups": [group.tolist() for group in values], "labels": kept}
    finish(task, column, [entry for entry in column if entry.present])
    if task.refused is None:
        task.table = Groups(tuple(values), tuple(kept))
    return [task]


# --- a find and its confirmation -------------------------------------------------------------------------------


def selections(of: Sequence[Series], each: dict[str, str], columns: Columns) -> list[Task]:
    """What a search found in each of its cells, and what fresh seeds confirm there."""
    found, confirmed = (restrict(one.column, each, columns) for one in of)
    axes = list(dict.fromkeys((*axes_of(found), *axes_of(confirmed))))
    sides: list[Cells] = [grouped(side, axes, columns.source) if axes else {(): side} for side in (found, confirmed)]
    out = []
    for labels in in_order(dict.fromkeys(key for side in sides for key in side), axes, columns):
        where = {**of[0].axes, **each, **dict(zip(axes, labels, strict=True))}
        out.append(_selection(where, *(side.get(labels, []) for side in sides)))
    return out


def _selection(axes: dict[str, str], found: Column, confirmed: Column) -> Task:
    task = Task(axes, n_planned=sum(not entry.excluded for entry in confirmed))
    good = [entry for entry in confirmed if entry.present]
    bests = _good(found)
    task.n = len(good)
    task.data = {"x": _good(good), "labels": [f"seed {entry.seed}" for entry in good], "found": bests}
    finish(task, [*found, *confirmed], [entry for entry in (*found, *good) if entry.present])
    if task.refused is None and len(bests) != 1:
        text = f"the search has {len(bests)} results here, and a bias is that of one" if bests else "nothing was found"
        task.refused = Reason("not_applicable", text)
    if task.refused is None:
        task.table = Selection(bests[0], np.array(task.data["x"]), tuple(task.data["labels"]))
    return task
