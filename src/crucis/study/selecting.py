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
from ..search.searches.threshold import bracket
from ..search.space import Ask, Dimension, Told
from .trials import ended, objective, winner


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
    direction, text = spec["objective"]
    column, rungs, left = spec.get("column", text), spec["rungs"], iter(records)
    told: list[Told] = []
    rows: list[tuple[Ask, list[float | None], float]] = []
    device = 0.0
    for packed in spec["trials"]:
        ask = Ask.unpack(packed[:3])
        made = [next(left) if present else None for present in packed[3]]
        found = [objective(record.outcome, record.values, column) if record else None for record in made]
        told.append(ended(direction, text, ask, found))
        rows.append((ask, found, sum(steps_of(record) for record in made)))
        device += sum(seconds_of(record) for record in made)
    counts = _counts(rows, rungs)
    space = [Dimension.unpack(item) for item in spec["space"]]
    best = winner(direction, told, rungs, space, spec["params"])
    if best is None:
        what = "reached the criterion" if direction == "success" else "ended with a number"
        raise Refusal("too_few", f"none of the {counts['trials']} trials {what}, so there is no winner")
    won = next(row for row in rows if row[0].trial == best and row[0].rung == rungs - 1)
    numbers = [value for value in won[1] if value is not None]
    _write_table(out / "trials.npz", spec, rows)
    values: dict[str, Any] = {"winner": best, **counts, **chosen_numbers(spec, won[0])}
    uncertainty = {}
    if direction == "success":
        values |= _bracketed(spec, space, told)
    else:
        values["best"] = math.fsum(numbers) / len(numbers)
        if len(numbers) > 1:
            se = statistics.stdev(numbers) / math.sqrt(len(numbers))
            uncertainty["best"] = {"se": se, "n": len(numbers), "kind": "seeds"}
    return Result(
        values=values,
        uncertainty=uncertainty,
        files={"trials.npz": "table"},
        notes={"cost": {"device_s": round(device, 6)}, "chosen": {spec["parameters"][i][1]: value
                                                                  for i, value in won[0].values.items()}},
    )  # fmt: skip


def _counts(rows: Sequence[tuple[Ask, list[float | None], float]], rungs: int) -> dict[str, float]:
    """How many trials began, were trained in full, stopped early or lost, and the optimiser steps of all."""
    begun = {ask.trial for ask, _, _ in rows}
    lost = {ask.trial for ask, found, _ in rows if None in found}
    whole = {ask.trial for ask, _, _ in rows if ask.rung == rungs - 1}
    return {
        "trials": len(begun), "done": len(whole - lost), "failed": len(lost), "pruned": len(begun - lost - whole),
        "steps_spent": sum(steps for _, _, steps in rows),
    }  # fmt: skip


def _bracketed(spec: Mapping[str, Any], space: Sequence[Dimension], told: Sequence[Told]) -> dict[str, float]:
    """Ends of the bracket, whether it is open above, and the bits of the labels where that is well defined."""
    params = spec["params"]
    low, high, _ = bracket(space, told, params["find"], params.get("level", 0.5), params.get("tolerance", 0.05))
    assert low is not None
    out: dict[str, float] = {"low": low, "censored": int(high is None)}
    if high is not None:
        out["high"] = high
        if spec.get("classes"):
            out["bits"] = low * math.log2(spec["classes"])
    return out


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
