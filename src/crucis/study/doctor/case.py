"""What the rules look at: the study, its plan, its records and what they came to. Reads only."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...records import Record
from ..pictures import node_label
from ..plan import Node, Plan
from ..session import Conclusion, Session
from ..spec import Study

Curve = dict[str, list[float]]


@dataclass
class Case:
    """A study at its store, concluded. `measure`: rules may run short trials on this machine."""

    session: Session
    conclusion: Conclusion
    measure: bool = True
    _curves: dict[str, Curve | None] = field(default_factory=dict)

    @property
    def study(self) -> Study:
        """The study."""
        return self.session.study

    @property
    def plan(self) -> Plan:
        """Its plan."""
        return self.session.plan

    @property
    def file(self) -> str:
        """How commands name the study."""
        preset = f" --preset {self.study.preset}" if self.study.preset else ""
        return f"{Path(self.study.file).name}{preset}"

    def state(self, node: Node) -> str:
        """`ok`, `refused`, `diverged`, `failed`, `sealed` or `missing`."""
        return self.conclusion.readings.state(node)

    def label(self, node: Node) -> str:
        """The step in words."""
        return node_label(self.conclusion.readings, node)

    def record(self, node: Node) -> Record | None:
        """Its record, if it may be seen."""
        return self.conclusion.readings.record(node.key)

    def nodes(self, *states: str) -> list[Node]:
        """One node per key whose state is among these."""
        return [node for node in self.plan.by_key.values() if self.state(node) in states]

    def trained(self) -> Iterator[tuple[str, list[tuple[Node, Record]]]]:
        """Stage and cell in words, and the trainings of it that ended well, one per seed; of classifiers, since that is
        what the rules are about."""
        groups: dict[str, list[tuple[Node, Record]]] = {}
        for node in self.plan.by_key.values():
            record = self.record(node)
            ended = record is not None and record.outcome == "ok" and "accuracy" in record.values
            if node.spec["kind"].startswith("train/") and record is not None and ended:
                cell = " ".join(node.instance.cell.values())
                groups.setdefault(f"{node.instance.stage} {cell}".strip(), []).append((node, record))
        yield from groups.items()

    def curve(self, record: Record) -> Curve | None:
        """Columns of `curve.npz`, one row per evaluation, or None where there is no such file."""
        if record.key not in self._curves:
            found = "curve.npz" in record.body["files"]
            arrays: dict[str, Any] = record.arrays("curve.npz") if found else {}
            self._curves[record.key] = {name: values.tolist() for name, values in arrays.items()} if found else None
        return self._curves[record.key]

    def curves(self, group: list[tuple[Node, Record]], least: int = 5) -> list[tuple[Node, Record, Curve]]:
        """Those of a group that have at least `least` evaluations."""
        found = [(node, record, self.curve(record)) for node, record in group]
        return [(node, record, curve) for node, record, curve in found if curve and len(curve.get("step", ())) >= least]
