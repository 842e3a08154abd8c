"""I-JEPA: from the tokens of a context, the teacher's tokens of blocks that the context does not see."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from ...data.augmenting import Augmentation
from ...nets._tokens import Block
from ..backbone import Backbone
from ..objectives import Objective, Seen
from .blocks import Blocks
from .parts import COURSES, Following, copied, pair, steps_of
from .tokens import Tokens, take, waves

if TYPE_CHECKING:
    from ..run import Job


class Predictor(nn.Module):
    """A narrow transformer: tokens of the context and one trained token per place asked for, to tokens there."""

    positions: Tensor

    def __init__(self, grid: tuple[int, int], outer: int, width: int, depth: int, heads: int) -> None:
        super().__init__()
        self.inward, self.outward = nn.Linear(outer, width), nn.Linear(width, outer)
        self.mask = nn.Parameter(torch.empty(1, 1, width))
        nn.init.trunc_normal_(self.mask, std=0.02)
        self.blocks = nn.Sequential(*[Block(width, heads, 4 * width, 0.0) for _ in range(depth)])
        self.norm = nn.LayerNorm(width)
        self.register_buffer("positions", waves(grid, width), persistent=False)

    def forward(self, tokens: Tensor, context: Tensor, targets: Tensor) -> Tensor:
        """Tokens (B, K, D) at `context` (B, K) to (B * M, S, D) at `targets` (B, M, S); each block on its own."""
        seen = self.inward(tokens) + self.positions[context]
        asked = (self.mask + self.positions[targets.flatten(0, 1)]).to(seen.dtype)
        both = torch.cat([seen.repeat_interleave(targets.shape[1], 0), asked], 1)
        return self.outward(self.norm(self.blocks(both))[:, context.shape[1] :])


def distance(found: Tensor, wanted: Tensor, kind: str) -> Tensor:
    """`smooth_l1` (Huber's with threshold 1) or `l2` (squared), the mean over all numbers."""
    return functional.smooth_l1_loss(found, wanted) if kind == "smooth_l1" else functional.mse_loss(found, wanted)


class IJEPA(Objective):
    """See `protocols/i_jepa.py`."""

    totals = ("target_std", "momentum")

    def __init__(
        self, net: nn.Module, classes: int, shape: tuple[int, ...], augment: tuple[Augmentation, ...],
        masks: Mapping[str, Any], predictor: tuple[int, int, int], loss: str, momentum: float, course: str,
    ) -> None:  # fmt: skip
        self.backbone = Backbone(net, classes)
        self.read = Tokens(net, shape)
        count = self.read.count
        kept = max(masks["min_keep"], round(masks["context_tokens"] * count))
        self.blocks = Blocks(self.read.grid, masks["targets"], masks["scale"], masks["aspect"], masks["context_scale"],
                             kept)  # fmt: skip
        width, depth, heads = predictor
        self.predictor = Predictor(self.read.grid, self.read.width, width, depth, heads)
        self.student = nn.ModuleDict({"backbone": self.backbone, "predictor": self.predictor})
        self.teacher = copied(self.backbone)
        assert isinstance(self.teacher, Backbone)
        self.target, self.target_read = self.teacher, Tokens(self.teacher.net, shape)
        self.follow = Following(self.teacher, self.backbone)
        self.views, self.kind = (augment,), loss
        self.momentum, self.course = momentum, course

    @property
    def kept(self) -> Backbone:
        """The teacher."""
        return self.target

    def masks(self, n: int, source: torch.Generator) -> tuple[Tensor, ...]:
        """Places of the context and of the targets."""
        return self.blocks.draw(n, source)

    def loss(self, seen: Seen) -> Mapping[str, Tensor]:
        """Distance of the predictions from the teacher's tokens of the whole image, each of mean 0 and variance 1."""
        context, targets = seen.masks
        image = seen.views[0]
        with self.cast():
            with torch.no_grad():
                whole = self.target_read.encode(*self.target_read.embed(image)).float()
            tokens, before = self.read.embed(image)
            found = self.predictor(self.read.encode(take(tokens, context), before), context, targets).float()
        with torch.no_grad():
            wanted = functional.layer_norm(whole, whole.shape[2:])
            wanted = take(wanted, targets.flatten(1)).unflatten(1, targets.shape[1:]).flatten(0, 1)
        loss = distance(found, wanted, self.kind)
        spread = self.everywhere(whole.mean(1)).std(0).mean()
        return {"loss": loss, "target_std": spread, "momentum": loss.new_tensor(self._momentum())}

    def _momentum(self) -> float:
        return COURSES[self.course](self.momentum, self.done, self.total)

    def after_step(self) -> None:
        """The teacher follows."""
        self.follow(self._momentum())

    def about(self) -> dict[str, Any]:
        """Masks, distance and the teacher's course."""
        made = self.blocks
        return {
            "name": "i_jepa", "loss": self.kind, "momentum": self.momentum, "momentum_schedule": self.course,
            "targets": made.targets, "target_scale": list(made.scale), "target_aspect": list(made.aspect),
            "context_scale": list(made.context_scale), "context": made.context, "patches": self.read.count,
        }  # fmt: skip


def made(net: nn.Module, job: Job) -> IJEPA:
    """The objective of a job whose settings hold the parameters of the protocol."""
    given = job.resolved.params
    ranges = {"scale": "target_scale", "aspect": "target_aspect", "context_scale": "context_scale"}
    masks = {name: pair(given[parameter], parameter) for name, parameter in ranges.items()}
    masks |= {name: given[name] for name in ("targets", "context_tokens", "min_keep")}
    predictor = (given["predictor_width"], given["predictor_depth"], given["predictor_heads"])
    return IJEPA(
        net, job.data.classes, tuple(job.data.shape), steps_of(given["augment"], "augment"), masks, predictor,
        given["loss"], given["momentum"], given["momentum_schedule"],
    )  # fmt: skip
