"""Several points of a landscape in one forward pass: weights stacked along a new first dimension, images shared.

A GPU is idle most of the time of a small network's pass, and one point's weights are another batch for it. On a CPU one
point after the other is faster (a convolution with weights of its own for every point is a grouped one), so this is the
path of a GPU. How many points go at once depends on shapes alone, so a row has the same bits whoever computes it.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.nn import functional

from ..seeds import derive
from ..streams import borrowed
from .evaluate import Batch

#: Memory for the maps and weights of all points of a pass, in bytes.
MOST_BYTES = 1 << 30
#: Points of a pass, whatever memory there is.
MOST_POINTS = 64
#: Largest difference of logits, relative to the largest logit (at least 1), at which the stacked pass is taken.
TOLERANCE = {torch.float32: 1e-4, torch.bfloat16: 1e-1}
#: Maps of a layer that are alive at once: what it reads, what it writes, a shortcut, and room to work.
_ALIVE = 4
#: Images of the batch on which the stacked pass is judged.
_JUDGED = 16


def wanted(device: torch.device) -> bool:
    """Whether points are stacked on that device."""
    return device.type == "cuda"


class Stack:
    """The passes of a network at several points at once.

    Args:
        net: in evaluation mode, without gradients.
        parts: the evaluation set in batches.
        names: of the weights that move.

    Attributes:
        most: points of a pass.
        hindrance: why the network cannot be stacked; empty if it can.
    """

    def __init__(self, net: nn.Module, parts: Sequence[Batch], names: Sequence[str]) -> None:
        self._net, self._parts, self._names = net, parts, list(names)
        weights = dict(net.named_parameters())
        maps = _largest(net, parts[0][0])
        each = sum(weights[name].numel() * weights[name].element_size() for name in self._names)
        self.most = max(1, min(MOST_POINTS, MOST_BYTES // (_ALIVE * maps + each)))
        self.hindrance = self._judged()

    @torch.no_grad()
    def losses(self, stacked: Mapping[str, Tensor]) -> list[float]:
        """Mean cross-entropy (nats) at every point, as `evaluate.losses` takes it.

        Args:
            stacked: name -> weights (points, ...), in the type of the network.
        """
        points = len(next(iter(stacked.values())))
        total, count = torch.zeros(points, dtype=torch.float64, device=self._parts[0][0].device), 0
        with borrowed(derive(0, "measure", "surface")):
            for x, y in self._parts:
                out = self._logits(stacked, x).float()
                each = functional.cross_entropy(out.flatten(0, 1), y.repeat(points), reduction="none")
                total += each.double().view(points, -1).sum(1)
                count += len(y)
        return [value / count for value in total.tolist()]

    def _logits(self, stacked: Mapping[str, Tensor], x: Tensor) -> Tensor:
        def one(weights: dict[str, Tensor]) -> Any:
            return functional_call(self._net, weights, (x,))

        with warnings.catch_warnings():  # an operation that torch runs point by point is only slower
            warnings.filterwarnings("ignore", message="There is a performance drop")
            out: Tensor = vmap(one, randomness="same")(dict(stacked))
        return out

    @torch.no_grad()
    def _judged(self) -> str:
        """Whether two points, the network as it is and one far from it, give the logits that they give alone."""
        x, weights = self._parts[0][0][:_JUDGED], dict(self._net.named_parameters())
        generator = torch.Generator().manual_seed(derive(0, "measure", "stacking", "far"))
        stacked = {}
        for name in self._names:
            here = weights[name].detach()
            noise = torch.randn(here.shape, generator=generator).to(here)
            stacked[name] = torch.stack([here, here + here.square().mean().sqrt() * noise])
        try:
            alone = []
            for index in range(2):
                with borrowed(derive(0, "measure", "stacking")):
                    alone.append(functional_call(self._net, {n: w[index] for n, w in stacked.items()}, (x,)).float())
            with borrowed(derive(0, "measure", "stacking")):
                found = self._logits(stacked, x).float()
        except Exception as error:  # whatever somebody's forward may raise, one point after the other remains
            return f"the network does not take stacked weights ({type(error).__name__})"
        want = torch.stack(alone)
        if want.shape != found.shape or not torch.equal(want.isfinite(), found.isfinite()):
            return "stacked weights give other logits"
        known = want.isfinite()
        if not bool(known.any()):
            return ""
        want, found = want[known], found[known]
        limit = TOLERANCE.get(x.dtype, 1e-4) * max(1.0, float(want.abs().max()))
        return "" if float((want - found).abs().max()) <= limit else "stacked weights give other logits"


@torch.no_grad()
def _largest(net: nn.Module, x: Tensor) -> int:
    """Bytes of the largest map of a batch, between layers."""
    seen = [x.numel() * x.element_size()]

    def note(_module: nn.Module, _args: Any, out: Any) -> None:
        if isinstance(out, Tensor):
            seen.append(out.numel() // max(1, len(some)) * len(x) * out.element_size())

    some = x[:1]
    hooks = [module.register_forward_hook(note) for module in net.modules()]
    try:
        with borrowed(derive(0, "measure", "stacking")):
            net(some)
    finally:
        for hook in hooks:
            hook.remove()
    return max(seen)
