"""The straight line between two networks of one architecture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from ..errors import Refusal
from ..seeds import derive
from ..streams import borrowed
from .evaluate import Batch, losses
from .surface import copied, estimating

BatchNorm = Literal["frozen", "recalibrated"]


def state_of(model: nn.Module) -> dict[str, Tensor]:
    """Name -> every floating-point parameter and buffer of a network, detached."""
    both = [*model.named_parameters(), *model.named_buffers()]
    return {name: value.detach() for name, value in both if value.is_floating_point()}


class Segment:
    """Networks (1 - t) start + t end for t in [0, 1], written into a copy; the two are never touched.

    Args:
        start, end: of one architecture.
        parts: the evaluation set in batches, on the networks' device.
        batch_norm: `frozen` mixes the running statistics as it mixes the weights; `recalibrated` estimates them anew
            at every point from all batches (their plain average).

    Attributes:
        distance: Euclidean distance of the two in the space of parameters.

    Raises:
        Refusal: `not_applicable`, if the networks are of different shapes.
    """

    def __init__(
        self, start: nn.Module, end: nn.Module, parts: Sequence[Batch], *, batch_norm: BatchNorm = "frozen"
    ) -> None:
        first, last = state_of(start), state_of(end)
        if {n: v.shape for n, v in first.items()} != {n: v.shape for n, v in last.items()}:
            raise Refusal("not_applicable", "the networks differ in shape, so there is no straight line between them")
        net = copied(start)
        if parts[0][0].dim() == 4:
            net = net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        net.eval().requires_grad_(False)
        targets = state_of(net)
        self._rows = [(targets[name], first[name], last[name]) for name in first]
        self._net, self._parts, self._recalibrate = net, parts, batch_norm == "recalibrated"
        self._norms = [m for m in net.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
        names = [name for name, _ in start.named_parameters() if name in first]
        self.distance = sum(float((first[n].double() - last[n].double()).square().sum()) for n in names) ** 0.5

    @torch.no_grad()
    def place(self, t: float) -> None:
        """Move the copy to `t`. At 0 and 1 it is the one or the other network bit for bit."""
        for target, first, last in self._rows:
            if t in (0.0, 1.0):
                target.copy_(last if t else first)
            else:
                target.copy_(torch.lerp(first, last, t))

    @torch.no_grad()
    def loss(self) -> float:
        """Mean cross-entropy (nats) where the copy stands; NaN and infinity are values."""
        with borrowed(derive(0, "measure", "segment")):
            if self._recalibrate and self._norms:
                with estimating(self._norms):
                    for x, _ in self._parts:
                        self._net(x)
            return losses(self._net, self._parts)[0]
