"""What cards say in numbers: means over seeds with intervals, each with its seeds and the digests of its records."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ...stats.describe import summary
from ...stats.table import Sample
from ..pictures import cell_label
from ..plan import Node
from ..readings import Readings


@dataclass(frozen=True)
class Measured:
    """One column of one cell: mean, 95 % interval (None with one value), n of the planned seeds, records behind it."""

    stage: str
    cell: Mapping[str, str]
    label: str
    column: str
    unit: str
    split: str
    data: str
    mean: float
    low: float | None
    high: float | None
    sd: float | None
    seeds: tuple[int, ...]
    planned: int
    records: Mapping[str, str]

    @property
    def words(self) -> str:
        """`0.912 [0.907, 0.917]`, or the mean alone."""
        mean = f"{self.mean:.4g}"
        return mean if self.low is None or self.high is None else f"{mean} [{self.low:.4g}, {self.high:.4g}]"


def measured(readings: Readings, stages: Iterable[str] | None = None) -> list[Measured]:
    """Headline columns of the stages (all by default), one entry per cell; cells without a value are left out."""
    chosen = set(readings.study.stages if stages is None else stages)
    groups: dict[tuple[str, str], list[Node]] = {}
    for node in readings.plan.nodes:
        if node.instance.stage in chosen:
            groups.setdefault((node.instance.stage, cell_label(readings, node.instance.cell)), []).append(node)
    out = []
    for (stage, label), nodes in groups.items():
        for column, about in nodes[0].bound.leaf.columns.items():
            if about.get("headline"):
                found = _one(readings, stage, label, column, str(about.get("unit", "")), nodes)
                if found is not None:
                    out.append(found)
    return out


def _one(
    readings: Readings, stage: str, label: str, column: str, unit: str, nodes: Sequence[Node]
) -> Measured | None:  # fmt: skip
    values: list[float] = []
    seeds: list[int] = []
    records: dict[str, str] = {}
    for node in nodes:
        record = readings.record(node.key)
        value = record.values.get(column) if record is not None and record.outcome == "ok" else None
        if record is not None and isinstance(value, (int, float)) and not isinstance(value, bool):
            values.append(float(value))
            seeds += [] if node.instance.seed is None else [node.instance.seed]
            records[node.key] = str(record.body["content"])
    if not values:
        return None
    low = high = sd = None
    if len(values) > 1:
        found = summary.estimate(Sample(values))  # type: ignore[arg-type]
        low, high, sd = found["low"], found["high"], found["sd"]
    return Measured(
        stage, dict(nodes[0].instance.cell), label, column, "" if unit == "1" else unit,
        str(nodes[0].spec.get("split", "validation")), data_of(readings, nodes[0]), sum(values) / len(values), low,
        high, sd, tuple(seeds), len(nodes), records,
    )  # fmt: skip


def data_of(readings: Readings, node: Node) -> str:
    """The name of the data set that a step reads, or an empty text."""
    data = node.spec.get("data") or (node.facts.data if node.facts else None)
    if data is None:
        data = next((m["data"] for m in node.models.values() if isinstance(m, dict) and "data" in m), None)
    return str(readings.plan.sources.get(data["digest"], {}).get("name", "")) if data else ""
