"""The tables of `compare` and `describe`: pairs that agree in everything but the treatment, and samples over seeds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..stats.table import Blocks, Pairs, Sample
from .binding import leaf_of
from .derived import Columns
from .results import Reason
from .rows import Series, Task, finish, in_order, mean_of, name_of, restrict
from .spec import Analysis
from .table import Column, Entry, align, axes_of, grouped, label_of, ordered


def compare(one: Series, each: dict[str, str], analysis: Analysis, columns: Columns) -> list[Task]:
    """One task per level against the reference, or per pair of levels (the later against the earlier).

    Axes of the result: `metric`, the `each` axes, the treated factor, and `against`.
    """
    between = analysis.between or ""
    factor = between.partition(".")[0]
    column = restrict(one.column, each, columns)
    groups = {key[0]: [e.without({factor}) for e in group] for key, group in grouped(column, [between], columns.source).items()}  # fmt: skip  # noqa: E501
    levels = ordered(groups, between, columns.source)
    if analysis.against is not None:
        pairs = [(level, analysis.against) for level in levels if level != analysis.against]
    else:
        pairs = [(later, earlier) for i, later in enumerate(levels) for earlier in levels[:i]]
    whole = any(leaf_of(columns.study, ref).constants.get("BLOCKS") for ref in analysis.leaves)
    values, torn = _blocks([groups[level] for level in levels], analysis, columns) if whole else ([], 0)
    out = []
    for level, reference in pairs:
        axes = {**one.axes, **each, between: level, "against": reference}
        task = _pair(axes, groups.get(level, []), groups.get(reference, []), analysis, columns)
        if whole and isinstance(task.table, Pairs):
            table = np.array(values, dtype=np.float64).reshape(-1, len(levels))
            blocks = Blocks(table, levels.index(level), levels.index(reference), torn)
            task.table = replace(task.table, blocks=blocks)
        out.append(task)
    return out


def _blocks(groups: Sequence[Column], analysis: Analysis, columns: Columns) -> tuple[list[list[float]], int]:
    """Rows that hold every level (units are averaged), and how many planned rows lack one."""
    kept: dict[str, list[list[float]]] = {}
    torn = 0
    for index, (frame, parts) in enumerate(align(groups)):
        if frame.excluded:
            continue
        if not all(part.present for part in parts):
            torn += 1
            continue
        unit = label_of(frame.axes, analysis.unit, columns.source) if analysis.unit else str(index)
        kept.setdefault(unit or name_of(frame.axes), []).append([float(part.value or 0.0) for part in parts])
    return [[mean_of(column) for column in zip(*rows, strict=True)] for rows in kept.values()], torn


def _pair(axes: dict[str, str], left: Column, right: Column, analysis: Analysis, columns: Columns) -> Task:
    rows = align([left, right])
    met = {id(parts[1]) for _, parts in rows}
    task = Task(axes, excluded=sum(id(entry) not in met and not entry.excluded for entry in right))
    twice = _ambiguous(frame for frame, _ in rows if not frame.excluded)
    if twice:
        task.refused = Reason("not_applicable", f"several rows stand for one pair ({twice}); add 'each' or a filter")
    good = [(frame, a, b) for frame, (a, b) in rows if a.present and b.present]
    task.n_planned = sum(not frame.excluded for frame, _ in rows)
    a = [float(one.value or 0.0) for _, one, _ in good]
    b = [float(two.value or 0.0) for _, _, two in good]
    labels = [name_of(frame.axes, frame.seed) for frame, _, _ in good]
    tasks = [name_of(frame.axes) for frame, _, _ in good]
    if analysis.unit:
        unit, tasks = analysis.unit, []
        names = [label_of(frame.axes, unit, columns.source) or name_of(frame.axes) for frame, _, _ in good]
        planned = {label_of(f.axes, unit, columns.source) or name_of(f.axes) for f, _ in rows if not f.excluded}
        labels, task.n_planned = list(dict.fromkeys(names)), len(planned)
        a, b = ([mean_of(v for v, name in zip(values, names, strict=True) if name == label) for label in labels] for values in (a, b))  # fmt: skip  # noqa: E501
    task.n = len(labels)
    task.data = {"a": a, "b": b, "labels": labels, "seeds": [frame.seed for frame, _, _ in good]}
    finish(task, [frame for frame, _ in rows], (frame for frame, _, _ in good))
    if task.refused is None:
        task.table = Pairs(np.array(a), np.array(b), tuple(labels), tasks=tuple(tasks))
    return task


def _ambiguous(frames: Iterable[Entry]) -> str:
    seen: set[tuple[Any, ...]] = set()
    for frame in frames:
        key = (tuple(sorted(frame.axes.items())), frame.seed)
        if key in seen:
            return name_of(frame.axes, frame.seed)
        seen.add(key)
    return ""


# --- describe ------------------------------------------------------------------------------------------------


def describe(one: Series, each: dict[str, str], analysis: Analysis, columns: Columns) -> list[Task]:
    """A sample per remaining combination of factors (its values: the seeds), or over the levels of `unit`."""
    column = restrict(one.column, each, columns)
    if analysis.unit:
        groups = grouped(column, [analysis.unit], columns.source)
        units = ordered((key[0] for key in groups), analysis.unit, columns.source)
        parts = [groups[(unit,)] for unit in units]
        task = _sample({**one.axes, **each}, parts, units)
        if any(leaf_of(columns.study, ref).constants.get("TASKS") for ref in analysis.leaves):
            _scores(task, parts, units)
        return [task]
    axes = axes_of(column)
    cells = grouped(column, axes, columns.source)
    out = []
    for labels in in_order(cells, axes, columns):
        cell = cells[labels]
        names = [f"seed {entry.seed}" if entry.seed is not None else "" for entry in cell]
        where = dict(zip(axes, labels, strict=True))
        out.append(_sample({**one.axes, **each, **where}, [[entry] for entry in cell], names))
    return out


def _scores(task: Task, groups: Sequence[Column], names: Sequence[str]) -> None:
    """Runs x tasks beside the means: the seeds of each level of `unit`, in order."""
    columns = {name: [e for e in group if not e.excluded] for name, group in zip(names, groups, strict=True)}
    values = {name: [float(e.value or 0.0) for e in group if e.present] for name, group in columns.items() if group}
    task.data = {**task.data, "tasks": list(values), "scores": list(values.values())}
    runs = {name: len(found) for name, found in values.items()}
    if task.refused is None and len(set(runs.values())) > 1:
        few, many = min(runs, key=runs.__getitem__), max(runs, key=runs.__getitem__)
        task.refused = Reason(
            "not_applicable",
            f"{few} has {runs[few]} runs and {many} has {runs[many]}; resampling wants as many for each task",
        )
    elif isinstance(task.table, Sample):
        task.table = replace(task.table, scores=np.array(list(values.values())).T)


def _sample(axes: dict[str, str], groups: Sequence[Column], names: Sequence[str]) -> Task:
    task = Task(axes)
    values, labels, present = [], [], []
    for group, name in zip(groups, names, strict=True):
        inside = [entry for entry in group if not entry.excluded]
        task.n_planned += bool(inside)
        good = [entry for entry in inside if entry.present]
        if good:
            values.append(mean_of(float(entry.value or 0.0) for entry in good))
            labels.append(name)
            present += good
    task.n = len(values)
    task.data = {"x": values, "labels": labels, "seeds": [entry.seed for entry in present]}
    finish(task, [entry for group in groups for entry in group], present)
    if task.refused is None:
        task.table = Sample(np.array(values), tuple(labels))
    return task
