"""Tensors of a run's state: their names, and where an optimiser expects them."""

from __future__ import annotations

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
