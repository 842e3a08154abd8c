"""Training on from a trained network: what a perturbation that trains is handed."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from ..data.dataset import Dataset
from ..records import Context
from .compose import Term
from .fit import Job, fit
from .settings import Settings, resolve

#: What a continuation does not take over from the training before it, unless it is asked to.
FRESH: Mapping[str, Any] = {
    "schedule": "constant", "warmup": 0.0, "ema": None, "select": None, "patience": None, "head": "shared",
    "watch": {},
    "on_not_finite": "stop", "on_memory": "stop",
    "warmup_from": None, "warmup_shape": "linear", "rate_every": "step", "weight_decay_end": None,
    "ema_warmup": False, "ema_every": 1, "ema_statistics": False,
}  # fmt: skip


@dataclass(frozen=True)
class Continued:
    """The trained network in evaluation mode, what the probe returned after each of its steps, and the files that were
    left in `Context.out` (name -> role)."""

    model: nn.Module
    probes: Mapping[int, Mapping[str, float]]
    files: Mapping[str, str] = field(default_factory=dict)


class Continuation:
    """Trains copies of a network on data that it is given; see `continuation`."""

    def __init__(
        self, model: nn.Module, settings: Settings, seed: int, depth: int, ctx: Context, device: str, determinism: str
    ) -> None:
        self.model, self.settings, self.ctx = model, settings, ctx
        self.seed, self.depth, self.device, self.determinism = seed, depth, device, determinism
        self.calls = 0

    def __call__(
        self,
        data: Dataset,
        *,
        steps: int,
        probe: Callable[[nn.Module], Mapping[str, float]] | None = None,
        probe_at: tuple[int, ...] = (),
        term: Callable[[nn.Module], Term] | None = None,
        **changes: Any,
    ) -> Continued:
        """Train for `steps` optimiser steps from the network's weights, which stay untouched.

        Args:
            data: the task, with its view applied.
            steps: optimiser steps; 0 returns an equal network.
            probe: called in evaluation mode after the steps of `probe_at` (0 is before training).
            term: makes a further term of the loss for the network that is trained (see `compose.Term`).
            changes: parameters of `supervised` that differ from the training before.

        Raises:
            SettingsError: changes that do not fit together.
            Divergence, Stopped, Refusal: as `fit`.
        """
        self.calls += 1
        params = {**self.settings.params, **FRESH, **changes, "length": f"{steps} steps"}
        job = Job(
            build=lambda: copy.deepcopy(self.model), data=data,
            settings=resolve(params, len(data.train)), seed=self.seed, depth=self.depth, probe=probe,
            probe_at=tuple(probe_at), device=self.device, determinism=self.determinism, verb="perturb",
            term=term,
        )  # fmt: skip
        fitted = fit(job, self.ctx, label="" if self.calls == 1 else str(self.calls))
        assert fitted.model is not None  # a divergence was raised
        return Continued(fitted.model, fitted.probes, fitted.files)


def continuation(
    model: nn.Module,
    settings: Settings,
    seed: int,
    depth: int,
    ctx: Context,
    device: str = "cpu",
    determinism: str = "strict",
) -> Continuation:
    """A trainer that goes on from `model`.

    It uses the optimiser, learning rate, batch, weight decay, smoothing, clipping, precision and augmentation of
    `settings`, with fresh optimiser state, a constant rate, and no running average, selection, early
    stopping or reactions (nobody would report them). Resumable through `ctx.scratch`; leaves `model.safetensors` and
    `curve.npz` in `ctx.out` (from a second call on, `model-2.safetensors` and so on).

    Args:
        model: the network; its weights are copied.
        settings: of the training that made it.
        seed, depth: name the streams, together with the verb `perturb`.
        ctx: the engine's side of the step.
        device: where the network is.
        determinism: `strict` or `fast`.
    """
    return Continuation(model, settings, seed, depth, ctx, device, determinism)
