"""A timed pilot: a few real optimiser steps of every kind of training that no record predicts."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..canon import step_key
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


def _run(session: Session, step: Step, count: int, runner: Any) -> float:
    spec = {**step.spec, "params": {**step.spec["params"], "length": f"{count} steps"}}
    spec["params"].pop("patience", None)
    short = replace(step, spec=spec, key=step_key(spec), group=None, publishes=(), hints=_unpublished(step.hints))
    with tempfile.TemporaryDirectory(prefix="crucis-pilot-") as folder:
        started = time.perf_counter()
        runner.run([short], [_Bench(Path(folder), session.store.path)])
        return time.perf_counter() - started


def _unpublished(hints: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in hints.items() if name not in ("publish", "published")}
