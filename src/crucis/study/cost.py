"""What a plan will cost: predicted from the records of like steps, with the confidence that their number gives."""

from __future__ import annotations

import json
import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ..engine.steps import Step
from ..engine.store import Store
from .nodes import Node
from .plan import Plan
from .trials import Hunt

_SAMPLE = 2000  # records read at most: 15 microseconds each


def likeness(spec: Mapping[str, Any], models: Mapping[str, Any] | None = None) -> tuple[tuple[str, ...], ...]:
    """Names of the groups that a step belongs to, from the narrowest to the widest.

    Steps of one kind with the same parameters on the same net and data cost alike; then those of one kind and net;
    then those of one kind.
    """
    model = next((m for m in (models or {}).values() if isinstance(m, Mapping)), None)
    net = spec.get("net") or (model and model["training"]["net"]) or {}
    data = spec.get("data") or (model and model["data"]) or {}
    kind = str(spec["kind"])
    about = json.dumps(net, sort_keys=True)
    exact = json.dumps([spec.get("params"), data], sort_keys=True)
    return (kind, about, exact), (kind, about), (kind,)


@dataclass(frozen=True)
class Forecast:
    """Predicted seconds of the missing steps: total over all, the wall time on `slots`, and how many are unknown."""

    total_s: float
    wall_s: float
    unknown: int
    by_stage: Mapping[str, float]


class Predictor:
    """Seconds of a step from the records of like steps that are in the store."""

    def __init__(self, plan: Plan, store: Store) -> None:
        self._node = {node.key: node for node in plan.nodes}
        seen: dict[tuple[str, ...], list[float]] = defaultdict(list)
        for key in sorted(store.hits(list(self._node)))[:_SAMPLE]:
            record = store.read(key)
            if record is not None:
                node = self._node[key]
                for name in likeness(node.spec, node.models):
                    seen[name].append(float(record.body["cost"]["wall_s"]))
        self._median = {name: statistics.median(values) for name, values in seen.items()}

    def learn(self, timed: Mapping[str, float]) -> None:
        """Add predictions that were measured otherwise: key -> seconds."""
        for key, seconds in timed.items():
            node = self._node[key]
            self._median.setdefault(likeness(node.spec, node.models)[0], seconds)

    def seconds(self, node: Node) -> float | None:
        """Predicted wall seconds of a step, or None if no like step was ever run here."""
        for name in likeness(node.spec, node.models):
            if name in self._median:
                return self._median[name]
        return None

    def step_seconds(self, step: Step) -> float:
        """For the supervisor, which starts long steps first; unknown steps count as long."""
        node = self._node.get(step.key)
        known = self.seconds(node) if node is not None else None
        return known if known is not None else 1e6

    def forecast(self, missing: Iterable[Node], slots: int, hunts: Iterable[Hunt] = ()) -> Forecast:
        """Cost of the missing steps and of the trials that searches will begin; the unknown count zero and are counted.

        A trial that is not known yet is taken for one full training.
        """
        by_stage: dict[str, float] = defaultdict(float)
        unknown = 0
        later = [(hunt.sample, hunt.unknown) for hunt in hunts if hunt.sample is not None]
        for node, count in [*((node, 1) for node in missing), *later]:
            known = self.seconds(node)
            if known is not None:
                by_stage[node.owner] += known * count
            elif node.spec["kind"].startswith(("search/", "propose/")):
                continue  # milliseconds
            else:
                unknown += count
        total = sum(by_stage.values())
        return Forecast(total, total / max(1, slots), unknown, dict(by_stage))
