"""The rows of all ranks in one tensor, with a gradient: for losses that compare the examples of a whole batch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.autograd.function import once_differentiable

if TYPE_CHECKING:
    from .ranks import Ranks


def gathered(x: Tensor, ranks: Ranks) -> Tensor:
    """This rank's rows (B / W, ...) as the whole batch (B, ...), in its order, on every rank.

    Every rank must compute the same loss of the result. The gradients of the ranks are averaged afterwards, so each row
    is given W times its own: the mean over the ranks is then the gradient of one process with the whole batch. Nothing
    is exchanged backwards.
    Cost: one exchange of B rows, and the loss of the whole batch on every rank.
    """
    return _Gathered.apply(x, ranks)


class _Gathered(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, ranks: Ranks) -> Tensor:
        parts = [torch.empty_like(x, memory_format=torch.contiguous_format) for _ in range(ranks.world)]
        dist.all_gather(parts, x.contiguous())
        ctx.ranks = ranks
        return torch.stack(parts, 1).flatten(0, 1)  # every `world`-th row is one rank's

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Any:
        return gradient[ctx.ranks.rows] * ctx.ranks.world, None
