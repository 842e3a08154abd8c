"""Runs that the user starts with torchrun, on one machine or several: rank 0 owns the store and runs the plan, one step
after another; at each training all ranks compute, and at everything else the others wait.

All machines see the study, the data and the store under the same paths.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from ..engine.steps import Step
from ..errors import CrucisError, Divergence, Stopped
from ..records import Context, Result
from ..train.ranks import board, join, leave
from . import steps as alone
from .rank import SilentContext
from .ranks import RankFailed, bereaved, order

ACCEPTS_REFUSED = alone.ACCEPTS_REFUSED
numerics = alone.numerics

_FAREWELL, _PART = "null", "false"  # words that are no order: leave together, or at once
_TERMINATED = 143
_LOOK_S = 0.05
_GRACE_S = 20.0  # less than the 30 s after which torchrun kills


class Together:
    """This process among the ranks of the run."""

    def __init__(self, ranks: Any) -> None:
        self.ranks = ranks
        self.broken = False
        self.orders = 0
        self.leave_by: float | None = None
        self.board = board()

    def post(self, text: str) -> None:
        """Rank 0 tells the others what comes next."""
        self.board.set(f"order/{self.orders}", text)
        self.orders += 1

    def next(self) -> Any:
        """What rank 0 told, as soon as it has."""
        name = f"order/{self.orders}"
        while not self.board.check([name]):  # not `wait`, in which no signal would be heard
            if self.leave_by is not None and time.monotonic() > self.leave_by:
                raise CrucisError("rank 0 has gone")
            time.sleep(_LOOK_S)
        self.orders += 1
        return json.loads(self.board.get(name))

    def leave_soon(self, *_: Any) -> None:
        """Heed SIGTERM, which torchrun sends when it ends the run: wait for rank 0 to say so, but not for ever."""
        self.leave_by = time.monotonic() + _GRACE_S

    def train(self, step: Step, context: Context) -> Result:
        """Train with all ranks, as rank 0.

        Raises:
            Stopped: a rank failed before; nothing can be trained until the run is started anew.
            RankFailed: another rank has gone.
        """
        if self.broken:
            raise Stopped("the ranks have parted after a failure; start the run again")
        self.post(json.dumps(order(step, context)))
        try:
            return alone.train_as(step, context, self.ranks)
        except (Stopped, Divergence):
            raise
        except BaseException as error:
            self.broken = True
            if bereaved(error):
                raise RankFailed(f"another rank has gone: {error}", "transient", "died_rank") from error
            raise


_TOGETHER: Together | None = None


def run(steps: Sequence[Step], contexts: Sequence[Context]) -> list[Result]:
    """The runner of steps of such a run."""
    return [_one(step, context) for step, context in zip(steps, contexts, strict=True)]


def _one(step: Step, context: Context) -> Result:
    if step.spec.get("world", 1) > 1:
        assert _TOGETHER is not None
        return _TOGETHER.train(step, context)
    return alone.run([step], [context])[0]


def _together(device: str) -> Together:
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    return Together(join(alone.device_named(device)))


def lead(device: str, work: Callable[[], int]) -> int:
    """Do the work of rank 0 while the others stand by; its exit code."""
    global _TOGETHER  # a process has one place among the ranks
    together = _TOGETHER = _together(device)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(_TERMINATED))  # outside of steps, which stop cleanly
    parted = True
    try:
        code = work()
        parted = together.broken
    finally:
        together.post(_PART if parted else _FAREWELL)
        leave(wait=not parted)
    return code or int(parted)


def follow(device: str, data: Path | None) -> int:
    """Compute along with rank 0 until it has no more trainings.

    Args:
        device: as `--device`.
        data: where data sets lie on this machine, if elsewhere than on that of rank 0.
    """
    for number in (signal.SIGINT, signal.SIGUSR1):
        signal.signal(number, signal.SIG_IGN)  # rank 0 hears them, and all stop at the same step
    together = _together(device)
    signal.signal(signal.SIGTERM, together.leave_soon)
    try:
        while isinstance(told := together.next(), dict):
            step = _here(Step.unpack(told["step"]), data)
            with tempfile.TemporaryDirectory(prefix="crucis-rank-") as folder, suppress(Stopped, Divergence):
                alone.train_as(step, SilentContext(told, Path(folder)), together.ranks)
    except BaseException as error:
        sys.excepthook(type(error), error, error.__traceback__)
        sys.stderr.flush()
        os._exit(1)  # threads of the exchange may still wait for ranks that have gone
    leave(wait=told is None)
    return 0


def _here(step: Step, data: Path | None) -> Step:
    from dataclasses import replace

    return step if data is None else replace(step, hints={**step.hints, "root": str(data)})
