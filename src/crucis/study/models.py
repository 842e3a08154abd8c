"""The tables of `predict`: one row per unit, its target and every model's columns, who is left out together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ..errors import Refusal
from ..stats.table import Regression
from .derived import Columns
from .outcomes import model_labels
from .results import Reason
from .rows import GLUE, Series, Task, finish, in_order, restrict
from .spec import Analysis
from .table import Column, Entry, axes_of, grouped, label_of
from .units import averaged, inside


def predict(
    target: Series, models: Mapping[str, Sequence[Series]], each: dict[str, str], analysis: Analysis, columns: Columns
) -> list[Task]:
    """One table per model and per control of noise; all of them have the same rows, so that errors can be compared.

    A unit that lacks the target or any column of any model is left out of all of them and named. Seeds are averaged
    where every column has them.
    """
    every = {one.label: one for side in models.values() for one in side}
    parts = [restrict(one.column, each, columns) for one in (target, *every.values())]
    factor = (analysis.leave_out or "").partition(".")[0]
    axes = [analysis.unit or factor]
    start = Task({**target.axes, **each})
    try:
        _told_apart(parts, [target.label, *every], axes[0])
    except Refusal as refusal:
        start.refused = Reason(refusal.code, refusal.text)
    groups = [grouped(part, axes, columns.source) for part in parts]
    rows: dict[str, list[float]] = {}
    present: list[Entry] = []
    counted: list[Entry] = []
    for unit in in_order(dict.fromkeys(key for group in groups for key in group), axes, columns):
        cells = [inside(group, unit) for group in groups]
        if not all(cells):
            start.excluded += 1
            continue
        start.n_planned += 1
        counted += [entry for cell in cells for entry in cell]
        means = averaged(cells)
        if means is not None:
            rows[GLUE.join(unit)] = [mean for mean, _ in means]
            present += [entry for cell in cells for entry in cell if entry.present]
    start.n = len(rows)
    finish(start, counted, present)
    return _tables(start, rows, list(every), models, analysis, columns)


def _told_apart(parts: Sequence[Column], labels: Sequence[str], unit: str) -> None:
    """Raise if a column has several values for one unit, which may not be averaged in silence."""
    for part, label in zip(parts, labels, strict=True):
        beyond = [
            axis for axis in axes_of(part)
            if axis != unit.partition(".")[0] and len({entry.axes.get(axis) for entry in part}) > 1
        ]  # fmt: skip
        if beyond:
            raise Refusal("not_applicable", f"{label} varies over {', '.join(beyond)} beside {unit}")


def _tables(
    start: Task, rows: Mapping[str, list[float]], names: Sequence[str], models: Mapping[str, Sequence[Series]],
    analysis: Analysis, columns: Columns,
) -> list[Task]:  # fmt: skip
    """The same rows asked for every model and control."""
    values = np.array(list(rows.values())).reshape(len(rows), 1 + len(names))
    table = dict(zip(names, values.T[1:], strict=True))
    which = {name: tuple(dict.fromkeys(one.label for one in side)) for name, side in models.items()}
    factor = (analysis.leave_out or "").partition(".")[0]
    left = tuple(label_of({factor: unit}, analysis.leave_out or "", columns.source) or unit for unit in rows)
    out = []
    for label, (model, control) in model_labels(analysis).items():
        task = Task(
            {**start.axes, "model": label}, None, start.n, start.n_planned, start.missing, start.excluded,
            start.mixed, start.refused, {"labels": list(rows), "groups": list(left), "y": values[:, 0].tolist()},
            tested=not control and model != analysis.base,
        )  # fmt: skip
        if task.refused is None:
            task.table = Regression(values[:, 0], table, which, model, left, analysis.base, control, tuple(rows))
            task.data["alike"] = [] if control else _alike(table, which, model)
        out.append(task)
    return out


def _alike(table: Mapping[str, np.ndarray], which: Mapping[str, Sequence[str]], model: str) -> list[str]:
    """Other models whose columns hold the same numbers: one model under two names, by theorem or by accident."""
    own = _columns(table, which[model])
    return [name for name in which if name != model and _columns(table, which[name]) == own]


def _columns(table: Mapping[str, np.ndarray], names: Sequence[str]) -> set[tuple[float, ...]]:
    return {tuple(map(float, table[name])) for name in names}
