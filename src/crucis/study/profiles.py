"""Profiles of trainings as their records tell them: shares of the time per cell, slowest operators; tables, a picture.

A profile is a circumstance: it says where the time went on one machine at one moment, and no analysis reads it.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping
from typing import Any

from ..report import content as c
from .pictures import cell_label
from .readings import Readings

PHASES = {
    "data": "data", "forward": "forward", "backward": "backward, with the loss", "optimiser": "optimiser",
    "evaluation": "evaluation", "checkpoint": "checkpoints", "other": "all else",
}  # fmt: skip
_SAYS = {"backward": "of the loss as well", "checkpoint": "saving them", "other": "all else"}
_TIMING = "by how much timing the phases made a step longer, as a share of it"
_SHORT = "Trainings of so few steps do not tell by how much timing the phases made a step longer."
_MOST = 6  # cells that get a picture and a table of operators

Told = dict[str, Any]


def found(readings: Readings) -> dict[str, dict[str, list[tuple[str, Told]]]]:
    """Stage -> cell in words -> key and profile of each of its records that has one."""
    out: dict[str, dict[str, list[tuple[str, Told]]]] = {}
    for node in readings.plan.nodes:
        record = None if node.inner else readings.record(node.key)
        told = record.body.get("notes", {}).get("profile") if record is not None else None
        if told and told["seconds"]:
            cell = out.setdefault(node.instance.stage, {}).setdefault(cell_label(readings, node.instance.cell), [])
            cell.append((node.key, told))
    return out


def shares(told: Told) -> dict[str, float]:
    """Phase -> share of the whole run, in the order of `PHASES`."""
    total = sum(told["seconds"].values())
    return {name: told["seconds"][name] / total for name in PHASES if name in told["seconds"]}


def tables(readings: Readings) -> Iterator[c.StageTable]:
    """For each profiled stage the shares of its cells, and the slowest operators of each."""
    for stage, cells in found(readings).items():
        timed = any(one["overhead"] is not None for told in cells.values() for _, one in told)
        timing = (c.Column("timing", "number", says=_TIMING),) if timed else ()
        # No units here: with them the table is wider than the page.
        columns = (c.Column("cell"), *(c.Column(name, "number", says=_SAYS.get(name, "")) for name in PHASES),
                   c.Column("a step", "number", "seconds"), *timing,
                   c.Column("n", "n", says="profiled trainings"))  # fmt: skip
        rows = tuple(_row(label, told, timed) for label, told in cells.items())
        yield c.StageTable(
            f"{stage}-profile", f"where the time of {stage} goes", c.Table(columns, rows),
            ("Shares of the whole run, means over seeds. Times depend on the machine and the moment.",
             *(() if timed else (_SHORT,)), *_joined(cells)),
        )  # fmt: skip
        operators = tuple(row for label, told in list(cells.items())[:_MOST] for row in _operators(label, told))
        if operators:
            columns = (c.Column("cell"), c.Column("operator"), c.Column("calls per step", "number"),
                       c.Column("time per step", "number", "seconds"),
                       c.Column("share", "number", "fraction", "of the time of all operators in a step"))  # fmt: skip
            yield c.StageTable(
                f"{stage}-operators", f"slowest operators of {stage}", c.Table(columns, operators),
                ("Time of their own, without what they call, in five steps of the first seed (torch.profiler).",),
            )  # fmt: skip


def _row(label: str, told: list[tuple[str, Told]], timed: bool) -> c.Row:
    each = [shares(one) for _, one in told]
    means = [statistics.fmean(one.get(name, 0.0) for one in each) for name in PHASES]
    timing = [one["overhead"] for _, one in told if one["overhead"] is not None]
    step = statistics.median(one["per_step"] for _, one in told)
    cost = () if not timed else (statistics.median(timing) if timing else c.Absent("missing", "too few steps"),)
    return c.Row((label, *means, step, *cost, len(told)), tuple(key for key, _ in told))


def _joined(cells: Mapping[str, list[tuple[str, Told]]]) -> tuple[str, ...]:
    joined = [label for label, told in cells.items() if any(one["joined"] for _, one in told)]
    return (f"Compiled, so that forward counts with backward: {', '.join(joined)}.",) if joined else ()


def _operators(label: str, told: list[tuple[str, Told]]) -> Iterator[c.Row]:
    key, first = told[0]
    for one in first["operators"][:5]:
        yield c.Row((label, one["name"], one["calls"], one["seconds"], one["share"]), (key,))


def pictures(readings: Readings) -> Iterator[c.Figure]:
    """A picture per profiled cell: the share of each phase, a dot per seed."""
    for stage, cells in found(readings).items():
        for k, (label, told) in enumerate(list(cells.items())[:_MOST]):
            each = [shares(one) for _, one in told]
            clouds = tuple(
                c.Cloud(words, [one[name] for one in each], c.Estimate(statistics.fmean(one[name] for one in each)))
                for name, words in PHASES.items() if all(name in one for one in each)
            )  # fmt: skip
            yield c.Figure(
                f"{stage}-profile-{k + 1}", f"Where the time of {stage} goes: {label}",
                c.Dots(clouds, c.Axis("share of the run", "fraction", low=0.0)),
                "Wall time of the whole training by phase; a dot per profiled seed, and their mean.",
                tuple(key for key, _ in told), main=False,
            )  # fmt: skip


def lines(readings: Readings) -> Iterator[str]:
    """For the command line: shares of each profiled cell, and its three slowest operators."""
    for stage, cells in found(readings).items():
        for label, told in cells.items():
            each = [shares(one) for _, one in told]
            text = ", ".join(f"{name} {statistics.fmean(one.get(name, 0.0) for one in each):.0%}" for name in PHASES)
            yield f"Profile of {stage} {label} ({len(told)} trainings): {text}"
            slow = ", ".join(f"{one['name']} {one['share']:.0%}" for one in told[0][1]["operators"][:3])
            step = statistics.median(one["per_step"] for _, one in told)
            timing = [one["overhead"] for _, one in told if one["overhead"] is not None]
            cost = f"; timing phases cost {statistics.median(timing):+.1%} of a step" if timing else ""
            yield f"  a step takes {1000 * step:.3g} ms{cost}" + (f"; slowest operators: {slow}" if slow else "")
