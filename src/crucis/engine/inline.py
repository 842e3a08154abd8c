"""Runs a plan in this process, one step after another: for debugging, as the reference for the workers, and where this
process is one of those that train together."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import nullcontext
from typing import Any, Literal

from . import machine
from .context import Desk
from .execute import Bench, Order, Runner, bench_of, execute
from .failures import judge
from .frontier import Cost, Frontier
from .journal import Journal
from .lease import Lease, Leases
from .steps import EngineError, Event, Outcome, Step
from .stopping import StopSignals
from .store import Store
from .supervisor import forget

_BEAT_S = 15.0


def run_inline(
    steps: Sequence[Step],
    store: Store,
    runner: str | Runner = "crucis.study.steps:run",
    *,
    again: Collection[str] | Literal["failed"] | None = None,
    cost: Cost | None = None,
    progress: Callable[[Event], None] | None = None,
    environment: Mapping[str, Any] | None = None,
    signals: bool = False,
) -> Outcome:
    """Like `supervisor.run` without processes: no stall watch, no delays between tries. With `signals` it stops cleanly
    at those at which a supervisor does.

    Raises:
        EngineError: the disk is full, or what `run` raises.
    """
    store.check_writable()
    store.write_plan(steps)
    if again is not None:
        forget(store, steps, again)
    frontier = Frontier(steps, store.has, store.read, cost, store.whole)
    bench = bench_of(runner)
    journal = Journal(f"{store.root}/journal")
    found = machine.environment() if environment is None else environment
    desk = Desk(store, dict(bench.numerics()), journal, store.environment(found))
    outcome = Outcome(cached=frontier.cached)
    voice = _Voice(frontier, outcome, progress)
    desk.tell, desk.housekeeping = voice.hear, journal.tick
    with StopSignals(lambda: setattr(desk, "stop", True)) if signals else nullcontext():
        _work(desk, bench, frontier, outcome, voice)
    journal.close()
    outcome.blocked, outcome.sealed = frontier.listed("blocked"), frontier.listed("sealed")
    outcome.left = frontier.listed("ready", "taken", "waiting")
    return outcome


class _Voice:
    """Hears what a step says: keeps its lease alive, counts its checkpoints, tells people."""

    def __init__(self, frontier: Frontier, outcome: Outcome, progress: Callable[[Event], None] | None) -> None:
        self.frontier, self.outcome, self.progress = frontier, outcome, progress
        self.lease: Lease | None = None
        self.beaten = time.monotonic()

    def hear(self, message: Mapping[str, Any]) -> None:
        """A message of the step that runs."""
        if message["m"] == "published":
            self.frontier.published(message["key"])
            self.tell("published", message["key"])
        elif message["m"] == "beat":
            if self.lease is not None and time.monotonic() - self.beaten >= _BEAT_S:
                self.beaten = time.monotonic()
                self.lease.beat()
            self.tell("beat", message["key"], **message["progress"])
        elif "progress" in message:
            self.tell(message["m"], message["key"], **message["progress"])

    def tell(self, kind: str, key: str, **data: Any) -> None:
        """An event for people."""
        if self.progress is not None:
            out, steps = self.outcome, self.frontier.steps
            label = steps[key].label if key in steps else ""
            self.progress(Event(kind, key, label, data, len(steps), out.done, out.cached, len(out.failed)))


def _work(desk: Desk, bench: Bench, frontier: Frontier, outcome: Outcome, voice: _Voice) -> None:
    store, leases = desk.store, Leases(desk.store.root)
    while (key := frontier.peek()) is not None and not outcome.stopped:
        if desk.stop:
            outcome.stopped = True
            return
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
        voice.lease = lease
        voice.tell("begin", key)
        message = execute(desk, bench, [order])[0]
        (lease.drop if message["m"] == "done" else lease.release)()
        _take_in(frontier, store, message, outcome)
        kind = {"done": "done", "failed": "failed" if key in outcome.failed else "retry"}.get(message["m"], "stopping")
        voice.tell(kind, key, **({"text": message["note"]["text"]} if message["m"] == "failed" else {}))


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
