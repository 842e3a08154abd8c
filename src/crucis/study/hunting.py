"""Searches while a study runs: proposals are made between the rounds, and the rounds become one outcome."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .. import shelf
from ..engine import machine
from ..engine.drafts import Draft
from ..engine.execute import Meter
from ..engine.steps import Outcome
from ..engine.store import Store, now
from ..records import Result
from . import selecting
from .nodes import Node

if TYPE_CHECKING:
    from .plan import Plan
    from .session import Session


def propose(session: Session, stages: tuple[str, ...] = (), cells: Mapping[str, tuple[str, ...]] | None = None) -> int:
    """Make every proposal whose earlier results are all there, and plan again, until none is left; how many were made.

    A proposal is a pure function of its spec: two processes that make the same one write equal records, of which the
    store keeps the first.

    Raises:
        CrucisError: a package that the search needs is missing.
    """
    made = 0
    while True:
        plan = session.plan
        wanted = {node.owner for node in plan.part(stages, cells)}
        due = [hunt.waiting for hunt in plan.hunts if hunt.waiting is not None and hunt.stage in wanted]
        if not due:
            return made
        plan.code.keep(session.store.path / "code")
        for node in {node.key: node for node in due}.values():
            if not session.store.has(node.key):
                _commit(session.store, node)
                made += 1
        session.plan_again()


def _commit(store: Store, node: Node) -> None:
    leaf, begun, meter = node.bound.leaf, now(), Meter()
    result = selecting.propose(node.spec, shelf.load(leaf)) if not leaf.own else _own(store, node)
    environment = store.environment(machine.environment())
    store.commit(
        Draft(
            node.key, node.spec, result, store.workfolder(node.key), numerics=machine.plain_numerics(),
            attempt={"id": os.urandom(16).hex(), "number": 1}, environment=environment, cost=meter.cost(),
            time={"begun": begun, "ended": now()}, label=node.label,
        )
    )  # fmt: skip


def _own(store: Store, node: Node) -> Result:
    """A user's search, imported from its digested copy as everywhere."""
    from .steps import own_entry

    with own_entry(node.spec, "search", Path(store.root)) as (leaf, _):
        return selecting.propose(node.spec, leaf)


def joined(plan: Plan, rounds: Sequence[Outcome], proposed: int) -> Outcome:
    """The outcome of all rounds, between which proposals were made.

    A trial that failed loses and is counted by its search, and fails nothing else.
    """
    last = rounds[-1]
    if len(rounds) == 1 and not plan.hunts:
        return last
    lost = given_up(plan)
    return Outcome(
        done=proposed + sum(one.done for one in rounds),
        cached=max(0, last.cached - proposed - sum(one.done for one in rounds[:-1])),
        failed=[key for key in last.failed if key not in lost],
        blocked=list(last.blocked), sealed=list(last.sealed), stopped=last.stopped, left=list(last.left),
        refused=sum(one.refused for one in rounds), diverged=sum(one.diverged for one in rounds),
    )  # fmt: skip


def given_up(plan: Plan) -> set[str]:
    """Keys of trainings that crashed for good and that only searches asked for."""
    return {key for hunt in plan.hunts for key in hunt.failed} - {node.key for node in plan.nodes if not node.inner}
