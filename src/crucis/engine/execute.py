"""Runs steps in this process: gather inputs, call the runner, turn its end into a record or a failure note."""

from __future__ import annotations

import contextlib
import importlib
import os
import shutil
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..errors import CrucisError, Divergence, Refusal, Stopped
from ..records import Reason, Result
from . import failures, machine
from .context import Desk, StepContext, gather
from .drafts import Draft
from .steps import EngineError, Step
from .store import differing, now

Runner = Callable[[list[Step], list[Any]], Sequence[Any]]
_DURABLE_S = 1.0


class ReplayDiffers(CrucisError):
    """A step that ran again for its checkpoints ended in other content than its record."""


@dataclass(frozen=True)
class Bench:
    """A runner and what its module says about it.

    `accepts_refused`: True, or the kinds (`spec["kind"]`) whose steps want refused and diverged inputs as they are.
    `numerics`: circumstances that its numbers depend on; from the standard library if its module tells none.
    """

    run: Runner
    accepts_refused: bool | frozenset[str] = False
    numerics: Callable[[], Mapping[str, Any]] = machine.plain_numerics
    prepare: Callable[[], None] | None = None

    def accepts(self, step: Step) -> bool:
        """Whether this step wants inputs that are not `ok`."""
        if isinstance(self.accepts_refused, bool):
            return self.accepts_refused
        return step.spec.get("kind") in self.accepts_refused


def bench_of(runner: str | Runner) -> Bench:
    """Find a runner by `module:function`, with `ACCEPTS_REFUSED`, `numerics` and `prepare` of its module.

    Raises:
        EngineError: no such module or function.
    """
    if not isinstance(runner, str):
        return Bench(runner)
    name, _, function = runner.partition(":")
    try:
        module = importlib.import_module(name)
        run = getattr(module, function)
    except (ImportError, AttributeError) as error:
        raise EngineError(f"the runner '{runner}' cannot be loaded: {error}") from error
    accepts = getattr(module, "ACCEPTS_REFUSED", False)
    return Bench(
        run,
        accepts if isinstance(accepts, bool) else frozenset(accepts),
        getattr(module, "numerics", machine.plain_numerics),
        getattr(module, "prepare", None),
    )


@dataclass(frozen=True)
class Order:
    """What the supervisor says about a step besides the step itself."""

    step: Step
    refused: tuple[str, ...] = ()  # inputs that will never come, because their producer was refused or diverged
    replay: bool = False
    history: tuple[dict[str, Any], ...] = ()  # failure notes so far, forgotten ones included

    def pack(self) -> dict[str, Any]:
        """As JSON values."""
        short = [{name: note.get(name) for name in ("n", "class", "code")} for note in self.history]
        return {"step": self.step.pack(), "refused": list(self.refused), "replay": self.replay, "history": short}

    @staticmethod
    def unpack(data: Mapping[str, Any]) -> Order:
        """The inverse of `pack`."""
        step = Step.unpack(data["step"])
        return Order(step, tuple(data["refused"]), data["replay"], tuple(data["history"]))


@dataclass
class Meter:
    """Time and memory from its making on."""

    wall: float = field(default_factory=time.perf_counter)
    cpu: float = field(default_factory=lambda: _cpu_s())

    def __post_init__(self) -> None:
        machine.reset_peak()

    def cost(self) -> dict[str, Any]:
        """Seconds and MiB so far."""
        return {
            "wall_s": round(time.perf_counter() - self.wall, 6),
            "cpu_s": round(_cpu_s() - self.cpu, 6),
            "peak_ram_mb": machine.memory_mb(),
        }


def _cpu_s() -> float:
    """Processor seconds of this process and of those that it started and that have ended."""
    spent = os.times()
    return time.process_time() + spent.children_user + spent.children_system


def execute(desk: Desk, bench: Bench, orders: Sequence[Order]) -> list[dict[str, Any]]:
    """Run one step, or several of one group together; a batch that raises is run again one by one.

    Returns one message per step: `done` (outcome, cost), `failed` (note), `stopped`, or `lost` (inputs that are gone).
    """
    messages, contexts, ready = [], [], []
    for order in orders:
        context, message = _open(desk, bench, order)
        if context is None:
            messages.append(message)
        else:
            contexts.append(context)
            ready.append(order)
    if not contexts:
        return messages
    meter = Meter()
    try:
        ends = _call(bench, contexts)
        if len(contexts) > 1 and any(isinstance(end, BaseException) for end in ends):
            ends = [end if not _crashed(end) else None for end in ends]
    except BaseException as error:
        if len(contexts) == 1 or isinstance(error, Stopped):
            ends = [error] * len(contexts)
        else:
            ends = [None] * len(contexts)
    for order, context, end in zip(ready, contexts, ends, strict=True):
        if end is None:
            context.discard()
            messages += execute(desk, bench, [order])
        else:
            messages.append(_close(context, end, meter))
    return messages


def _crashed(end: Any) -> bool:
    return isinstance(end, BaseException) and not isinstance(end, (Refusal, Divergence, Stopped))


def _call(bench: Bench, contexts: list[StepContext]) -> list[Any]:
    ends = list(bench.run([context.step for context in contexts], contexts))
    if len(ends) != len(contexts):
        raise EngineError(f"the runner returned {len(ends)} results for {len(contexts)} steps")
    return ends


def _open(desk: Desk, bench: Bench, order: Order) -> tuple[StepContext | None, dict[str, Any]]:
    """The context of a step, or the message that ends it before it begins."""
    step = order.step
    attempt = {"id": os.urandom(16).hex(), "number": len(order.history) + 1}
    if order.history:
        attempt["failures"] = list(order.history)
    context = StepContext(step, desk, {}, {}, replay=order.replay, attempt=attempt)
    try:
        folders, records, gone, bad = gather(desk.store, step)
    except OSError as error:
        return None, {"m": "failed", "key": step.key, "note": _record_failure(desk, step, error, 0)}
    bad += [f"{key[:12]} never made" for key in order.refused]
    gone = [key for key in gone if key not in order.refused]
    if gone:
        return None, {"m": "lost", "key": step.key, "inputs": gone}
    context.inputs, context.records = folders, records
    desk.journal.write("begin", step.key, label=step.label)
    if bad and (order.refused or not bench.accepts(step)):
        reason = Reason("input_refused", f"an input was not ok: {'; '.join(bad[:5])}")
        return None, _close(context, Result("refused", reason=reason), Meter())
    return context, {}


def _result_of(end: Any) -> Result:
    """The result that a runner's end stands for; raises what is a failure.

    Raises:
        BaseException: what the runner raised, unless it was a refusal or a divergence.
        TypeError: it returned something else than a `Result`.
    """
    if isinstance(end, Result):
        return end
    if isinstance(end, Refusal):
        return Result("refused", reason=Reason(end.code, end.text, end.where))
    if isinstance(end, Divergence):
        reason = Reason("loss_not_finite", end.text, f"step {end.step}")
        notes = {"diverged_at": end.step, "last_good": end.last_good}
        return Result("diverged", reason=reason, notes=notes, reactions=end.reactions)
    if isinstance(end, BaseException):
        raise end
    raise TypeError(f"the runner returned a {type(end).__name__} instead of a Result")


def _close(context: StepContext, end: Any, meter: Meter) -> dict[str, Any]:
    """Commit, or note the failure; always leaves no temporary folder."""
    desk, step = context.desk, context.step
    try:
        message = _commit(context, _result_of(end), meter)
    except Stopped:
        message = {"m": "stopped", "key": step.key}
        desk.journal.write("stopped", step.key)
    except BaseException as error:
        message = {"m": "failed", "key": step.key, "note": _record_failure(desk, step, error, meter.cost())}
    context.discard()
    return message


def _commit(context: StepContext, result: Result, meter: Meter) -> dict[str, Any]:
    desk, step = context.desk, context.step
    cost = meter.cost()
    cost["peak_ram_mb"] += context.beside_mb
    if result.reactions:
        context.attempt["reactions"] = list(result.reactions)
    draft = Draft(
        step.key,
        step.spec,
        result,
        str(context.out),
        attempt=context.attempt,
        numerics={**desk.numerics, **({"world": step.needs.world} if step.needs.world > 1 else {})},
        environment=desk.environment,
        cost=cost,
        time={"begun": context.begun, "ended": now()},
        label=step.label,
    )
    recorded = desk.store.read(step.key) if context.replay else None
    if recorded is not None:
        landing = desk.store.commit(draft, expect=recorded.body["content"])
        if landing.state == "differs":
            raise ReplayDiffers(_how_it_differs(recorded.body, landing.body))
        desk.store.take_back(step.key, str(context.out))
        for key, folder, published in context.staged:
            context.commit_published(key, folder, published)
    else:
        context.replay = False
        landing = desk.store.commit(draft, durable=cost["wall_s"] >= _DURABLE_S)
        for key, folder, published in context.staged:
            context.commit_published(key, folder, published)
    context.staged.clear()
    outcome = (landing.winner or landing.body)["outcome"]
    desk.journal.write("end", step.key, outcome=outcome, wall=cost["wall_s"])
    shutil.rmtree(desk.store.scratch(step.key), ignore_errors=True)
    return {"m": "done", "key": step.key, "outcome": outcome, "cost": cost, "landing": landing.state}


def _how_it_differs(recorded: Mapping[str, Any], again: Mapping[str, Any]) -> str:
    was, is_now = recorded["numerics"], again["numerics"]
    fields = sorted(name for name in {*was, *is_now} - {"hash"} if was.get(name) != is_now.get(name))
    where = f"other {', '.join(fields)}" if fields else "equal numerics"
    parts = ", ".join(differing(recorded, again)[:5])
    return f"running again for its checkpoints gave another content ({where}): {parts}; nothing was published"


def _record_failure(desk: Desk, step: Step, error: BaseException, cost: Any) -> dict[str, Any]:
    """Write the failure note; one that counts no try, or that cannot be written, is only reported."""
    with contextlib.suppress(OSError):  # the worker's log may lie on the very disk that is full
        traceback.print_exception(error)
    note = failures.note_of(
        error,
        step=step.label,
        host=machine.host(),
        numerics=dict(desk.numerics),
        peak_ram_mb=cost["peak_ram_mb"] if cost else 0,
    )
    desk.journal.write("failed", step.key, code=note["code"], text=note["text"][:500])
    if note["class"] != "place":
        try:
            return desk.store.fail(step.key, note)
        except OSError as second:
            return failures.note_of(second, step=step.label)
    return note
