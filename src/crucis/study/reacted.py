"""What trainings did about what went wrong in them, as their records tell it: a table per stage for the page.

A reader must see it, because each of these rows says that a training was not the one that the study's settings alone
describe: steps were left out, it went back, its rate was cut, its batch was computed in smaller chunks, or it ended.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..report import content as c
from .pictures import cell_label
from .readings import Readings

_MOST = 60  # rows of a table; the records have all
_TOLD = ("step", "why", "did", "count")


def tables(readings: Readings) -> Iterator[c.StageTable]:
    """For each stage with trainings that reacted: one row per training and kind of reaction."""
    for stage in readings.study.stages:
        rows: list[c.Row] = []
        trainings = reacted = 0
        for node in readings.plan.nodes:
            record = None if node.inner or node.instance.stage != stage else readings.record(node.key)
            if record is None or not record.spec["kind"].startswith("train"):
                continue
            trainings += 1
            found = record.body["attempt"].get("reactions") or []
            reacted += bool(found)
            label = cell_label(readings, node.instance.cell)
            rows += [c.Row((label, node.instance.seed, *cells), (node.key,)) for cells in _kinds(found)]
        if rows:
            words = ("cell", "seed", "what was done", "because of", "times", "first at step", "the last time")
            columns = tuple(c.Column(name, "number" if at in (1, 4, 5) else "text") for at, name in enumerate(words))
            more = (f"{len(rows) - _MOST} more rows are in the records.",) if len(rows) > _MOST else ()
            yield c.StageTable(
                f"{stage}-reactions", f"how trainings of {stage} reacted to what went wrong",
                c.Table(columns, tuple(rows[:_MOST])),
                (f"{reacted} of {trainings} trainings reacted; the others ran as the settings say.", *more),
            )  # fmt: skip


def _kinds(reactions: list[Mapping[str, Any]]) -> Iterator[tuple[Any, ...]]:
    """(did, why, times, first step, details of the last) per kind of reaction, in the order in which they began."""
    kinds: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for one in reactions:
        if one["did"] != "more of these":
            kinds.setdefault((one["did"], one["why"]), []).append(one)
    beyond = {one["why"]: one["count"] for one in reactions if one["did"] == "more of these"}
    for (did, why), found in kinds.items():
        last = {name.replace("_", " "): value for name, value in found[-1].items() if name not in _TOLD}
        details = ", ".join(f"{name} {value}" for name, value in last.items())
        yield did, why, len(found) + beyond.get(f"{did} because of {why}", 0), found[0]["step"], details
