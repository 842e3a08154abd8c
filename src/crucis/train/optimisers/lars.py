"""LARS: momentum whose rate is scaled in each tensor by the ratio of the norms of weights and gradient.

g = gradient + weight_decay w; t = trust_coefficient |w| / |g|, 1 where a norm is zero and in groups that are not
adapted; v = momentum v + lr t g; w = w - v, with Nesterov w - (momentum v + lr t g). v starts at zero. With `ratio:
apart` the divisor is |gradient| + weight_decay |w|, as the paper writes it; |g| is the form of the code that trained
SimCLR. Parameters that do not decay (`decay_on`) are not adapted either, unless `adapt: all`.
Source: You, Gitman and Ginsburg 2017, arXiv 1708.03888, algorithm 1; Chen et al. 2020, arXiv 2002.05709, code.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor
from torch.optim import Optimizer

from ..foreach import Together, decayed, norms, ratio, scaled, together

REVISION = 1
LIMITS = {"momentum": "[0, 1)", "trust_coefficient": "(0, 1]"}
#: Groups are told apart by `decay_on` also where nothing decays, because it decides what is adapted.
ADAPTS = True


def optimiser(
    groups: list[dict[str, Any]],
    *,
    momentum: float = 0.9,
    trust_coefficient: float = 0.001,
    nesterov: bool = False,
    ratio: Literal["joint", "apart"] = "joint",
    adapt: Literal["decayed", "all"] = "decayed",
) -> Optimizer:
    """The optimiser over parameter groups with their own `lr`, `weight_decay` and `adapt`.

    Args:
        momentum: 0 to below 1.
        trust_coefficient: share of a tensor's norm that one step at rate 1 may move, above 0 up to 1.
        nesterov: look ahead by one momentum step.
        ratio: norm of the gradient with the decay in it (`joint`), or the sum of both norms (`apart`).
        adapt: which tensors have a rate of their own: those that decay, or all.
    """
    chosen = [{**group, "adapt": adapt == "all" or group.get("adapt", True)} for group in groups]
    options = {"momentum": momentum, "trust_coefficient": trust_coefficient, "nesterov": nesterov, "ratio": ratio}
    return Lars(chosen, {"lr": 0.1, "weight_decay": 0.0, **options})


class Lars(Optimizer):
    """See the head of this file. State: `momentum_buffer`, shaped like the parameter."""

    LEAF = "lars"

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]  # noqa: ARG002 - the interface of torch
        """One step of every group."""
        for group in self.param_groups:
            found = together(self, group, lambda param: {"momentum_buffer": torch.zeros_like(param)})
            if found.params:
                _step(found, group)


def _step(found: Together, group: dict[str, Any]) -> None:
    rate, momentum = group["lr"], group["momentum"]
    grads = decayed(found, group["weight_decay"])
    if group["adapt"]:
        moves = scaled(grads, rate * _ratios(found, grads, group))
    else:
        moves = list(torch._foreach_mul(grads, rate))
    buffers = found.state("momentum_buffer")
    torch._foreach_mul_(buffers, momentum)
    torch._foreach_add_(buffers, moves)
    if group["nesterov"]:
        torch._foreach_add_(moves, buffers, alpha=momentum)
    torch._foreach_sub_(found.params, moves if group["nesterov"] else buffers)


def _ratios(found: Together, grads: list[Tensor], group: dict[str, Any]) -> Tensor:
    weights = norms(found.params)
    if group["ratio"] == "joint":
        below = norms(grads)
    else:
        below = norms(found.grads) + group["weight_decay"] * weights
    return ratio(weights, below, group["trust_coefficient"])
