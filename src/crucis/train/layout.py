"""Tensors of a run's state: their names, and where an optimiser expects them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn


def beside(param: Tensor, value: Tensor, fused: bool) -> Tensor:
    """Optimiser state where the optimiser expects it: laid out and placed like its parameter; counters of fused
    optimisers on the device, of others on the host."""
    if value.shape == param.shape:
        return torch.empty_like(param, dtype=value.dtype, requires_grad=False).copy_(value)
    return value.to(param.device, copy=True) if fused else value.clone()


def named(prefix: str, model: nn.Module) -> list[tuple[str, Tensor]]:
    """Parameters and buffers, tied ones once, buffers that `state_dict` leaves out included."""
    both = [*model.named_parameters(), *model.named_buffers()]
    return [(f"{prefix}/{name}", value.detach()) for name, value in both]


def optimiser_state(
    optimiser: torch.optim.Optimizer, params: Iterable[nn.Parameter]
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """What an optimiser keeps per parameter, numbered in the order of `params`: tensors as `optimiser/3/exp_avg`, and
    what is no tensor as `3/mu_product`. For `take_optimiser_state`."""
    tensors, scalars = {}, {}
    for index, param in enumerate(params):
        for key, value in optimiser.state.get(param, {}).items():
            if isinstance(value, Tensor):
                tensors[f"optimiser/{index}/{key}"] = value
            else:
                scalars[f"{index}/{key}"] = value
    return tensors, scalars


def take_optimiser_state(
    optimiser: torch.optim.Optimizer, params: Iterable[nn.Parameter], tensors: Mapping[str, Tensor],
    scalars: Mapping[str, Any],
) -> None:  # fmt: skip
    """Give an optimiser back what `optimiser_state` told. Each tensor takes the strides of its parameter: fused
    optimisers walk both in memory order, and a contiguous copy beside a channels-last weight would update other
    elements."""
    fused = any(group.get("fused") for group in optimiser.param_groups)
    for index, param in enumerate(params):
        state, head = optimiser.state[param], f"optimiser/{index}/"
        state.update({n.removeprefix(head): beside(param, v, fused) for n, v in tensors.items() if n.startswith(head)})
        state.update({n.split("/", 1)[1]: v for n, v in scalars.items() if n.startswith(f"{index}/")})
