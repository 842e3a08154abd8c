"""Adam with decoupled weight decay.

w = w - lr weight_decay w, then Adam's step on the plain gradient. Source: Loshchilov and Hutter 2019, arXiv 1711.05101.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch.optim import Optimizer

REVISION = 1
LIMITS = {"beta1": "[0, 1)", "beta2": "[0, 1)", "eps": "(0, 1]"}


def optimiser(
    groups: list[dict[str, Any]], *, beta1: float = 0.9, beta2: float = 0.999, eps: float = 1e-8
) -> Optimizer:
    """The optimiser over parameter groups with their own `lr` and `weight_decay`.

    Args:
        beta1: memory of the mean gradient, 0 to below 1.
        beta2: memory of the mean squared gradient, 0 to below 1.
        eps: added to the root, above 0.
    """
    from torch.optim import AdamW

    return AdamW(groups, betas=(beta1, beta2), eps=eps, fused=True)
