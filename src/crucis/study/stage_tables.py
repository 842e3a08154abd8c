"""The table of one stage for the report: means over seeds with intervals, cell by cell."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..report import content as c
from ..stats.describe import summary
from ..stats.table import Sample
from .nodes import Node
from .pictures import cell_label
from .readings import Readings
from .stage_columns import COST, declared

_OBJECTIVE = "what the training minimises, on the validation split; it compares with trainings of the same kind only"


def stage_table(readings: Readings, stage: str, what: str) -> c.StageTable | None:
    """The table of a stage's headline columns, `what` in words; None while there is no number."""
    groups: dict[str, list[tuple[Node, Any]]] = defaultdict(list)
    names: dict[str, str] = {}
    axes: dict[str, str] = {}  # column -> its axis, if it has one
    for node in readings.plan.nodes:
        if node.instance.stage == stage:
            record = readings.record(node.key)
            groups[cell_label(readings, node.instance.cell)].append((node, record))
            for name, about in node.bound.leaf.columns.items():
                if about.get("headline") or name in ("parameters", "train_accuracy"):
                    names[name] = about.get("unit", "")
                    own = about.get("axes", ())
                    axes[name] = own[0] if len(own) == 1 else ""
            if readings.study.stages[stage].verb == "search":
                declared_here = declared(readings.study, readings.study.stages[stage])
                names |= {name: about.get("unit", "") for name, about in declared_here.items() if name not in COST}
    names = {part: unit for name, unit in names.items()
             for part in _parts(groups.values(), name, axes.get(name, ""))}  # fmt: skip
    present = [name for name in names if any(_scalars(group, name) for group in groups.values())]
    if not present:
        return None
    columns = (c.Column("cell"), *(_column(n, names[n]) for n in present),
               c.Column("n", "n", says="seeds present, of those planned"))  # fmt: skip
    rows, missing = [], []
    for label, group in groups.items():
        cells = [_mean(_scalars(group, name)) for name in present]
        ok = sum(record is not None and record.outcome == "ok" for _, record in group)
        keys = tuple(record.key for _, record in group if record is not None)
        rows.append(c.Row((label, *cells, ok if ok == len(group) else f"{ok} of {len(group)}"), keys))
        missing += [
            f"{label}, seed {node.instance.seed}: {readings.state(node)}" for node, _ in group
            if readings.state(node) != "ok"
        ]  # fmt: skip
    return c.StageTable(
        stage, what, c.Table(columns, tuple(rows)),
        ("Mean over seeds with its 95 % interval (Student's t, which knows no bounds and may pass 0 or 1).",),
        tuple(missing),
    )  # fmt: skip


def _parts(groups: Iterable[Sequence[tuple[Node, Any]]], name: str, axis: str) -> list[str]:
    """The columns of one axis whose labels are words, such as games, one by one; what goes along numbers is a curve."""
    found = [record.values.get(name) for group in groups for _, record in group
             if record is not None and record.outcome == "ok"]  # fmt: skip
    labels = list(dict.fromkeys(label for value in found if isinstance(value, Mapping) for label in value))
    if not axis or not labels or any(label.replace(".", "").isdigit() for label in labels):
        return [name]
    return [f"{name}@{axis}={label}" for label in labels]


def _column(name: str, unit: str) -> c.Column:
    """A column with its unit; a loss in other units than nats is no cross-entropy of a classifier, and says so."""
    says = _OBJECTIVE if name == "loss" and unit != "nats" else ""
    return c.Column(name, "estimate", "" if unit == "1" else unit, says)


def _scalars(group: Sequence[tuple[Node, Any]], name: str) -> list[float]:
    head, at, part = name.partition("@")
    values = [record.values.get(head) for _, record in group if record is not None and record.outcome == "ok"]
    if at:
        values = [value.get(part.partition("=")[2]) for value in values if isinstance(value, Mapping)]
    return [float(v) for v in values if isinstance(v, (int, float)) and not isinstance(v, bool)]


def _mean(values: list[float]) -> c.Cell:
    if not values:
        return c.Absent("missing")
    if min(values) == max(values):
        return c.Estimate(values[0])
    found = summary.estimate(Sample(values))  # type: ignore[arg-type]
    return c.Estimate(float(found["mean"] or 0.0), found["low"], found["high"])
