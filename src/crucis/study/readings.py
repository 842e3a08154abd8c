"""The columns of a study as read from the store: one point per planned instance, with the state that it is in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..engine.store import Store
from ..records import Record
from . import design
from .nodes import Node, checkpoint
from .plan import Plan
from .spec import Dollar, Ref
from .table import Point

#: Columns that are circumstance: taken from a record's cost, never from its values.
COST = {"seconds": "wall_s", "memory": "peak_ram_mb", "device_seconds": "device_s"}


def cost(found: Mapping[str, Any], column: str) -> float | None:
    """`seconds` in seconds, `memory` in bytes (a record keeps MiB)."""
    value = found.get(COST[column])
    return None if value is None else float(value) * (2**20 if column == "memory" else 1)


class Readings:
    """A `Source` of points backed by a plan and a store. Reads each record once."""

    def __init__(self, plan: Plan, store: Store) -> None:
        self.plan, self.study, self.store = plan, plan.study, store
        self._records: dict[str, Record | None] = {}
        self._states: dict[str, str] = {}
        self._nodes: dict[str, list[Node]] = {}
        for node in plan.nodes:
            self._nodes.setdefault(node.instance.stage, []).append(node)
        #: Another study may have unsealed and computed these; for this one they stay out of sight.
        self._hidden = set() if plan.circumstance.unsealed else {node.key for node in plan.nodes if node.sealed}

    def record(self, key: str) -> Record | None:
        """The record of a key, or None."""
        if key not in self._records:
            self._records[key] = None if key in self._hidden else self.store.read(key)
        return self._records[key]

    def state(self, node: Node) -> str:
        """`ok`, `refused`, `diverged`, `failed`, `sealed` or `missing`."""
        if node.key not in self._states:
            record = self.record(node.key)
            if node.lost:
                state = "refused"
            elif record is not None:
                state = record.outcome
            elif node.sealed and not self.plan.circumstance.unsealed:
                state = "sealed"
            else:
                state = "failed" if self.store.failures(node.key) else "missing"
            self._states[node.key] = state
        return self._states[node.key]

    def lost(self, node: Node) -> str:
        """Which wanted checkpoints a finished training ended without, in words; empty if none."""
        notes = self.store.failures(node.key) if node.marks and self.record(node.key) is not None else []
        if not notes or notes[-1].get("code") != "not_published":
            return ""
        gone = [mark for mark, key in node.marks.items() if not self.store.has(key)]
        marks = ", ".join("best" if mark == "best" else f"step {mark}" for mark in gone)
        last = self.record(node.key).values.get("steps")  # type: ignore[union-attr]
        return f"it ended after step {last} and left no checkpoint at {marks}" if gone else ""

    def why(self, node: Node) -> str:
        """Why a step has no usable value, in words; empty if it simply has not run."""
        if node.lost:
            return node.lost
        record = self.record(node.key)
        if record is not None:
            reason = record.body.get("reason") or {}
            where = f" ({reason['where']})" if reason.get("where") else ""
            return f"{reason.get('text', '')}{where}"
        notes = self.store.failures(node.key)
        return f"{notes[-1].get('code', '')}: {notes[-1].get('text', '')}".strip(": ") if notes else ""

    # -- the protocol of `table.Source` -------------------------------------------------------------------------

    def points(self, ref: Ref) -> list[Point]:
        """All points of a stage's column or of a factor's field.

        Args:
            ref: fixed axes (`@strategy=naive`) select points and disappear from their `axes`; `*` keeps them.
        """
        if ref.name in self.study.factors:
            return self._field_points(ref)
        if ref.name not in self.study.stages:
            raise LookupError(f"'{ref.name}' is no stage of this study")
        fixed = {axis: str(value) for axis, value in ref.at if value != "*" and not isinstance(value, Dollar)}
        out: list[Point] = []
        for node in self._nodes.get(ref.name, []):
            if _selected(node, fixed):
                out += self._node_points(node, ref, fixed)
        return out + self._excluded(ref, fixed)

    def field(self, factor: str, label: str, field: str) -> Any:
        """The field of a level, or None if the level has none of that name."""
        level = self.study.factors[factor].level(label)
        return (level.fields or {}).get(field)

    def labels(self, axis: str) -> tuple[str, ...]:
        """Labels of a factor in the order of the file."""
        return self.study.factors[axis].labels if axis in self.study.factors else ()

    # -- details ------------------------------------------------------------------------------------------------

    def _field_points(self, ref: Ref) -> list[Point]:
        out = []
        for level in self.study.factors[ref.name].levels:
            value = (level.fields or {}).get(ref.column or "") if ref.column else level.value
            number = float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None
            # A level without this field is no gap in the data: the study's author left it out.
            out.append(Point({ref.name: level.label}, None, number, "ok" if number is not None else "excluded"))
        return out

    def _node_points(self, node: Node, ref: Ref, fixed: Mapping[str, str]) -> list[Point]:
        axes = {name: label for name, label in node.instance.cell.items() if name not in fixed}
        seed = node.instance.seed
        key = node.key
        if "at" in fixed:
            key, stored = checkpoint(node, fixed["at"])
            if not stored:
                return [Point(axes, seed, None, "missing", key)]
        record = self.record(key)
        state = self.state(node) if record is None or key == node.key else record.outcome
        if record is None and state == "ok":  # the training is done, but this checkpoint of it was not kept
            return [Point(axes, seed, None, "missing", key, why="the training left no such checkpoint")]
        if record is None or record.outcome != "ok":
            return [Point(axes, seed, None, state, key, why=self.why(node))]
        numerics = record.body.get("numerics", {}).get("hash", "")
        value, spread = column_value(record, ref.column or "", [axis for axis, _ in ref.at])
        left = record.body.get("notes", {}).get("left_out", {}).get(ref.column, "")  # why a leaf gave no such column
        out = []
        for labels, number, se in _leaves(value, spread, self._own_axes(node, ref), fixed):
            present = isinstance(number, (int, float)) and not isinstance(number, bool)
            out.append(
                Point(
                    {**axes, **labels}, seed, float(number) if present else None,
                    "ok" if present else "refused", key, numerics, se, why="" if present else left,
                )
            )  # fmt: skip
        return out

    def _own_axes(self, node: Node, ref: Ref) -> list[str]:
        declared = node.bound.leaf.columns.get(ref.column or "", {})
        within = declared.get("within")
        return [*declared.get("axes", []), *([within] if within and ref.axis(within) is not None else [])]

    def _excluded(self, ref: Ref, fixed: Mapping[str, str]) -> list[Point]:
        """Rows that are absent by design: cells of the study that the stage's own `only` or `except` leaves out."""
        stage = self.study.stages[ref.name]
        if not stage.only and not stage.exclude:
            return []
        factors = design.stage_factors(self.study, ref.name)
        present = {tuple(node.instance.cell.get(f, "") for f in factors) for node in self._nodes.get(ref.name, [])}
        out, seen = [], set()
        for cell in design.cells(self.study):
            labels = tuple(cell[f] for f in factors)
            if labels in present or labels in seen:
                continue
            seen.add(labels)
            axes = dict(zip(factors, labels, strict=True))
            if all(axes.get(axis, value) == value for axis, value in fixed.items()):
                kept = {axis: label for axis, label in axes.items() if axis not in fixed}
                out.append(Point(kept, None, None, "excluded"))
        return out


def _selected(node: Node, fixed: Mapping[str, str]) -> bool:
    if "seed" in fixed and str(node.instance.seed) != fixed["seed"]:
        return False
    return all(node.instance.cell.get(axis, value) == value for axis, value in fixed.items() if axis != "seed")


def column_value(record: Record, column: str, named: Sequence[str]) -> tuple[Any, Any]:
    """A column's value and standard error as stored: a number, or nested mappings over its own axes.

    `named`: axes that the reference mentions, fixed or as `*`; a mean over one of them gives its parts.
    """
    if column in COST and column not in record.values:
        return cost(record.body.get("cost", {}), column), None
    for name in record.values:
        head, _, axis = name.partition("@")
        if axis and head == column and axis in named:  # parts of a headline mean: `h1_total@slice=2`
            return record.values[name], record.uncertainty.get(name)
    return record.values.get(column), record.uncertainty.get(column)


def _leaves(
    value: Any, spread: Any, axes: list[str], fixed: Mapping[str, str]
) -> Iterator[tuple[dict[str, str], Any, float | None]]:
    """Walk nested mappings: own-axis labels, number, standard error."""
    if isinstance(value, Mapping) and axes:
        axis, rest = axes[0], axes[1:]
        for label, inner in value.items():
            if axis in fixed and fixed[axis] != label:
                continue
            below = spread.get(label) if isinstance(spread, Mapping) else None
            for labels, number, se in _leaves(inner, below, rest, fixed):
                yield ({**labels} if axis in fixed else {axis: label, **labels}), number, se
        return
    se = spread.get("se") if isinstance(spread, Mapping) else None
    yield {}, value, float(se) if isinstance(se, (int, float)) else None
