"""The tables of `attribute`: blocks (seeds) of runs of a factor whose levels have components in or out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..errors import Refusal
from ..stats import factorial
from ..stats.table import Array, Design
from .binding import leaf_of
from .components import Components, asked, components_of
from .costing import Cost, costs
from .derived import Columns
from .outcomes import pairwise
from .results import Reason
from .rows import Series, Task, finish, name_of, restrict
from .spec import Analysis
from .table import Column, Entry, ordered, united

#: What a block agrees in: the labels on every axis but the factor, and the seed.
Key = tuple[tuple[tuple[str, str], ...], int | None]


def attributions(one: Series, each: dict[str, str], analysis: Analysis, columns: Columns) -> list[Task]:
    """One task per component, or per pair of components.

    Axes of the result: `metric`, the `each` axes, and `component`. A block lacks only what its contrast needs: among
    leave-one-out runs the effect of one component does not suffer from an absent run of another.
    """
    factor, study = analysis.over or "", columns.study
    column = [entry for entry in restrict(one.column, each, columns) if factor in entry.axes]
    labels = ordered((entry.axes[factor] for entry in column), factor, columns.source)
    parts = components_of(study, factor, labels)
    coded = np.array([parts.coded[label] for label in labels], dtype=np.float64).reshape(len(labels), -1)
    sparse = all(leaf_of(study, ref).constants.get("CONTRAST") for ref in analysis.leaves)
    blocks, twice = _blocks(column, factor)
    prices = costs(analysis, factor, each, columns) if analysis.cost else []
    out = []
    for label, focus in asked(parts.names, pairwise(study, analysis)):
        task = Task({**one.axes, **each, "component": label})
        if twice:
            task.refused = Reason("not_applicable", f"several rows stand for one run ({twice}); add 'each' or a filter")
        _fill(task, blocks, labels, coded, parts, focus, sparse)
        if prices and len(focus) == 1 and task.refused is None:
            task.data["saves"] = _saves(prices, labels, coded, parts, focus)
        out.append(task)
    return out


def _blocks(column: Column, factor: str) -> tuple[dict[Key, dict[str, Entry]], str]:
    """Block -> level -> entry, and the name of a run that occurs twice."""
    blocks: dict[Key, dict[str, Entry]] = {}
    twice = ""
    for entry in column:
        rest = tuple(sorted((axis, label) for axis, label in entry.axes.items() if axis != factor))
        block = blocks.setdefault((rest, entry.seed), {})
        if entry.axes[factor] in block:
            twice = twice or name_of(entry.axes, entry.seed)
        block[entry.axes[factor]] = entry
    return blocks, twice


def _fill(
    task: Task,
    blocks: dict[Key, dict[str, Entry]],
    labels: Sequence[str],
    coded: Array,
    parts: Components,
    focus: tuple[int, ...],
    sparse: bool,
) -> None:
    """The blocks that hold every run that is needed, and what the others lack."""
    used = _used(coded, focus, parts) if sparse else list(range(len(labels)))
    frames, good, names = [], [], []
    for (rest, seed), block in blocks.items():
        runs = [block.get(labels[i]) for i in used]
        frame = _frame(dict(rest), seed, runs)
        frames.append(frame)
        if not frame.excluded and all(run is not None and run.present for run in runs):
            # Runs that the contrast gives no weight may be absent; any number there is multiplied by 0.
            values = [
                entry.value if (entry := block.get(name)) is not None and entry.present else 0.0 for name in labels
            ]
            good.append((frame, values))
            names.append(name_of(dict(rest), seed))
    task.n_planned, task.n = sum(not frame.excluded for frame in frames), len(good)
    task.data = {
        "runs": list(labels), "coded": coded.tolist(), "names": list(parts.names), "labels": names,
        "y": [values for _, values in good], "aliases": factorial.aliases(coded, focus, parts.names),
    }  # fmt: skip
    finish(task, frames, [frame for frame, _ in good])
    if task.refused is None:
        try:
            y = np.array([values for _, values in good], dtype=np.float64).reshape(len(good), len(labels))
            task.table = Design(y, coded, parts.names, focus, tuple(names))
        except Refusal as refusal:
            task.refused = Reason(refusal.code, refusal.text)


def _saves(
    prices: Sequence[Cost], labels: Sequence[str], coded: Array, parts: Components, focus: tuple[int, ...]
) -> dict[str, float | None]:
    """Cost column -> what dropping the component saves, by the same contrast as its main effect; None if unknown."""
    try:
        weights = factorial.weights(coded, focus, parts.names)
    except Refusal:
        return {price.label: None for price in prices}
    used = [i for i in range(len(labels)) if weights[i]]
    return {
        price.label: sum(float(weights[i]) * price.means[labels[i]] for i in used)
        if all(labels[i] in price.means for i in used)
        else None
        for price in prices
    }


def _used(coded: Array, focus: tuple[int, ...], parts: Components) -> list[int]:
    try:
        return [int(i) for i in np.flatnonzero(factorial.weights(coded, focus, parts.names))]
    except Refusal:  # the leaf says so itself
        return list(range(len(coded)))


def _frame(axes: dict[str, str], seed: int | None, runs: Sequence[Entry | None]) -> Entry:
    there = [run for run in runs if run is not None]
    return Entry(
        axes, seed, None, united(item for run in there for item in run.missing),
        len(there) < len(runs) or any(run.excluded for run in there),
        frozenset().union(*(run.numerics for run in there)),
    )  # fmt: skip
