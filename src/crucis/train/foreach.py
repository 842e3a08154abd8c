"""What optimisers written here share: parameters of a group with a gradient, their state, and ratios of norms.

All arithmetic is by `torch._foreach_*`, a few kernels for all tensors of a group together.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.optim import Optimizer


class Together(NamedTuple):
    """The parameters of a group that have a gradient, their gradients, and their states, in order."""

    params: list[Tensor]
    grads: list[Tensor]
    states: list[dict[str, Any]]

    def state(self, name: str) -> list[Tensor]:
        """One tensor of state for each parameter."""
        return [state[name] for state in self.states]


def together(optimiser: Optimizer, group: dict[str, Any], start: Callable[[Tensor], dict[str, Any]]) -> Together:
    """What a step works on; a parameter without state gets that of `start`."""
    params = [param for param in group["params"] if param.grad is not None]
    states = [optimiser.state[param] for param in params]
    for param, state in zip(params, states, strict=True):
        if not state:
            state.update(start(param))
    return Together(params, [param.grad for param in params], states)


def decayed(found: Together, decay: float) -> list[Tensor]:
    """gradient + decay w; the gradients themselves where nothing decays."""
    return list(torch._foreach_add(found.grads, found.params, alpha=decay)) if decay else found.grads


def norms(tensors: list[Tensor]) -> Tensor:
    """Euclidean norm of each tensor, (len(tensors),)."""
    return torch.stack(list(torch._foreach_norm(tensors)))


def ratio(above: Tensor, below: Tensor, factor: float = 1.0) -> Tensor:
    """factor above / below; 1 where either is zero, so that a tensor of zeros moves with the plain rate."""
    safe = (above > 0) & (below > 0)
    one = torch.ones((), dtype=above.dtype, device=above.device)
    return torch.where(safe, factor * above / torch.where(safe, below, one), one)


def scaled(tensors: list[Tensor], factors: Tensor) -> list[Tensor]:
    """Each tensor times its own factor; factors (len(tensors),)."""
    return list(torch._foreach_mul(tensors, list(factors.unbind())))
