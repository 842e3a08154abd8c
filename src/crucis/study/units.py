"""The tables of `correlate` and of a user's own estimate: units with their seeds averaged, rows of named columns."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..errors import Refusal
from ..stats.table import Frame, Points
from .derived import Columns
from .results import Reason
from .rows import GLUE, Series, Task, finish, in_order, mean_of, name_of, restrict
from .spec import Analysis
from .table import Column, Entry, align, axes_of, grouped


def correlate(
    x: Series, y: Series, given: Sequence[Series], each: dict[str, str], analysis: Analysis, columns: Columns
) -> Task:
    """One association: a row per unit, the seeds of each unit averaged where every column has them.

    Axes of the result: `metric`, `with`, what either side spreads, and the `each` axes.
    """
    task = Task({**x.axes, **apart(y.axes, x.axes), **each})
    parts = [restrict(one.column, each, columns) for one in (x, y, *given)]
    try:
        axes = unit_axes(parts, (x, y), analysis)
    except Refusal as refusal:
        task.refused = Reason(refusal.code, refusal.text)
        return finish(task, [entry for part in parts for entry in part], [])
    groups = [grouped(part, axes, columns.source) for part in parts]
    units = in_order(dict.fromkeys(key for group in groups[:2] for key in group), axes, columns)
    rows: list[tuple[str, list[tuple[float, float | None]]]] = []
    present: list[Entry] = []
    counted: list[Entry] = []
    for unit in units:
        cells = [inside(group, unit) for group in groups]
        if not all(cells):
            task.excluded += 1
            continue
        task.n_planned += 1
        counted += [entry for cell in cells for entry in cell]
        means = averaged(cells)
        if means is not None:
            rows.append((GLUE.join(unit), means))
            present += [entry for cell in cells for entry in cell if entry.present]
    task.n = len(rows)
    task.data = plane(rows)
    finish(task, counted, present)
    if task.refused is None:
        task.table = _points(rows, len(given))
    return task


def apart(axes: Mapping[str, str], taken: Mapping[str, str]) -> dict[str, str]:
    """Axes that both sides spread are told apart: the target's becomes `with.step`."""
    return {f"with.{axis}" if axis in taken else axis: label for axis, label in axes.items()}


def inside(groups: Mapping[tuple[str, ...], Column], unit: tuple[str, ...]) -> Column:
    """The entries of a unit that are not absent by design."""
    return [entry for entry in groups.get(unit, []) if not entry.excluded]


def _points(rows: Sequence[tuple[str, list[tuple[float, float | None]]]], given: int) -> Points:
    values = np.array([[mean for mean, _ in means] for _, means in rows]).reshape(len(rows), 2 + given)
    labels = tuple(label for label, _ in rows)
    return Points(values[:, 0], values[:, 1], values[:, 2:] if given else None, labels)


def plane(rows: Sequence[tuple[str, list[tuple[float, float | None]]]]) -> dict[str, Any]:
    """What a scatter plot needs of rows of two columns."""
    return {
        "x": [means[0][0] for _, means in rows],
        "y": [means[1][0] for _, means in rows],
        "x_se": [means[0][1] for _, means in rows],
        "y_se": [means[1][1] for _, means in rows],
        "labels": [label for label, _ in rows],
    }


def unit_axes(parts: Sequence[Column], names: Sequence[Series], analysis: Analysis) -> list[str]:
    """The factors whose combinations are the rows; x and y must vary over the same ones."""
    if analysis.unit:
        return [analysis.unit]
    varying = [[axis for axis in axes_of(part) if len({e.axes.get(axis) for e in part}) > 1] for part in parts]
    x, y = set(varying[0]), set(varying[1])
    for mine, other, name, far in ((x, y, names[0], names[1]), (y, x, names[1], names[0])):
        extra = [axis for axis in mine if axis not in other]
        if extra:
            raise Refusal(
                "not_applicable",
                f"{name.label} varies over {', '.join(sorted(extra))} and {far.label} does not, so that its rows would "
                "be counted several times: fix the axis with '@', loop with 'each', or name the 'unit'",
            )
    beyond = sorted({axis for more in varying[2:] for axis in more} - x)
    if beyond:
        raise Refusal("not_applicable", f"what is given varies over {', '.join(beyond)}, and {names[0].label} does not")
    return [axis for axis in axes_of(parts[0]) if axis in x]


def averaged(cells: Sequence[Column]) -> list[tuple[float, float | None]] | None:
    """(mean, standard error) of each column over the seeds that all of them have; None if there is no such seed."""
    by_seed = []
    for cell in cells:
        values: dict[int | None, list[float]] = {}
        for entry in cell:
            if entry.present:
                values.setdefault(entry.seed, []).append(float(entry.value or 0.0))
        by_seed.append({seed: mean_of(found) for seed, found in values.items()})
    shared: set[int | None] | None = None
    for found in by_seed:
        if not found:
            return None
        if None not in found:
            shared = set(found) if shared is None else shared & set(found)
    if shared is not None and not shared:
        return None
    out: list[tuple[float, float | None]] = []
    for found in by_seed:
        kept = [found[seed] for seed in found if seed is None or shared is None or seed in shared]
        spread = float(np.std(kept, ddof=1)) / math.sqrt(len(kept)) if len(kept) > 1 else None
        out.append((mean_of(kept), spread))
    return out


# --- a user's own estimate -----------------------------------------------------------------------------------


def frame(every: Sequence[Series], each: dict[str, str], columns: Columns) -> Task:
    """The rows in which every column has a number, seeds kept apart, for a user's own estimate."""
    task = Task(dict(each))
    rows = align([restrict(one.column, each, columns) for one in every])
    good = [(frame, parts) for frame, parts in rows if all(part.present for part in parts)]
    task.n_planned = sum(not frame.excluded for frame, _ in rows)
    task.n = len(good)
    finish(task, [frame for frame, _ in rows], [frame for frame, _ in good])
    names = [one.label for one in every]
    values = {name: np.array([parts[i].value for _, parts in good], dtype=float) for i, name in enumerate(names)}
    axes = dict.fromkeys(axis for frame, _ in good for axis in frame.axes)
    labels = {axis: tuple(frame.axes.get(axis, "") for frame, _ in good) for axis in axes}
    task.data = {**{name: list(column) for name, column in values.items()}, "labels": [name_of(f.axes, f.seed) for f, _ in good]}  # fmt: skip  # noqa: E501
    if task.refused is None:
        task.table = Frame(values, labels, tuple(frame.seed for frame, _ in good))
    return task
