"""Checklists that the program runs so that no user has to: before training, and after everything ran."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from ..engine.steps import Step
from . import registry, sanity
from .cost import likeness
from .leaves import WRITTEN
from .plan import Node
from .session import Conclusion, Session

_LEAST_SEEDS = 3
_COMPARES = ("compare", "correlate", "predict", "attribute")


@dataclass(frozen=True)
class Tick:
    """One line: `holds` is None where it cannot be told yet."""

    what: str
    holds: bool | None
    says: str

    def __str__(self) -> str:
        mark = {True: "x", False: " ", None: "?"}[self.holds]
        return f"[{mark}] {self.what}: {self.says}"


def before(session: Session, missing: Iterable[Node]) -> tuple[Tick, ...]:
    """What must hold before the first step: seeds, a valid configuration, disjoint splits, room on the disk."""
    study, plan = session.study, session.plan
    removed = sum(info.duplicates_removed for info in plan.infos.values())
    taken = f"; {removed} exact duplicates were taken out of training" if removed else ""
    return (
        Tick("seeds set", True, ", ".join(map(str, study.seeds))),
        Tick("configuration", True, f"complete and valid, {len(plan.by_key)} steps"),
        Tick(
            "splits disjoint",
            True,
            f"{len(plan.infos)} data set{'s' * (len(plan.infos) != 1)}, compared by content{taken}",
        ),
        _room(session, list(missing)),
        *_sane([sanity.noted(session.store.path, node.spec) for node in _trainings(session)], "before the first run"),
    )


def _room(session: Session, missing: list[Node]) -> Tick:
    """Bytes that the missing steps will leave, from records of like steps, against what is free."""
    sizes: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for node in session.plan.by_key.values():
        record = session.store.read(node.key)
        if record is not None:
            total = sum(int(about["bytes"]) for about in record.body["files"].values())
            for name in likeness(node.spec, node.models):
                sizes[name].append(total)
    need, unknown = 0.0, 0
    for node in missing:
        known = next((sizes[name] for name in likeness(node.spec, node.models) if name in sizes), None)
        need += statistics.fmean(known) if known else 0.0
        unknown += known is None
    free = session.store.free()
    says = f"{_size(need)} needed, {_size(free)} free" if need or not unknown else f"{_size(free)} free"
    if unknown:
        says += f"; the size of {unknown} steps is not known before the first of their kind"
    return Tick("disk space", False if need > free else None if unknown else True, says)


def _trainings(session: Session) -> list[Node]:
    return [node for node in session.plan.by_key.values() if node.spec["kind"] == "train/supervised"]


_SANE = {
    "gradients": "gradient everywhere", "initial_loss": "first loss near ln K", "memorises": "overfits one batch",
}  # fmt: skip


def _sane(noted: list[dict[str, Any]], since: str) -> Iterator[Tick]:
    """One line per sanity check over the networks of all trainings."""
    for name, what in _SANE.items():
        found = [each[name] for each in noted if name in each]
        bad = list(dict.fromkeys(each["says"] for each in found if each["outcome"] == "bad"))
        sound = sum(each["outcome"] == "ok" for each in found)
        says = f"not checked {since}" if not found else f"holds for {sound} of {len(noted)} trainings"
        if bad:
            says += f"; {'; '.join(bad[:3])}"
        elif found:
            says += f" ({next(each['says'] for each in found)})"
        if noted:
            yield Tick(what, False if bad else True if sound == len(noted) else None, says)


def _size(count: float) -> str:
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / 2**20:.1f} MiB"


def after(session: Session, conclusion: Conclusion) -> tuple[Tick, ...]:
    """What a reviewer asks for when everything ran."""
    study = session.study
    states = [conclusion.readings.state(node) for node in session.plan.by_key.values()]
    done = sum(state in ("ok", "refused", "diverged") for state in states)
    compared = [one.name for one in study.analysis.values() if one.verb in _COMPARES]
    fewest, most = _seed_counts(session)
    varied = [name for name, factor in study.factors.items() if len(factor.levels) > 1]
    spread = [one.name for one in study.analysis.values() if one.verb in (*_COMPARES, "describe")]
    noted = [
        record.body.get("notes", {}).get(sanity.NOTE, {})
        for node in _trainings(session)
        if (record := conclusion.readings.record(node.key)) is not None
    ]
    return (
        *_sane(noted, "with these records"),
        Tick("everything ran", done == len(states), f"{done} of {len(states)} steps have a record"),
        _test_once(session),
        Tick("baseline compared", bool(compared) or not varied,
             ", ".join(compared) if compared else "nothing is varied" if not varied else
             f"no analysis compares the levels of {', '.join(varied)}"),
        Tick("three seeds or more", fewest >= _LEAST_SEEDS, f"{fewest} seeds" + " at least" * (fewest < most)),
        Tick("mean and deviation", most > 1,
             "every table gives mean, interval and n" + (f"; analyses: {', '.join(spread)}" if spread else "")),
        Tick("hyper-parameters", True, "all of them are in the list of settings, defaults included"),
    )  # fmt: skip


def _seed_counts(session: Session) -> tuple[int, int]:
    """The smallest and the largest number of seeds that a trained stage has; the trials of a search do not count."""
    found: dict[str, set[int]] = {}
    for node in session.plan.nodes:
        if node.instance.seed is not None and not node.inner and session.study.stages[node.owner].verb == "train":
            found.setdefault(node.owner, set()).add(node.instance.seed)
    counts = [len(seeds) for seeds in found.values()] or [len(session.study.seeds)]
    return min(counts), max(counts)


def _test_once(session: Session) -> Tick:
    steps: list[Step] = [step for step in session.plan.steps() if step.spec.get("split") == "test"]
    name = registry.ledger(session.study, session.store)
    count = sum(line["study"] == name for line in registry.unsealings(session.store))
    if not steps:
        return Tick("test evaluated once", None, "no stage reads a test split; numbers are on validation")
    says = {0: "sealed until now", 1: "unsealed once"}.get(count, f"unsealed {count} times")
    return Tick("test evaluated once", None if count == 0 else count == 1, says)


def settings(session: Session) -> tuple[tuple[str, str, str], ...]:
    """Stage, parameter and values of every parameter of every stage, defaults included; several values by comma."""
    found: dict[tuple[str, str], dict[str, None]] = {}
    for node in session.plan.nodes:
        leaf = node.bound.leaf
        full = {**{name: param.default for name, param in leaf.params.items()}, **node.bound.params}
        recipe = {name: value for name, value in node.spec["params"].items() if name in full}
        for name, value in {**full, **recipe}.items():
            found.setdefault((node.instance.stage, WRITTEN.get(name, name)), {})[_word(value)] = None
    return tuple((stage, name, ", ".join(values)) for (stage, name), values in found.items())


def _word(value: object) -> str:
    name, params = getattr(value, "name", None), getattr(value, "params", None)
    if name is not None and params is not None:
        return f"{name} {flow(dict(params))}" if params else str(name)
    if isinstance(value, dict) and "params" in value and ("leaf" in value or "source" in value):
        head = value.get("leaf") or f"code {str(value['source'])[:12]}"
        return f"{head} {flow(value['params'])}" if value["params"] else str(head)
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_word, value))}]"
    return "none" if value is None else "required" if value is ... else flow(value)


def flow(value: object) -> str:
    """A plain value on one line, as YAML writes it."""
    if isinstance(value, str):
        return value
    return yaml.safe_dump(value, default_flow_style=True, width=10_000).strip().removesuffix("...").strip()
