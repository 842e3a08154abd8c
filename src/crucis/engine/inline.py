"""Runs a plan in this process, one step after another: for debugging, and as the reference for the workers."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Literal

from . import machine
from .context import Desk
from .execute import Order, Runner, bench_of, execute
from .failures import judge
from .frontier import Cost, Frontier
from .journal import Journal
from .lease import Leases
from .steps import EngineError, Outcome, Step
from .store import Store
from .supervisor import forget


def run_inline(
    steps: Sequence[Step],
    store: Store,
    runner: str | Runner = "crucis.study.steps:run",
    *,
    again: Collection[str] | Literal["failed"] | None = None,
    cost: Cost | None = None,
) -> Outcome:
    """Like `supervisor.run` without processes: no stall watch, no delays between tries, no signals.

    Raises:
        EngineError: the disk is full, or what `run` raises.
    """
    store.check_writable()
    store.write_plan(steps)
    if again is not None:
        forget(store, steps, again)
    frontier = Frontier(steps, store.has, store.read, cost)
    bench = bench_of(runner)
    journal = Journal(f"{store.root}/journal")
    environment = store.environment(machine.environment())
    desk = Desk(store, dict(bench.numerics()), journal, environment)
    desk.tell = lambda message: frontier.published(message["key"]) if message["m"] == "published" else None
    leases = Leases(store.root)
    outcome = Outcome(cached=frontier.cached)
    while (key := frontier.peek()) is not None and not outcome.stopped:
        frontier.take(key)
        lease = leases.claim(key, None if key in frontier.replay else store.has)
        if lease is None:
            if not store.has(key):
                raise EngineError(f"{frontier.steps[key].label or key[:12]} is being worked on by another process")
            outcome.cached += 1
            frontier.done(key)
            continue
        history = tuple(note for note in store.failures(key, forgiven=True) if note["class"] != "notice")
        refused = tuple(frontier.refused_inputs.get(key, ()))
        order = Order(frontier.steps[key], refused, key in frontier.replay, history)
        message = execute(desk, bench, [order])[0]
        (lease.drop if message["m"] == "done" else lease.release)()
        _take_in(frontier, store, message, outcome)
    journal.close()
    outcome.blocked, outcome.sealed = frontier.listed("blocked"), frontier.listed("sealed")
    outcome.left = frontier.listed("ready", "taken", "waiting")
    return outcome


def _take_in(frontier: Frontier, store: Store, message: Mapping[str, Any], outcome: Outcome) -> None:
    key = message["key"]
    if message["m"] == "done":
        outcome.done += 1
        outcome.refused += message["outcome"] == "refused"
        outcome.diverged += message["outcome"] == "diverged"
        if frontier.done(key, message["outcome"]):
            frontier.failed(key)
            outcome.failed.append(key)
    elif message["m"] == "lost":
        frontier.wait_for(key, message["inputs"])
        opened = [frontier.reopen(source) for source in message["inputs"]]
        if not all(opened):
            frontier.failed(key)
            outcome.failed.append(key)
    elif message["m"] == "stopped":
        frontier.back(key)
        outcome.stopped = True
    elif message["note"]["class"] == "place":
        raise EngineError(f"the store {store.root} cannot be written: {message['note']['text']}")
    elif judge(store.failures(key)).final:
        frontier.failed(key)
        outcome.failed.append(key)
    else:
        frontier.back(key)
