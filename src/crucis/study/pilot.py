"""Pilots: a few real optimiser steps, timed for what no record predicts, or weighed for what ran out of memory."""

from __future__ import annotations

import multiprocessing
import tempfile
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..canon import step_key
from ..engine import machine
from ..engine.steps import Step
from ..records import Result
from .cost import likeness
from .nodes import Node
from .session import Session

SHORT, LONG = 5, 25  # optimiser steps: the difference gives the cost of one, the shorter run that of starting up


class _Bench:
    """The engine's side of a step that leaves nothing."""

    def __init__(self, folder: Path, store: Path) -> None:
        self.inputs: dict[str, Any] = {}
        self.out, self.scratch, self.store = folder / "out", folder / "scratch", store
        self.out.mkdir(parents=True)
        self.scratch.mkdir()

    def beat(self, **progress: Any) -> None:
        """Nobody listens."""

    def stopping(self) -> bool:
        """Never."""
        return False

    def publish(self, key: str, files: Path, result: Result) -> None:
        """Nothing is kept."""

    def note(self, event: str, **fields: Any) -> None:
        """Nobody listens."""


def pilot(session: Session, nodes: Iterable[Node]) -> dict[str, float]:
    """Predicted wall seconds of the training steps among `nodes`, by key.

    Times `SHORT` and `LONG` optimiser steps of one step of each kind (net, data, parameters) in this process and
    extends the difference to the planned length. Measurements and perturbations, which need a trained model, stay
    unpredicted until the first of them has run.

    Cost: two short trainings per kind.
    """
    from . import steps as runner

    found: dict[tuple[str, ...], float] = {}
    out: dict[str, float] = {}
    session.plan.code.keep(session.store.path / runner.CODE)
    for node in nodes:
        if node.facts is None or not node.spec["kind"].startswith("train/") or node.inputs:
            continue
        kind = likeness(node.spec, node.models)[0]
        if kind not in found:
            found[kind] = _timed(session, node, runner)
        out[node.key] = found[kind]
    return out


def _timed(session: Session, node: Node, runner: Any) -> float:
    assert node.facts is not None
    step = session.plan.steps_of([node])[0]
    seconds = [_run(session, step, count, runner) for count in (SHORT, SHORT, LONG)]
    per_step = max(0.0, seconds[2] - seconds[1]) / (LONG - SHORT)
    return seconds[1] + per_step * max(0, node.facts.total - SHORT)


def _short(step: Step, count: int, changes: Mapping[str, Any] | None = None) -> Step:
    """The step cut to `count` optimiser steps, with other parameters, leaving no checkpoints."""
    spec = {**step.spec, "params": {**step.spec["params"], "length": f"{count} steps", **(changes or {})}}
    spec["params"].pop("patience", None)
    return replace(step, spec=spec, key=step_key(spec), group=None, publishes=(), hints=_unpublished(step.hints))


def _run(session: Session, step: Step, count: int, runner: Any) -> float:
    short = _short(step, count)
    with tempfile.TemporaryDirectory(prefix="crucis-pilot-") as folder:
        started = time.perf_counter()
        runner.run([short], [_Bench(Path(folder), session.store.path)])
        return time.perf_counter() - started


def _unpublished(hints: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in hints.items() if name not in ("publish", "published")}


# -- memory -------------------------------------------------------------------------------------------------------

_WEIGHED = 2  # optimiser steps: the second has the optimiser's state beside it
_PATIENCE_S = 300.0
_RECOMPUTING = ("checkpointing", "gradient_checkpointing")  # what trainers call it; offered only where one has it


@dataclass(frozen=True)
class Option:
    """A change of a training, what it costs, and the peak of memory that it was measured to need.

    changes: parameters; empty for the training as it is. peak_mb: MiB, or None if it ran out of memory or failed.
    """

    name: str
    changes: Mapping[str, Any]
    price: str
    peak_mb: int | None
    error: str = ""

    @property
    def text(self) -> str:
        """The peak in words."""
        return f"{self.peak_mb} MiB ({self.price})" if self.peak_mb is not None else f"does not run: {self.error}"

    def fits(self, limit_mb: int) -> bool:
        """Whether it was measured to stay within the limit."""
        return self.peak_mb is not None and self.peak_mb <= limit_mb


@dataclass(frozen=True)
class Peaks:
    """Options in the order of their price, and what a step may use on this machine (MiB; of the device it runs on)."""

    limit_mb: int
    options: tuple[Option, ...]


def peaks(session: Session, node: Node) -> Peaks:
    """Measure which changes of a training lower its peak of memory: each is run for two optimiser steps and the final
    evaluation, in a process of its own.

    Args:
        session: the study at its store.
        node: a training that needs no other record.

    Cost: up to six process starts and short trainings.
    """
    from . import steps as runner

    session.plan.code.keep(session.store.path / runner.CODE)
    step = session.plan.steps_of([node])[0]
    limit, found = machine.memory_budget_mb() or 0, []
    for name, changes, price in _changes(node):
        peak, error, device_limit = _weigh(_short(step, _WEIGHED, changes), session.store.path)
        limit = device_limit or limit
        found.append(Option(name, changes, price, peak, error))
    return Peaks(limit, tuple(found))


def _changes(node: Node) -> list[tuple[str, dict[str, Any], str]]:
    """What the trainer of this step offers: name as written in a study, parameters, price."""
    params = node.bound.leaf.params
    given = {**{name: param.default for name, param in params.items()}, **node.spec["params"]}
    batch = min(int(given.get("batch", 1)), node.facts.info.size("train") if node.facts else 1)
    out: list[tuple[str, dict[str, Any], str]] = [("as it is", {}, "no change")]
    out += [
        (f"{name}: true", {name: True}, "the same numbers, about a third more time")
        for name in _RECOMPUTING
        if name in params and not given[name]
    ]
    if "accumulate" in params:
        out += [
            (f"accumulate: {parts}", {"accumulate": parts}, "the same numbers but for batch norm, more time")
            for parts in (2, 8)
            if parts > int(given["accumulate"]) and batch % parts == 0
        ]
    if "precision" in params and given["precision"] == "fp32":
        out.append(("precision: bf16", {"precision": "bf16"}, "other numbers in the third digit"))
    if "batch" in params and batch > 1:
        out.append((f"batch: {batch // 2}", {"batch": batch // 2}, "another training; set lr anew"))
    return out


def _weigh(step: Step, store: Path) -> tuple[int | None, str, int]:
    """Peak in MiB (None if it does not run), why not, and the limit of the device if it is not the processor."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    child = context.Process(target=_child, args=(step.pack(), str(store), theirs), daemon=True)
    child.start()
    theirs.close()
    try:
        return ours.recv() if ours.poll(_PATIENCE_S) else (None, f"no answer in {_PATIENCE_S:.0f} s", 0)
    except EOFError:
        return None, "the process was killed, as it is when memory is short", 0
    finally:
        child.kill()
        child.join()


def _child(packed: dict[str, Any], store: str, answer: Any) -> None:
    """In the process of its own: run the step and send what it took."""
    import torch

    from . import steps as runner

    step = Step.unpack(packed)
    machine.reset_peak()
    with tempfile.TemporaryDirectory(prefix="crucis-pilot-") as folder:
        try:
            runner.run([step], [_Bench(Path(folder), Path(store))])
        except Exception as error:
            answer.send((None, f"{type(error).__name__}: {str(error).splitlines()[0]}"[:200], 0))
            return
    if torch.cuda.is_available() and torch.cuda.max_memory_reserved():
        total = torch.cuda.get_device_properties(0).total_memory
        answer.send((torch.cuda.max_memory_reserved() >> 20, "", int(0.9 * total) >> 20))
        return
    answer.send((machine.memory_mb(), "", 0))
