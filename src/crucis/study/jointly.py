"""The tables of correlations that are tested jointly: every pair has the same units, so that one order permutes all."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..errors import Refusal
from ..stats.table import Joint, Points
from .derived import Columns
from .results import Reason
from .rows import GLUE, Series, Task, finish, in_order, restrict
from .spec import Analysis
from .table import Entry, grouped
from .units import apart, averaged, inside, plane, unit_axes


def jointly(
    of: Sequence[Series], targets: Sequence[Series], each: dict[str, str], analysis: Analysis, columns: Columns
) -> list[Task]:
    """One task per pair of a column and a target; a unit that lacks any of the columns is out of all, and named."""
    sides = [*of, *targets]
    parts = [restrict(one.column, each, columns) for one in sides]
    common = Task(dict(each))
    axes: list[str] = []
    try:
        for i, x in enumerate(of):
            for j, y in enumerate(targets, len(of)):
                axes = unit_axes([parts[i], parts[j]], (x, y), analysis)
    except Refusal as refusal:
        common.refused = Reason(refusal.code, refusal.text)
    groups = [grouped(part, axes, columns.source) for part in parts]
    rows: list[tuple[str, list[tuple[float, float | None]]]] = []
    present: list[Entry] = []
    counted: list[Entry] = []
    for unit in in_order(dict.fromkeys(key for group in groups for key in group), axes, columns):
        cells = [inside(group, unit) for group in groups]
        if not all(cells):
            common.excluded += 1
            continue
        common.n_planned += 1
        counted += [entry for cell in cells for entry in cell]
        means = averaged(cells)
        if means is not None:
            rows.append((GLUE.join(unit), means))
            present += [entry for cell in cells for entry in cell if entry.present]
    common.n = len(rows)
    finish(common, counted, present)
    values = np.array([[mean for mean, _ in means] for _, means in rows]).reshape(len(rows), len(sides))
    joint = Joint(values[:, : len(of)], values[:, len(of) :]) if common.refused is None else None
    out = []
    for i, x in enumerate(of):
        for j, y in enumerate(targets, len(of)):
            pair = [(label, [means[i], means[j]]) for label, means in rows]
            named = {**x.axes, **apart(y.axes, x.axes), **each}
            data = {**plane(pair), "sides": (x.label, y.label), "block": tuple(each.items())}
            task = Task(named, None, common.n, common.n_planned, common.missing, common.excluded, common.mixed,
                        common.refused, data)  # fmt: skip
            if joint is not None:
                task.table = Points(values[:, i], values[:, j], None, tuple(label for label, _ in rows), joint=joint)
            out.append(task)
    return out
