"""From the records of searches to the pictures of a report: history, slices, parallel lines, a plane."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..records import Record
from ..report import content as c
from .distributions import Parameter, parameters
from .matching import label_of
from .nodes import Node
from .readings import Readings
from .spec import LeafRef

_MOST = 6  # searches with pictures of their own; the history shows all
_LEAST = 4  # trials below which a plane says nothing


def search_pictures(readings: Readings) -> list[c.Figure]:
    """Every picture that the finished searches of a study offer."""
    out: list[c.Figure] = []
    for stage in readings.study.stages.values():
        if stage.trial is None or stage.objective[0] == "success":
            continue
        found = parameters(stage.trial.params)
        nodes = [node for node in readings.plan.nodes if node.instance.stage == stage.name]
        pairs = [(node, record) for node in nodes if (record := readings.record(node.key)) and record.outcome == "ok"]
        every = [_trials(readings, node, record, found, stage.objective) for node, record in pairs]
        if not every:
            continue
        keys = tuple(record.key for _, record in pairs)
        out.append(c.Figure(
            f"{stage.name}-history", f"{stage.name}: the trials in their order", c.History(tuple(every)),
            f"{stage.objective[1]} of each trial on the validation split, the mean over its seeds; rings are trials "
            "that ended after a shorter training. The line is the best full training so far.", keys,
        ))  # fmt: skip
        for (_, record), trials in list(zip(pairs, every, strict=True))[:_MOST]:
            out += _own(stage.name, trials, record.key, len(every) > 1)
    return out


def _own(stage: str, trials: c.Trials, key: str, several: bool) -> list[c.Figure]:
    where = f" ({trials.label})" if several else ""
    name = f"{stage}{'-' + trials.label.replace(', ', '-').replace(' ', '-') if several else ''}"
    about = "Trials were placed by the search, so that an apparent trend may be that of another parameter."
    out = [c.Figure(f"{name}-slices", f"{stage}{where}: each parameter alone", c.Slices(trials), about, (key,), False)]
    if len(trials.parameters) > 1:
        out.append(c.Figure(
            f"{name}-parallel", f"{stage}{where}: all parameters of each trial", c.Parallel(trials),
            "One line per trial, coloured by its objective; the winner in orange. Scales are those of the "
            "distributions; a line skips what a trial does not have.", (key,), False,
        ))  # fmt: skip
    places = [j for j, one in enumerate(trials.parameters) if one.scale != "choice"]
    full = sum(math.isfinite(value) for value in trials.objective)
    if len(places) > 1 and full >= _LEAST and _spread(trials, places[0], places[1]):
        out.append(c.Figure(
            f"{name}-plane", f"{stage}{where}: {trials.parameters[places[0]].name} and "
            f"{trials.parameters[places[1]].name}", c.Plane(trials, places[0], places[1]),
            "Linear between neighbouring trials, each at its longest training; the other parameters vary, too.",
            (key,), False,
        ))  # fmt: skip
    return out


def _spread(trials: c.Trials, x: int, y: int) -> bool:
    """Whether the trials span an area in two parameters."""
    table = np.asarray(trials.values, float)[:, [x, y]]
    known = table[np.isfinite(table).all(axis=1) & np.isfinite(np.asarray(trials.objective, float))]
    if len(known) < _LEAST:
        return False
    scale = known.std(axis=0)
    if not (scale > 0).all():
        return False
    return bool(np.linalg.svd((known - known.mean(axis=0)) / scale, compute_uv=False)[-1] > 1e-6)


def _trials(
    readings: Readings, node: Node, record: Record, found: tuple[Parameter, ...], objective: tuple[str, str]
) -> c.Trials:
    from .pictures import cell_label

    rows = record.arrays("trials.npz")
    order = list(dict.fromkeys(rows["trial"].tolist()))
    last = {trial: np.flatnonzero(rows["trial"] == trial)[-1] for trial in order}
    top = int(rows["rung"].max())
    values = [[float(rows[f"p{j}"][last[trial]]) for j in range(len(found))] for trial in order]
    reached = [float(rows["objective"][last[trial]]) for trial in order]
    full = [bool(rows["rung"][last[trial]] == top) for trial in order]
    best, so_far = [], math.nan
    better = max if objective[0] == "maximise" else min
    for value, whole in zip(reached, full, strict=True):
        if whole and math.isfinite(value):
            so_far = value if math.isnan(so_far) else better(so_far, value)
        best.append(so_far)
    label = cell_label(readings, node.instance.cell)
    seed = node.instance.seed
    label = label if seed is None else f"seed {seed}" if label == "all" else f"{label}, seed {seed}"
    about: dict[str, Any] = {"accuracy": "fraction", "loss": "nats"}
    return c.Trials(
        label, tuple(map(_varied, found)), values, reached, full, best, order.index(int(record.values["winner"])),
        objective[1], about.get(objective[1], ""), objective[0] == "maximise",
    )  # fmt: skip


def _varied(one: Parameter) -> c.Varied:
    about = one.distribution
    if about.kind == "choice":
        return c.Varied(one.name, "choice", 0.0, float(len(about.choices) - 1), tuple(map(_word, about.choices)))
    return c.Varied(one.name, "log" if "log" in about.kind else "linear", float(about.low), float(about.high))


def _word(choice: Any) -> str:
    if isinstance(choice, LeafRef):
        return choice.name
    return str(choice) if isinstance(choice, list) else label_of(choice)
