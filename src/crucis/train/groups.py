"""Parameter groups: which parameters are trained, which of them decay, and the optimiser over them."""

from __future__ import annotations

from typing import Any

from torch import nn
from torch.optim import Optimizer

from .settings import Settings


def trained(model: nn.Module) -> dict[str, nn.Parameter]:
    """Name -> parameter that receives a gradient; a tied parameter once, under its first name."""
    return {name: value for name, value in model.named_parameters() if value.requires_grad}


def exempt(model: nn.Module) -> frozenset[str]:
    """Names that the network itself takes out of weight decay (timm's `no_weight_decay`)."""
    said = getattr(model, "no_weight_decay", None)
    return frozenset(said()) if callable(said) else frozenset()


def groups(model: nn.Module, settings: Settings) -> list[dict[str, Any]]:
    """One group that decays and one that does not (either may be missing).

    With `decay_on: weights`, parameters with fewer than two dimensions (biases, scales of norms) and those that the
    network exempts do not decay.
    """
    kept = exempt(model)
    decaying: list[nn.Parameter] = []
    free: list[nn.Parameter] = []
    for name, value in trained(model).items():
        decays = settings.decay_on == "all" or (value.ndim >= 2 and name not in kept)
        (decaying if decays else free).append(value)
    both = [(decaying, settings.weight_decay), (free, 0.0)]
    if settings.weight_decay == 0.0:
        both = [([*trained(model).values()], 0.0)]
    return [{"params": params, "lr": settings.lr, "weight_decay": decay} for params, decay in both if params]


def optimiser(model: nn.Module, settings: Settings) -> Optimizer:
    """The optimiser that the settings chose, over the groups of the model."""
    build = settings.optimiser.load("optimisers")
    return build(groups(model, settings), **settings.optimiser.params)
