"""Stochastic gradient descent with momentum.

g = gradient + weight_decay w; v = momentum v + g; w = w - lr (g + momentum v) with Nesterov, w - lr v without. The
first v is g. Source: Sutskever et al. 2013, ICML; Nesterov form as in torch.optim.SGD.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch.optim import Optimizer

REVISION = 1
LIMITS = {"momentum": "[0, 1)"}


def optimiser(groups: list[dict[str, Any]], *, momentum: float = 0.9, nesterov: bool = True) -> Optimizer:
    """The optimiser over parameter groups with their own `lr` and `weight_decay`.

    Args:
        momentum: 0 to below 1; 0 is plain gradient descent.
        nesterov: look ahead by one momentum step; without momentum it has no effect.
    """
    from torch.optim import SGD

    return SGD(groups, momentum=momentum, nesterov=nesterov and momentum > 0, fused=True)
