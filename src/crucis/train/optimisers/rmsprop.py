"""RMSprop: the gradient divided by a running root mean square.

g = gradient + weight_decay w; s = smoothing s + (1 - smoothing) g^2; with `centred`, s less the squared running mean
of g; step = g / (sqrt(s) + eps), through momentum if asked for. Source: Tieleman and Hinton 2012, Coursera lecture
6.5. Torch offers no fused form.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch.optim import Optimizer

REVISION = 1
LIMITS = {"smoothing": "[0, 1)", "momentum": "[0, 1)", "eps": "(0, 1]"}


def optimiser(
    groups: list[dict[str, Any]],
    *,
    smoothing: float = 0.99,
    momentum: float = 0.0,
    eps: float = 1e-8,
    centred: bool = False,
) -> Optimizer:
    """The optimiser over parameter groups with their own `lr` and `weight_decay`.

    Args:
        smoothing: memory of the mean squared gradient, 0 to below 1.
        momentum: 0 to below 1.
        eps: added to the root, above 0.
        centred: divide by the standard deviation of the gradient instead.
    """
    from torch.optim import RMSprop

    return RMSprop(groups, alpha=smoothing, momentum=momentum, eps=eps, centered=centred, foreach=True)
