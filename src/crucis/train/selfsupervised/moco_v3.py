"""MoCo v3: a student's predictions of one view against a slow teacher's features of the other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from ...data.augmenting import Augmentation
from ..backbone import Backbone, patch_layer
from ..objectives import Objective, Seen
from .parts import COURSES, Following, copied, perceptron, steps_of, unit

if TYPE_CHECKING:
    from ..run import Job


def contrast(query: Tensor, key: Tensor, temperature: float) -> Tensor:
    """2T times the cross-entropy of each query among all keys of the batch; N rows each, scaled to length 1.

    Source: X. Chen, S. Xie, K. He, 2021, arXiv:2104.02057, algorithm 1 and section 3.
    """
    logits = unit(query) @ unit(key).T / temperature
    return 2 * temperature * functional.cross_entropy(logits, torch.arange(len(query), device=query.device))


class MoCoV3(Objective):
    """See `protocols/moco_v3.py`."""

    totals = ("positive_cosine", "momentum")

    def __init__(
        self, net: nn.Module, classes: int, augment: tuple[Augmentation, ...], second: tuple[Augmentation, ...],
        temperature: float, momentum: float, course: str, hidden: int, out: int, freeze: bool,
    ) -> None:  # fmt: skip
        self.backbone = Backbone(net, classes)
        stem = patch_layer(net)
        self.frozen = [name for name, _ in stem.named_parameters()] if freeze and stem is not None else []
        if freeze and stem is not None:
            stem.requires_grad_(False)
        width, patched = self.backbone.width, stem is not None
        projector = perceptron([width, *[hidden] * (2 if patched else 1), out], last_norm="plain")
        self.encoder = nn.Sequential(self.backbone, projector)
        self.predictor = perceptron([out, hidden, out], last_norm="plain" if patched else "none")
        self.student = nn.ModuleDict({"encoder": self.encoder, "predictor": self.predictor})
        self.teacher = copied(self.encoder)
        self.follow = Following(self.teacher, self.encoder)
        self.views = (augment, second)
        self.temperature, self.momentum, self.course = temperature, momentum, course

    @property
    def kept(self) -> Backbone:
        """The student's backbone."""
        return self.backbone

    def loss(self, seen: Seen) -> Mapping[str, Tensor]:
        """Both ways round: the first view's prediction among the second's keys, and the reverse."""
        assert self.teacher is not None
        first, second = seen.views
        with self.cast():
            queries = [self.predictor(self.encoder(view)) for view in (first, second)]
            with torch.no_grad():
                keys = [self.teacher(view) for view in (first, second)]
        queries = [self.everywhere(query) for query in queries]
        with torch.no_grad():
            keys = [self.everywhere(key) for key in keys]
        loss = contrast(queries[0], keys[1], self.temperature) + contrast(queries[1], keys[0], self.temperature)
        cosine = functional.cosine_similarity(queries[0].detach().float(), keys[1].float()).mean()
        return {"loss": loss, "positive_cosine": cosine, "momentum": loss.new_tensor(self._momentum())}

    def _momentum(self) -> float:
        """Of the update behind the current step; the next step is the first to see it."""
        return COURSES[self.course](self.momentum, self.done + 1, self.total)

    def after_step(self) -> None:
        """The teacher follows."""
        self.follow(self._momentum())

    def about(self) -> dict[str, Any]:
        """Temperature, the teacher's course, and what of the patch layer is frozen."""
        return {
            "name": "moco_v3", "temperature": self.temperature, "momentum": self.momentum,
            "momentum_schedule": self.course, "frozen": self.frozen,
        }  # fmt: skip


def made(net: nn.Module, job: Job) -> MoCoV3:
    """The objective of a job whose settings hold the parameters of the protocol."""
    given = job.resolved.params
    views = steps_of(given["augment"], "augment"), steps_of(given["second"], "second")
    return MoCoV3(
        net, job.data.classes, *views, given["temperature"], given["momentum"], given["momentum_schedule"],
        given["hidden"], given["out"], given["freeze_patches"],
    )  # fmt: skip
