"""Why a step would run: what differs between its spec and that of the step that stood in its place before."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ..engine.store import Store
from . import registry
from .nodes import Node
from .plan import Plan


class Why:
    """Sentences for the missing steps of a plan, from the keys that the study had at its last run."""

    def __init__(self, plan: Plan, store: Store) -> None:
        self.store = store
        self.current = {node.key: node for node in plan.nodes}
        self.latest = registry.latest(plan.study, store)
        self._labels = {key: label for label, key in self.latest.items()}
        self._memo: dict[str, str] = {}

    def reason(self, node: Node) -> str:
        """One sentence without a full stop, such as `params.lr: 0.1 -> 0.05`."""
        if node.key not in self._memo:
            self._memo[node.key] = self._reason(node)
        return self._memo[node.key]

    def _reason(self, node: Node) -> str:
        if node.pending:
            return f"after {node.waits}" if node.waits != node.owner else "after its trials"
        failures = self.store.failures(node.key)
        if failures:
            return f"failed before ({failures[-1].get('code', 'unknown')}, {len(failures)} tries)"
        before = self.latest.get(node.label)
        if before == node.key:
            return "was planned before and has not finished"
        if before is None:
            return "new" if not self.latest else "new in this study"
        record = self.store.read(before)
        if record is None:
            return "its identity changed before it ever finished"
        return "; ".join(differences(record.spec, node.spec, self._input_name)) or "its identity changed"

    def _input_name(self, key: str) -> str:
        node = self.current.get(key)
        return node.label if node is not None else self._labels.get(key, key[:12])


def options_before(plan: Plan, store: Store) -> str:
    """Options of the study's last run that belong to the key of a training and that this plan is without, as the
    command line has them (` --ranks 2 --fast`); empty if there are none, or a step of this plan has a record."""
    if any(store.has(key) for key in plan.by_key):
        return ""
    for key in registry.latest(plan.study, store).values():
        record = store.read(key)
        if record is not None and record.spec["kind"].startswith("train"):
            ranks, fast = record.spec.get("world", 1), record.spec.get("determinism") == "fast"
            differ = f" --ranks {ranks}" if ranks not in (1, plan.circumstance.ranks) else ""
            return differ + (" --fast" if fast and plan.circumstance.determinism != "fast" else "")
    return ""


def replays(plan: Plan, store: Store, nodes: Iterable[Node]) -> list[Node]:
    """Finished trainings that would run again because a checkpoint is wanted that they did not leave, or because
    weights are that were given up; with those that such a training itself begins with."""
    part = list(nodes)
    missing = {made for node in part for made in (node.key, *node.marks.values()) if not store.whole(made)}
    wanted: set[str] = set()
    for node in part:
        if not store.has(node.key) and not (node.sealed and not plan.circumstance.unsealed):
            wanted.update(_opened(node))
    out: dict[str, Node] = {}
    for node in reversed(part):
        keep = {node.marks[mark] for mark in node.read} | wanted
        if store.has(node.key) and missing & keep & {node.key, *node.marks.values()} and node.key not in out:
            out[node.key] = node
            wanted.update(_opened(node))
    return list(reversed(out.values()))


def _opened(node: Node) -> Iterator[str]:
    """Keys of the records whose files a step opens; a search reads values only."""
    if not node.spec["kind"].startswith("search/"):
        for value in node.inputs.values():
            yield from [value] if isinstance(value, str) else value


def differences(before: Mapping[str, Any], after: Mapping[str, Any], name: Any = None, path: str = "") -> list[str]:
    """The places where two specs differ, in words: `params.lr: 0.1 -> 0.05`, `the code of net changed`."""
    out = []
    for key in sorted({*before, *after}):
        here = f"{path}.{key}" if path else key
        old, new = before.get(key), after.get(key)
        if old == new:
            continue
        if key == "source":
            out.append(f"the code of {path or 'the leaf'} changed")
        elif path == "inputs":
            out.append(f"its input '{key}' changed")
        elif key in ("revision", "rooms"):
            out.append(f"{path + ': ' if path else ''}built-in code was revised ({old} -> {new})")
        elif isinstance(old, Mapping) and isinstance(new, Mapping):
            out += differences(old, new, name, here)
        else:
            out.append(f"{here}: {_short(old)} -> {_short(new)}")
    return out


def _short(value: Any) -> str:
    if value is None:
        return "(default)"
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 40 else f"{text[:37]}..."
