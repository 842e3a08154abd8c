"""Tables for attributions in a search: its complete trials, one table per search and parameter."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import Refusal
from ..records import Record
from ..search.space import Dimension
from ..stats.trials import Trials
from .distributions import parameters
from .readings import Readings
from .results import Reason
from .rows import Task
from .spec import Analysis, Ref
from .table import Source, allowed

PARAMETER = "parameter"  # the axis of such a result


def search_tasks(readings: Source, ref: Ref, analysis: Analysis) -> list[Task]:
    """One table per search that `ref` names and per parameter of its trial, in the order of the file.

    Trials that were trained in full and ended with a number take part; `n_planned` counts those that failed, too. The
    rows of a result have the factors of the search (and its seed, where there is one search per seed), and the axis
    `parameter`. What `only` and `except` of the analysis leave out is not there.

    Raises:
        LookupError: the stage is no search, or the records of its trials are not at hand.
    """
    if not isinstance(readings, Readings):
        raise LookupError("an attribution in a search reads the records of its trials, and there are none here")
    stage = readings.study.stages[ref.name]
    if stage.trial is None or stage.objective[0] == "success":
        raise LookupError(f"'{ref.name}' is no search for the best trial; an attribution of parameters needs one")
    found = parameters(stage.trial.params)
    fixed = {axis: str(value) for axis, value in ref.at if value != "*"}
    out: list[Task] = []
    for node in readings.plan.nodes:
        cell, seed = dict(node.instance.cell), node.instance.seed
        if node.instance.stage != ref.name or any(cell.get(axis, value) != value for axis, value in fixed.items()):
            continue
        if not allowed(cell, analysis.only, analysis.exclude, readings):
            continue
        axes = {axis: label for axis, label in cell.items() if axis not in fixed}
        axes |= {} if seed is None else {"seed": str(seed)}
        record = readings.record(node.key)
        for position, one in enumerate(found):
            task = Task({**axes, PARAMETER: one.name}, n_planned=1)
            if record is None or record.outcome != "ok":
                task.refused = Reason("input_refused", readings.why(node) or f"the search is {readings.state(node)}")
            else:
                _fill(task, record, position, [parameter.name for parameter in found])
            out.append(task)
    return out


def _fill(task: Task, record: Record, position: int, names: list[str]) -> None:
    rows = record.arrays("trials.npz")
    space = [Dimension.unpack(item) for item in record.spec["space"]]
    whole = rows["rung"] == record.spec["rungs"] - 1
    good = whole & np.isfinite(rows["objective"])
    task.n, task.n_planned = int(good.sum()), int(whole.sum())
    shares = np.stack([_shares(space[j], rows[f"p{j}"][good]) for j in range(len(space))], axis=1)
    choices = tuple(dimension.choices for dimension in space)
    try:
        task.table = Trials(shares, rows["objective"][good], choices, position, tuple(names))  # type: ignore[assignment]
    except Refusal as refusal:
        task.refused = Reason(refusal.code, refusal.text)
    task.data = _drawn(shares, rows["objective"][good], names)


def _shares(dimension: Dimension, values: Any) -> Any:
    if dimension.choices:
        return values
    return np.array([dimension.share(value) if np.isfinite(value) else np.nan for value in values])


def _drawn(shares: Any, objective: Any, names: list[str]) -> dict[str, Any]:
    return {**{name: shares[:, j].tolist() for j, name in enumerate(names)}, "objective": objective.tolist()}
