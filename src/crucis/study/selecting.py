"""What a worker does for a search: propose the next trials, and say which trial won. Imports no torch."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import Refusal
from ..records import Record, Result
from ..search.space import Ask, Dimension, Told, best_first, scores
from .trials import objective, score


def propose(spec: Mapping[str, Any], leaf: Callable[..., Sequence[Ask]]) -> Result:
    """The next evaluations of a search; none when it is over."""
    space = [Dimension.unpack(item) for item in spec["space"]]
    told = [Told.unpack(item) for item in spec["told"]]
    asks = leaf(space, told, spec["rungs"], spec["seed"], **spec["params"])
    return Result(values={"asks": [ask.pack() for ask in asks]})


def select(spec: Mapping[str, Any], records: Sequence[Record | None], out: Path) -> Result:
    """The winner of a search: the best score at the full length; ties go to the earlier trial.

    Leaves `trials.npz`, one row per evaluation: trial, rung, objective (the mean over seeds; NaN if one is missing),
    steps (optimiser steps spent), seeds, and one array per parameter (NaN where it does not exist; the place of a
    choice, from 0).

    Raises:
        Refusal: no trial ended with a number.
    """
    direction, column = spec["objective"]
    rungs, left = spec["rungs"], iter(records)
    told: list[Told] = []
    rows: list[tuple[Ask, list[float | None], float]] = []
    device = 0.0
    for packed in spec["trials"]:
        ask = Ask.unpack(packed[:3])
        made = [next(left) if present else None for present in packed[3]]
        found = [objective(record.outcome, record.values, column) if record else None for record in made]
        told.append(Told(ask, score(direction, found)))
        rows.append((ask, found, sum(steps_of(record) for record in made)))
        device += sum(seconds_of(record) for record in made)
    complete = scores(told, rungs - 1)
    best = best_first(complete)
    lost = {one.ask.trial for one in told if one.score is None}
    begun = {one.ask.trial for one in told}
    counts = {
        "trials": len(begun), "done": len(best), "failed": len(lost), "pruned": len(begun - lost - set(complete)),
        "steps_spent": sum(steps for _, _, steps in rows),
    }  # fmt: skip
    if not best:
        raise Refusal("too_few", f"none of the {len(begun)} trials ended with a number, so there is no winner")
    won = next(row for row in rows if row[0].trial == best[0] and row[0].rung == rungs - 1)
    numbers = [value for value in won[1] if value is not None]
    _write_table(out / "trials.npz", spec, rows)
    mean = math.fsum(numbers) / len(numbers)
    spread = statistics.stdev(numbers) / math.sqrt(len(numbers)) if len(numbers) > 1 else None
    return Result(
        values={"best": mean, "winner": best[0], **counts, **chosen_numbers(spec, won[0])},
        uncertainty={} if spread is None else {"best": {"se": spread, "n": len(numbers), "kind": "seeds"}},
        files={"trials.npz": "table"},
        notes={"cost": {"device_s": round(device, 6)}, "chosen": {spec["parameters"][i][1]: value
                                                                  for i, value in won[0].values.items()}},
    )  # fmt: skip


def chosen_numbers(spec: Mapping[str, Any], ask: Ask) -> dict[str, float]:
    """The values of a trial that are numbers, by the names of their columns."""
    out = {}
    for position, value in ask.values.items():
        name, _, choices = spec["parameters"][position]
        number = choices[int(value)] if choices else value
        if number is not None:
            out[name] = number
    return out


def steps_of(record: Record | None) -> float:
    """Optimiser steps that a training took, also one that diverged."""
    if record is None:
        return 0
    steps = record.values.get("steps", record.body.get("notes", {}).get("diverged_at", 0))
    return steps if isinstance(steps, (int, float)) else 0


def seconds_of(record: Record | None) -> float:
    """Device seconds of a training; its wall time where the device was not timed."""
    if record is None:
        return 0.0
    cost = record.body.get("cost", {})
    return float(cost.get("device_s") or cost.get("wall_s") or 0.0)


def _write_table(path: Path, spec: Mapping[str, Any], rows: Sequence[tuple[Ask, list[float | None], float]]) -> None:
    def mean(found: list[float | None]) -> float:
        kept = [value for value in found if value is not None]
        return math.fsum(kept) / len(kept) if kept and len(kept) == len(found) else math.nan

    arrays: dict[str, Any] = {
        "trial": np.array([ask.trial for ask, _, _ in rows], np.int64),
        "rung": np.array([ask.rung for ask, _, _ in rows], np.int64),
        "objective": np.array([mean(found) for _, found, _ in rows], np.float64),
        "steps": np.array([steps for _, _, steps in rows], np.float64),
        "seeds": np.array([len(found) for _, found, _ in rows], np.int64),
    }
    for position in range(len(spec["space"])):
        values = [float(ask.values.get(position, math.nan)) for ask, _, _ in rows]
        arrays[f"p{position}"] = np.array(values, np.float64)
    np.savez(path, **arrays)
