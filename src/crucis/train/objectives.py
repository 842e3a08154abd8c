"""The seam for trainings that minimise something else than cross-entropy: what such an objective is, and its step.

An objective wraps the network (the *backbone*) with what it needs for training (heads, a predictor, a decoder, a
teacher), says what the loss of a batch is, and which network is kept at the end. The loop, checkpoints and marks are
those of every training.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from .. import streams
from ..data.augmenting import Augmentation
from .backbone import Backbone
from .compose import Step, Tail
from .gathering import gathered
from .modes import autocast
from .ranks import Ranks
from .scaling import Scaling
from .synced import synchronise

if TYPE_CHECKING:
    from .run import Job


class Seen(NamedTuple):
    """What an objective sees of a batch: its views, each (B, C, H, W), and the masks that were drawn for it."""

    views: tuple[Tensor, ...]
    masks: tuple[Tensor, ...] = ()


class Objective(ABC):
    """What a training minimises. Made once per run, after the network; its own draws are lent to it.

    Attributes:
        student: everything that receives gradients, the backbone inside; its parameters and buffers are saved.
        teacher: a network beside the student that receives none, or None; saved, too.
        totals: names of the numbers beside `loss` that `loss` returns, each a column of `curve.npz` as a mean.
        views: the augmentations of each view of an example, in order; empty: the example as it is.
        done: optimiser steps passed, those without an update included; set when a run is resumed.
        total: optimiser steps of the whole training.
        cast: makes the context of a forward pass (autocast); losses are computed outside of it, in fp32.
        ranks: this process among those that share each batch, or None. Losses and totals that are means over examples
            need not know, since the means over the ranks are taken; what compares or pools the examples of a batch
            asks for them all by `everywhere`.
    """

    student: nn.Module
    teacher: nn.Module | None = None
    totals: tuple[str, ...] = ()
    views: Sequence[Sequence[Augmentation]] = ()
    done: int = 0
    total: int = 1
    cast: Callable[[], AbstractContextManager[Any]] = staticmethod(nullcontext)
    ranks: Ranks | None = None

    @property
    @abstractmethod
    def kept(self) -> Backbone:
        """The backbone whose network is evaluated, published and saved as the training's model."""

    @abstractmethod
    def loss(self, seen: Seen) -> Mapping[str, Tensor]:
        """`loss`, the scalar that is minimised, and every number of `totals`. Labels are not shown. Also called on the
        validation split, in evaluation mode: what it keeps for `after_step` must not outlive the next call."""

    def everywhere(self, x: Tensor) -> Tensor:
        """The rows of the whole batch, of which `x` are this rank's; with a gradient, if all ranks compute the same
        loss of it."""
        return x if self.ranks is None else gathered(x, self.ranks)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Within this block the batch is not shared: every rank computes all of it."""
        ranks, self.ranks = self.ranks, None
        try:
            yield
        finally:
            self.ranks = ranks

    def masks(self, n: int, source: torch.Generator) -> tuple[Tensor, ...]:  # noqa: ARG002
        """The masks of a batch of `n` examples, drawn on the CPU, each with n rows."""
        return ()

    def before_update(self, optimiser: Optimizer) -> None:  # noqa: B027 - most objectives have nothing to do here
        """Called after the gradient, without the scale of its loss and averaged over the ranks, before the rules that
        look at it, clipping and the optimiser's step."""

    def after_step(self) -> None:  # noqa: B027 - as above
        """Called after the optimiser's step, `done` not yet counted up: a teacher follows here. Not called where the
        step made no update."""

    def extra_state(self) -> dict[str, Tensor]:
        """Name -> live tensor beyond the student that the rest of the run depends on; a resumed run copies into it.
        Whoever adds some keeps the teacher's, which are these."""
        if self.teacher is None:
            return {}
        both = [*self.teacher.named_parameters(), *self.teacher.named_buffers()]
        return {f"teacher/{name}": value for name, value in both}

    def about(self) -> dict[str, Any]:
        """JSON values for the record's notes: what ran, read from the objects that ran."""
        return {}


#: Makes the objective of a run from its network, which is on its device, and its job.
Maker = Callable[[nn.Module, "Job"], Objective]


def composed(
    objective: Objective,
    optimiser: Optimizer,
    after: Tail,
    losses: list[Tensor],
    totals: list[Tensor],
    scaling: Scaling | None = None,
) -> Step:
    """The step `(seen, labels, learning rate)`. It appends the loss to `losses` and the vector of the objective's
    totals to `totals`; nothing is read from the device."""
    groups, names = optimiser.param_groups, objective.totals
    backward = Tensor.backward if scaling is None else scaling.backward

    def step(seen: Any, _: Tensor, rate: float) -> None:
        found = objective.loss(seen)
        loss = found["loss"]
        backward(loss)
        losses.append(loss.detach())
        totals.append(torch.stack([found[name].detach().float() for name in names]) if names else loss.new_zeros(0))
        for group in groups:
            group["lr"] = rate
        for act in after:
            act()
        if scaling is None or scaling.made:
            objective.after_step()
        objective.done += 1

    return step


def objective_of(job: Job, model: nn.Module) -> Objective | None:
    """What a job minimises in place of cross-entropy, or None; its student takes the place of the network."""
    if job.objective is None:
        return None
    settings = job.resolved
    with streams.borrowed(streams.Stream(*job.streams, "objective")):
        made = job.objective(model, job)
    made.total = settings.total_steps
    made.cast = lambda: autocast(settings.precision, job.device)
    if made.teacher is not None:
        made.teacher.to(job.device)
    made.student.to(job.device).train()
    if job.ranks:
        made.ranks = job.ranks
        for part in (made.student, made.teacher):
            if part is not None:
                job.ranks.alike(part)
                synchronise(part)
    return made
