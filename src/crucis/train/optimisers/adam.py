"""Adam, with weight decay added to the gradient.

g = gradient + weight_decay w; m, v = running means of g and g^2, corrected for their start at zero;
w = w - lr m / (sqrt(v) + eps). Source: Kingma and Ba 2015, arXiv 1412.6980.
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
    from torch.optim import Adam

    return Adam(groups, betas=(beta1, beta2), eps=eps, fused=True)
