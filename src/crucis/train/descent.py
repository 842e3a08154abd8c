"""Descents from one network with learning rates that somebody else chooses: what a test of rates is handed.

Each starts from the same weights with fresh optimiser state and the same draws, and goes through the composed step of
training: optimiser, batch, augmentation, clipping, accumulation and precision are those of the settings. The network
that it starts from is copied and stays as it is.
"""

from __future__ import annotations

import copy
import io
import zipfile
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from torch import nn

from .. import streams
from ..canon import digest
from ..data.dataset import Dataset
from ..errors import Stopped
from ..records import Context
from .cadence import Cadence
from .continuation import FRESH
from .modes import modes
from .run import Job, Run
from .settings import Settings, resolve

FILE = "descents.npz"
Watch = Callable[[Sequence[float]], bool]


class Descents:
    """Callable with rates and a watch: the losses of the steps with these rates, until the watch ends them.

    Loss k is that of the batch before the update with rate k. Finished descents are kept in `ctx.scratch`, so that a
    test that was interrupted goes on where it was, and ends as it would have.
    """

    def __init__(
        self, model: nn.Module, data: Dataset, settings: Settings, seed: int, depth: int, ctx: Context, device: str,
        determinism: str,
    ) -> None:  # fmt: skip
        # What reacts to trouble would hide it here.
        calm = {"on_not_finite": "stop", "on_memory": "stop", "checkpointing": False, "compile": False}
        params = {**settings.params, **FRESH, **calm, "length": "1 epochs"}
        self.job = Job(
            build=lambda: copy.deepcopy(model), data=data, settings=resolve(params, len(data.train)), seed=seed,
            depth=depth, device=device, determinism=determinism, verb="perturb",
        )  # fmt: skip
        self.ctx, self.cadence, self.made = ctx, Cadence(), 0
        self._run: Run | None = None
        self._start: tuple[Any, Any] = ({}, {})
        self._kept: dict[str, np.ndarray] = {}

    def __call__(self, rates: Sequence[float], watch: Watch) -> list[float]:
        """Losses, at most one per rate.

        Raises:
            Stopped: asked to; what is finished is kept.
            Refusal: an operator or precision that the device does not have.
        """
        with modes(self.job.determinism, self.job.resolved.precision, self.job.device):
            run = self._ready()
            self.made += 1
            name = digest([run.identity, self.made, [float(rate) for rate in rates]])
            if name not in self._kept:
                self._kept[name] = np.array(self._descend(run, rates, watch), np.float64)
                self._keep()
        return [float(loss) for loss in self._kept[name]]

    def _ready(self) -> Run:
        """The run at its start."""
        if self._run is None:
            self._run = Run(self.job, self.ctx)
            self._start = self._run.state()
            self._start = ({name: value.clone() for name, value in self._start[0].items()}, self._start[1])
            self._kept = self._remembered()
        else:
            self._run.optimiser.state.clear()
            self._run.take(*self._start)
        return self._run

    def _descend(self, run: Run, rates: Sequence[float], watch: Watch) -> list[float]:
        step, per_epoch, out = run.step(), run.settings.steps_per_epoch, list[float]()
        with streams.borrowed(run.stream):
            for i, rate in enumerate(rates):
                if self.ctx.stopping():
                    raise Stopped(f"stopped in descent {self.made}; those before it are kept")
                batch = run.feed.epoch(i // per_epoch)
                step(*batch(i % per_epoch), rate)
                out.append(float(run.losses[-1]))
                for seen in (run.losses, run.hits, run.norms):
                    seen.clear()
                if self.cadence.clock() > self.cadence.due:
                    self.ctx.beat(descent=self.made, step=i + 1, lr=float(f"{rate:.3g}"))
                    self.cadence.beaten()
                if watch(out):
                    break
        return out

    def _keep(self) -> None:
        buffer = io.BytesIO()
        np.savez(buffer, **self._kept)  # type: ignore[arg-type]
        aside = self.ctx.scratch / f"{FILE}.new"
        aside.write_bytes(buffer.getvalue())
        aside.replace(self.ctx.scratch / FILE)

    def _remembered(self) -> dict[str, np.ndarray]:
        """Descents of an earlier attempt; their names tell which are of this job and machine. A torn file is none."""
        try:
            with np.load(self.ctx.scratch / FILE, allow_pickle=False) as file:
                return {name: file[name] for name in file.files}
        except (OSError, ValueError, zipfile.BadZipFile):
            return {}
