"""RMSprop as TensorFlow 1 has it (tf.train.RMSPropOptimizer), with its defaults.

g = gradient + weight_decay w; s = smoothing s + (1 - smoothing) g^2, starting at one; with `centred`, s less the
squared running mean of g; v = momentum v + lr g / sqrt(s + eps); w = w - v. Against `rmsprop`: eps stands inside the
root, s starts at one instead of zero, and the rate is inside the momentum, so that a new rate reaches only new
gradients. Source: documentation and kernel of tf.train.RMSPropOptimizer; R. Wightman, timm 0.3.2, optim/rmsprop_tf.py.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from ..foreach import Together, decayed, together

REVISION = 1
LIMITS = {"smoothing": "[0, 1)", "momentum": "[0, 1)", "eps": "(0, 1]"}


def optimiser(
    groups: list[dict[str, Any]],
    *,
    smoothing: float = 0.9,
    momentum: float = 0.0,
    eps: float = 1e-10,
    centred: bool = False,
) -> Optimizer:
    """The optimiser over parameter groups with their own `lr` and `weight_decay`.

    Args:
        smoothing: memory of the mean squared gradient, 0 to below 1.
        momentum: 0 to below 1.
        eps: added to the mean squared gradient, above 0.
        centred: divide by the standard deviation of the gradient instead.
    """
    options = {"smoothing": smoothing, "momentum": momentum, "eps": eps, "centred": centred}
    return RMSpropTF(groups, {"lr": 0.01, "weight_decay": 0.0, **options})


class RMSpropTF(Optimizer):
    """See the head of this file. State, shaped like the parameter: `square_avg`, `momentum_buffer`, `grad_avg`."""

    LEAF = "rmsprop_tf"

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]  # noqa: ARG002 - the interface of torch
        """One step of every group."""
        for group in self.param_groups:
            found = together(self, group, lambda param, group=group: _start(param, group))  # type: ignore[misc]
            if found.params:
                _step(found, group)


def _start(param: Tensor, group: dict[str, Any]) -> dict[str, Any]:
    out = {"square_avg": torch.ones_like(param)}
    if group["momentum"]:
        out["momentum_buffer"] = torch.zeros_like(param)
    if group["centred"]:
        out["grad_avg"] = torch.zeros_like(param)
    return out


def _step(found: Together, group: dict[str, Any]) -> None:
    memory, grads = group["smoothing"], decayed(found, group["weight_decay"])
    squares = found.state("square_avg")
    torch._foreach_mul_(squares, memory)
    torch._foreach_addcmul_(squares, grads, grads, 1 - memory)
    roots = list(torch._foreach_add(squares, group["eps"]))
    if group["centred"]:
        means = found.state("grad_avg")
        torch._foreach_lerp_(means, grads, 1 - memory)
        torch._foreach_addcmul_(roots, means, means, -1.0)
    torch._foreach_sqrt_(roots)
    if group["momentum"]:
        buffers = found.state("momentum_buffer")
        torch._foreach_mul_(buffers, group["momentum"])
        torch._foreach_addcdiv_(buffers, grads, roots, group["lr"])
        torch._foreach_sub_(found.params, buffers)
    else:
        torch._foreach_addcdiv_(found.params, grads, roots, -group["lr"])
