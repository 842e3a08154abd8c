"""DINO: a student's distribution over prototypes for every view, after a slow teacher's for the large views."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import Optimizer

from ...data.augment.resized_crop import ResizedCrop
from ...data.augmenting import Augmentation
from ..backbone import Backbone, patch_layer
from ..objectives import Objective, Seen
from ..settings import steps_in
from .parts import COURSES, Following, copied, perceptron, steps_of

if TYPE_CHECKING:
    from ..run import Job


#: Parameters of the protocol that are used as they are.
DIRECT = ("hidden", "bottleneck", "prototypes", "norm_last_layer", "student_temperature", "momentum", "centre_momentum",
          "clip_each")  # fmt: skip


class Head(nn.Module):
    """A perceptron with GELU, scaling to length 1, and prototypes of length 1: (B, D) to (B, prototypes)."""

    def __init__(self, width: int, hidden: int, bottleneck: int, prototypes: int, fixed: bool) -> None:
        super().__init__()
        self.mlp = perceptron([width, hidden, hidden, bottleneck], norm=False, activation=nn.GELU)
        for layer in self.mlp:
            if isinstance(layer, nn.Linear):
                nn.init.trunc_normal_(layer.weight, std=0.02)
                nn.init.zeros_(layer.bias)
        drawn = nn.Linear(bottleneck, prototypes, bias=False).weight.detach()
        self.direction = nn.Parameter(drawn)
        self.length = nn.Parameter(torch.ones(prototypes, 1), requires_grad=not fixed)

    def forward(self, x: Tensor) -> Tensor:
        """Weighted by direction and length: rows of the last layer are length * direction / |direction|."""
        found = functional.normalize(self.mlp(x), dim=1)
        return functional.linear(found, functional.normalize(self.direction, dim=1) * self.length)


def cross_entropies(student: Sequence[Tensor], teacher: Sequence[Tensor], sharp: float) -> Tensor:
    """The mean over all pairs of a teacher's view and another student's view of -sum p log softmax(s / T).

    Args:
        student: logits (B, K) of each view, the teacher's views first.
        teacher: probabilities p (B, K) of the large views.
        sharp: the student's temperature T.

    Source: M. Caron et al., 2021, arXiv:2104.14294, equation 3.
    """
    logs = [functional.log_softmax(each / sharp, dim=1) for each in student]
    pairs = [
        -(p * log).sum(1).mean()
        for place, p in enumerate(teacher) for other, log in enumerate(logs) if other != place
    ]  # fmt: skip
    return torch.stack(pairs).mean()


def small_steps(
    net: nn.Module, steps: Sequence[Augmentation], shape: tuple[int, ...], share: float
) -> tuple[Augmentation, ...]:
    """The augmentations of small views: resized crops that say no size get this share of the image's side, rounded to
    whole patches where the network has any."""
    conv = getattr(patch_layer(net), "proj", patch_layer(net))
    unit = conv.kernel_size[0] if isinstance(conv, nn.Conv2d) else 1
    side = max(unit, round(share * shape[1] / unit) * unit)
    return tuple(replace(one, size=side) if isinstance(one, ResizedCrop) and one.size is None else one for one in steps)


class DINO(Objective):
    """See `protocols/dino.py`."""

    totals = ("teacher_entropy", "centre_norm", "momentum")

    def __init__(
        self, net: nn.Module, classes: int, views: Sequence[tuple[Augmentation, ...]], options: Mapping[str, Any],
        per_epoch: int,
    ) -> None:  # fmt: skip
        self.backbone = Backbone(net, classes)
        self.head = Head(self.backbone.width, options["hidden"], options["bottleneck"], options["prototypes"],
                         options["norm_last_layer"])  # fmt: skip
        self.student = nn.Sequential(self.backbone, self.head)
        self.teacher = copied(self.student)
        self.follow = Following(self.teacher, self.student)
        self.teacher.register_buffer("centre", torch.zeros(1, options["prototypes"]))
        self.views, self.options, self.per_epoch = tuple(views), options, per_epoch
        self.seen_mean: Tensor | None = None

    @property
    def kept(self) -> Backbone:
        """The teacher's backbone."""
        assert isinstance(self.teacher, nn.Sequential) and isinstance(self.teacher[0], Backbone)
        return self.teacher[0]

    @property
    def temperature(self) -> float:
        """The teacher's, in the current epoch: a straight line over the epochs of its warm-up, then constant."""
        start, end = self.options["teacher_temperature"]
        epochs, epoch = self.options["temperature_epochs"], self.done // self.per_epoch
        return end if epoch >= epochs else start + (end - start) * epoch / max(epochs - 1, 1)

    def loss(self, seen: Seen) -> Mapping[str, Tensor]:
        """Cross-entropies of every view with the teacher's two, centred and sharpened."""
        assert self.teacher is not None
        sizes = list(dict.fromkeys(view.shape[2:] for view in seen.views))
        count = len(seen.views[0])
        with self.cast():
            alike = [torch.cat([view for view in seen.views if view.shape[2:] == size]) for size in sizes]
            out = self.head(torch.cat([self.backbone(each) for each in alike]))
            with torch.no_grad():
                wanted = self.teacher(torch.cat(seen.views[:2])).float()
        with torch.no_grad():
            self.seen_mean = self.everywhere(wanted.mean(0, keepdim=True)).mean(0, keepdim=True)
            p = ((wanted - self.centre) / self.temperature).softmax(1)
            entropy = torch.special.entr(p).sum(1).mean()
        loss = cross_entropies(out.float().split(count), p.split(count), self.options["student_temperature"])
        return {
            "loss": loss, "teacher_entropy": entropy, "centre_norm": self.centre.norm(),
            "momentum": loss.new_tensor(self._momentum()),
        }  # fmt: skip

    @property
    def centre(self) -> Tensor:
        """What is taken from the teacher's logits, (1, prototypes)."""
        assert self.teacher is not None and isinstance(self.teacher.centre, Tensor)
        return self.teacher.centre

    def before_update(self, optimiser: Optimizer) -> None:  # noqa: ARG002
        """Each parameter's gradient is clipped by its own norm; the last layer waits for its epoch."""
        limit = self.options["clip_each"]
        if limit is not None:
            grads = [value.grad for value in self.student.parameters() if value.grad is not None]
            shares = [(limit / (norm + 1e-6)).clamp(max=1.0) for norm in torch._foreach_norm(grads)]
            torch._foreach_mul_(grads, shares)
        if self.done < self.options["frozen_steps"]:
            self.head.direction.grad = self.head.length.grad = None

    def _momentum(self) -> float:
        return COURSES["cosine"](self.options["momentum"], self.done, self.total)

    def after_step(self) -> None:
        """Teacher and centre follow."""
        self.follow(self._momentum())
        assert self.seen_mean is not None
        self.centre.lerp_(self.seen_mean, 1 - self.options["centre_momentum"])

    def about(self) -> dict[str, Any]:
        """Head, temperatures, courses."""
        start, end = self.options["teacher_temperature"]
        pair = {"teacher_temperature_start": start, "teacher_temperature": end}
        return {"name": "dino", "small_views": len(self.views) - 2, **self.options, **pair}


def made(net: nn.Module, job: Job) -> DINO:
    """The objective of a job whose settings hold the parameters of the protocol."""
    settings, given = job.resolved, job.resolved.params
    few = small_steps(net, steps_of(given["small"], "small"), tuple(job.data.shape), given["small_size"])
    large = [steps_of(given[name], name) for name in ("augment", "second")]
    per_epoch, total = settings.steps_per_epoch, settings.total_steps
    options = {name: given[name] for name in DIRECT} | {
        "teacher_temperature": (given["teacher_temperature_start"], given["teacher_temperature"]),
        "temperature_epochs": round(steps_in(given["temperature_warmup"], per_epoch, total) / per_epoch),
        "frozen_steps": steps_in(given["freeze_last_layer"], per_epoch, total),
    }
    return DINO(net, job.data.classes, [*large, *[few] * given["small_views"]], options, per_epoch)
