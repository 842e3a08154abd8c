"""Runs a plan on this machine with worker processes. The loop itself is in `loop`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Literal

from . import machine
from .frontier import Cost, Frontier
from .loop import Supervisor
from .pool import Pool
from .steps import Event, Outcome, Step
from .store import Store
from .tuning import Tuning

__all__ = ["Event", "Outcome", "Tuning", "forget", "run"]


def run(
    steps: Sequence[Step],
    store: Store,
    *,
    runner: str = "crucis.study.steps:run",
    preload: Sequence[str] = (),
    workers: int | None = None,
    stall_s: float = 900.0,
    progress: Callable[[Event], None] | None = None,
    again: Collection[str] | Literal["failed"] | None = None,
    cost: Cost | None = None,
    stack: Callable[[Step], int] | None = None,
    gpus: Sequence[str] = (),
    environment: Mapping[str, Any] | None = None,
    tuning: Tuning | None = None,
) -> Outcome:
    """Bring every step of the plan to a record, with worker processes on this machine.

    Args:
        steps: the plan, in topological order.
        store: where records are and go.
        runner: `module:function`, called in a worker with steps and contexts. The module may have `ACCEPTS_REFUSED`
            (True, or kinds), `numerics()` (what its numbers depend on) and `prepare()` (once per worker).
        preload: modules that the fork server imports besides the runner's.
        workers: how many processes; by default one per CPU slot of this machine.
        stall_s: a worker silent for so long is killed, its stack goes into the failure note.
        progress: called with small events in this process.
        again: keys whose failures are forgotten, or `"failed"` for all of this plan.
        cost: predicted seconds of a step; the longest goes first.
        stack: how many steps of its group a step may run with in one call of the runner (default: alone).
        gpus: devices, one worker each, for steps that need one (as in `CUDA_VISIBLE_DEVICES`). Without any, such
            steps run like others and the runner decides.
        environment: provenance to keep beside the records; by default interpreter, host and packages.
        tuning: times and limits.

    Raises:
        EngineError: the store is not writable, the plan has a hole or a circle, or the runner cannot be imported.
    """
    tuning = tuning or Tuning()
    store.check_writable()
    store.write_plan(steps)  # before looking for hits, so that garbage collection cannot sweep one under our feet
    if again is not None:
        forget(store, steps, again)
    frontier = Frontier(steps, store.has, store.read, cost, store.whole)
    slots = workers or machine.cpu_slots()
    log = f"{store.root}/journal/{machine.host()}.server.log"
    names = list(dict.fromkeys([*preload, runner.partition(":")[0]]))
    pool = Pool({"store": store.root, "runner": runner, "environment": ""}, names, log)
    supervisor = Supervisor(
        store,
        frontier,
        pool,
        tuning,
        workers=slots,
        gpus=gpus,
        stall_s=stall_s,
        progress=progress,
        stack=stack,
    )
    supervisor.fail_final()
    if frontier.peek() is not None:
        found = machine.environment() if environment is None else environment
        pool.config["environment"] = store.environment(found)
    supervisor.tell_plan()
    return supervisor.work()


def forget(store: Store, steps: Sequence[Step], again: Collection[str] | Literal["failed"]) -> None:
    """Let failed steps of the plan be tried again."""
    noted = store.notes.keys()
    wanted = {step.key for step in steps} if again == "failed" else set(again)
    for key in sorted(wanted & noted):
        if again != "failed" or not store.has(key):
            store.forget_failures(key)
