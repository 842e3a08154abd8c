"""LAMB: Adam whose step is scaled in each tensor to the norm of its weights.

m, v = running means of the gradient and its square, corrected for their start at zero (unless told otherwise);
r = m / (sqrt(v) + eps) + weight_decay w; t = |w| / |r|, 1 where a norm is zero and in groups that are not adapted;
w = w - lr t r. `largest_norm` bounds |w| from above in t (phi in the paper), `largest_trust` bounds t. Parameters that
do not decay (`decay_on`) are not adapted either, unless `adapt: all`.
Source: You et al. 2020, arXiv 1904.00962, algorithm 2.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor
from torch.optim import Optimizer

from ..foreach import Together, norms, ratio, scaled, together

REVISION = 1
LIMITS = {
    "beta1": "[0, 1)",
    "beta2": "[0, 1)",
    "eps": "(0, 1]",
    "largest_norm": "(0, 1000000]",
    "largest_trust": "(0, 1000000]",
}
#: Groups are told apart by `decay_on` also where nothing decays, because it decides what is adapted.
ADAPTS = True


def optimiser(
    groups: list[dict[str, Any]],
    *,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-6,
    bias_correction: bool = True,
    largest_norm: float | None = None,
    largest_trust: float | None = None,
    adapt: Literal["decayed", "all"] = "decayed",
) -> Optimizer:
    """The optimiser over parameter groups with their own `lr`, `weight_decay` and `adapt`.

    Args:
        beta1: memory of the mean gradient, 0 to below 1.
        beta2: memory of the mean squared gradient, 0 to below 1.
        eps: added to the root, above 0.
        bias_correction: correct both means for their start at zero.
        largest_norm: bound of the norm of the weights in the ratio.
        largest_trust: bound of the ratio.
        adapt: which tensors have a rate of their own: those that decay, or all.
    """
    chosen = [{**group, "adapt": adapt == "all" or group.get("adapt", True)} for group in groups]
    options = {"betas": (beta1, beta2), "eps": eps, "bias_correction": bias_correction,
               "largest_norm": largest_norm, "largest_trust": largest_trust}  # fmt: skip
    return Lamb(chosen, {"lr": 0.001, "weight_decay": 0.0, **options})


class Lamb(Optimizer):
    """See the head of this file. State: `exp_avg` and `exp_avg_sq`, shaped like the parameter; `step`, a count."""

    LEAF = "lamb"

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]  # noqa: ARG002 - the interface of torch
        """One step of every group."""
        for group in self.param_groups:
            found = together(self, group, _start)
            if found.params:
                _step(found, group)


def _start(param: Tensor) -> dict[str, Any]:
    return {"step": 0, "exp_avg": torch.zeros_like(param), "exp_avg_sq": torch.zeros_like(param)}


def _step(found: Together, group: dict[str, Any]) -> None:
    for state in found.states:
        state["step"] += 1
    beta1, beta2 = group["betas"]
    means, squares = found.state("exp_avg"), found.state("exp_avg_sq")
    torch._foreach_lerp_(means, found.grads, 1 - beta1)
    torch._foreach_mul_(squares, beta2)
    torch._foreach_addcmul_(squares, found.grads, found.grads, 1 - beta2)
    if group["bias_correction"]:
        # parameters may have met their first gradient at different steps, hence one correction each
        counts = [state["step"] for state in found.states]
        roots = list(torch._foreach_div(squares, [1 - beta2**k for k in counts]))
        moves = list(torch._foreach_div(means, [1 - beta1**k for k in counts]))
        torch._foreach_sqrt_(roots)
    else:
        roots, moves = list(torch._foreach_sqrt(squares)), list(torch._foreach_mul(means, 1.0))
    torch._foreach_add_(roots, group["eps"])
    torch._foreach_div_(moves, roots)
    if group["weight_decay"]:
        torch._foreach_add_(moves, found.params, alpha=group["weight_decay"])
    if group["adapt"]:
        moves = scaled(moves, _ratios(found.params, moves, group))
    torch._foreach_add_(found.params, moves, alpha=-group["lr"])


def _ratios(params: list[Tensor], moves: list[Tensor], group: dict[str, Any]) -> Tensor:
    weights = norms(params)
    if group["largest_norm"] is not None:
        weights = weights.clamp(max=group["largest_norm"])
    out = ratio(weights, norms(moves))
    return out if group["largest_trust"] is None else out.clamp(max=group["largest_trust"])
