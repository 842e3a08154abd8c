"""The plane through trained networks of one architecture: start + a (end - start) + b (third - start)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from ..errors import Refusal
from ..seeds import derive
from ..streams import borrowed
from .evaluate import Batch, losses
from .segment import state_of
from .surface import BatchNorm, copied, estimating


class Through:
    """Writes points of the plane into a copy; the networks themselves are never touched.

    Everything that is a floating-point number moves, weights, biases and running statistics alike, so that (0, 0),
    (1, 0) and (0, 1) are `start`, `end` and `third` bit for bit.

    Args:
        start, end: the networks, of one architecture.
        third: what (0, 1) is: a network, or a direction over some of the weights (name -> tensor), or None on a line.
        parts: the evaluation set in batches, on the networks' device.
        batch_norm: running statistics are `frozen` (mixed like weights), those of each `batch`, or `recalibrated` at
            every point from all batches (their plain average).

    Attributes:
        norms: Euclidean lengths of the two directions, over parameters; the second is 0 on a line.
        cosine: of the angle between them; 0 on a line.

    Raises:
        Refusal: `not_applicable`, if the networks differ in shape; `degenerate`, if two of them are equal.
    """

    def __init__(
        self,
        start: nn.Module,
        end: nn.Module,
        third: nn.Module | Mapping[str, Tensor] | None,
        parts: Sequence[Batch],
        *,
        batch_norm: BatchNorm = "frozen",
    ) -> None:
        first, last = state_of(start), state_of(end)
        other = state_of(third) if isinstance(third, nn.Module) else None
        for state in (last, *([other] if other is not None else [])):
            if {n: v.shape for n, v in first.items()} != {n: v.shape for n, v in state.items()}:
                raise Refusal("not_applicable", "the networks differ in shape, so no plane goes through them")
        net = copied(start)
        if parts[0][0].dim() == 4:
            net = net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        net.eval().requires_grad_(False)
        targets = state_of(net)
        self._rows = []
        for name, at in first.items():
            away = torch.zeros_like(at)
            if other is not None:
                away = other[name] - at
            elif isinstance(third, Mapping) and name in third:
                away = third[name]
            self._rows.append(
                (targets[name], at, last[name], last[name] - at, away, None if other is None else other[name])
            )
        self._net, self._parts, self._policy = net, parts, batch_norm
        self._bn = [m for m in net.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
        if batch_norm == "batch":
            for norm in self._bn:
                norm.track_running_stats, norm.running_mean, norm.running_var = False, None, None
        learned = {name for name, _ in start.named_parameters()}
        pairs = [(one, two) for name, (_, _, _, one, two, _) in zip(first, self._rows, strict=True) if name in learned]
        squares = [sum(float(d[k].double().square().sum()) for d in pairs) for k in (0, 1)]
        inner = sum(float((one.double() * two.double()).sum()) for one, two in pairs)
        self.norms = (squares[0] ** 0.5, squares[1] ** 0.5)
        if self.norms[0] == 0.0 or (third is not None and self.norms[1] == 0.0):
            raise Refusal("degenerate", "two of the networks have equal parameters, so they span no plane")
        self.cosine = inner / (self.norms[0] * self.norms[1]) if self.norms[1] else 0.0

    @torch.no_grad()
    def place(self, a: float, b: float) -> None:
        """Move the copy to (a, b)."""
        for target, at, last, along, away, other in self._rows:
            if (a, b) == (0.0, 0.0):
                target.copy_(at)
            elif (a, b) == (1.0, 0.0):
                target.copy_(last)
            elif (a, b) == (0.0, 1.0) and other is not None:
                target.copy_(other)
            else:
                target.copy_(at + a * along + b * away)

    @torch.no_grad()
    def loss(self) -> float:
        """Mean cross-entropy (nats) where the copy stands; NaN and infinity are values."""
        with borrowed(derive(0, "measure", "solutions")):
            if self._policy == "recalibrated" and self._bn:
                with estimating(self._bn):
                    for x, _ in self._parts:
                        self._net(x)
            return losses(self._net, self._parts)[0]
