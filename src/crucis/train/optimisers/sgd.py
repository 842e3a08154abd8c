"""Stochastic gradient descent with momentum.

g = gradient + weight_decay w; v = momentum v + (1 - dampening) g; w = w - lr (g + momentum v) with Nesterov,
w - lr v without. The first v is g. With `form: caffe` the rate is inside the momentum, as in Caffe and Keras:
v = momentum v + lr g; w = w - (lr g + momentum v) with Nesterov, w - v without, starting at v = 0. Both are one as
long as the rate does not change; after a change, `torch` moves at once with the new rate, `caffe` keeps the old one in
what was gathered. Source: Sutskever et al. 2013, ICML; the forms of torch.optim.SGD and Caffe's SGDSolver.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch.optim import SGD, Optimizer
from torch.optim.sgd import sgd

from ..foreach import Together, together

REVISION = 1
LIMITS = {"momentum": "[0, 1)", "dampening": "[0, 1)"}


def optimiser(
    groups: list[dict[str, Any]],
    *,
    momentum: float = 0.9,
    nesterov: bool = True,
    dampening: float = 0.0,
    form: Literal["torch", "caffe"] = "torch",
) -> Optimizer:
    """The optimiser over parameter groups with their own `lr` and `weight_decay`.

    Args:
        momentum: 0 to below 1; 0 is plain gradient descent.
        nesterov: look ahead by one momentum step; without momentum it has no effect.
        dampening: share of each gradient after the first that momentum leaves out; not with nesterov or `caffe`.
        form: whether the rate multiplies the momentum (`torch`) or is inside it (`caffe`).
    """
    ahead = nesterov and momentum > 0
    if form == "caffe" and momentum > 0:
        return MomentumOfSteps(groups, {"lr": 0.1, "weight_decay": 0.0, "momentum": momentum, "nesterov": ahead,
                                        "form": form})  # fmt: skip
    return Fused(groups, momentum=momentum, nesterov=ahead, dampening=dampening, fused=True)


class Fused(SGD):
    """Torch's fused form, which fails where a parameter has its first gradient after others had theirs (a layer that
    was frozen): such parameters make their first step on their own."""

    LEAF = "SGD"

    def _init_group(self, group: dict[str, Any], params: Any, grads: Any, momentum_buffer_list: Any) -> bool:
        sparse = super()._init_group(group, params, grads, momentum_buffer_list)
        late = [place for place, buffer in enumerate(momentum_buffer_list) if buffer is None]
        if late and len(late) < len(params):
            first = [params[place] for place in late]
            buffers: list[Any] = [None] * len(late)
            sgd(first, [grads[place] for place in late], buffers, False, None, True,
                **{name: group[name] for name in ("weight_decay", "momentum", "lr", "dampening", "nesterov",
                                                  "maximize")})  # fmt: skip
            for param, buffer in zip(first, buffers, strict=True):
                self.state[param]["momentum_buffer"] = buffer
            for values in (params, grads, momentum_buffer_list):
                values[:] = [value for place, value in enumerate(values) if place not in late]
        return bool(sparse)


class MomentumOfSteps(Optimizer):
    """Momentum that gathers steps instead of gradients. State: `momentum_buffer`, shaped like the parameter."""

    LEAF = "sgd"

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]  # noqa: ARG002 - the interface of torch
        """One step of every group."""
        for group in self.param_groups:
            found = together(self, group, lambda param: {"momentum_buffer": torch.zeros_like(param)})
            if found.params:
                _step(found, group)


def _step(found: Together, group: dict[str, Any]) -> None:
    """In place throughout: a gradient with its decay would be a copy of all weights."""
    rate, momentum, shrink = group["lr"], group["momentum"], group["lr"] * group["weight_decay"]
    buffers = found.state("momentum_buffer")
    torch._foreach_mul_(buffers, momentum)
    torch._foreach_add_(buffers, found.grads, alpha=rate)
    if shrink:
        torch._foreach_add_(buffers, found.params, alpha=shrink)
    if not group["nesterov"]:
        torch._foreach_sub_(found.params, buffers)
        return
    if shrink:
        torch._foreach_mul_(found.params, 1 - shrink)
    torch._foreach_add_(found.params, found.grads, alpha=-rate)
    torch._foreach_add_(found.params, buffers, alpha=-momentum)
