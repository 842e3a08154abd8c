"""Parameter groups: which parameters are trained, which of them decay, and the optimiser over them."""

from __future__ import annotations

from typing import Any

from torch import nn
from torch.nn.modules.conv import _ConvNd
from torch.optim import Optimizer

from .settings import DECAY_ON, Settings


def trained(model: nn.Module) -> dict[str, nn.Parameter]:
    """Name -> parameter that receives a gradient; a tied parameter once, under its first name."""
    return {name: value for name, value in model.named_parameters() if value.requires_grad}


def exempt(model: nn.Module) -> frozenset[str]:
    """Names that the network itself takes out of weight decay (timm's `no_weight_decay`)."""
    said = getattr(model, "no_weight_decay", None)
    return frozenset(said()) if callable(said) else frozenset()


def spared(model: nn.Module, decay_on: str) -> frozenset[str]:
    """Names of the trained parameters that do not decay.

    `weights`: those with fewer than two dimensions, and those that the network exempts. `all`: none.
    `all_but_norm`: those of normalising layers. `conv`: all but the weights of convolutions that are not depthwise
    and of dense layers.
    """
    own = trained(model)
    if decay_on == "weights":
        kept = exempt(model)
        return frozenset(name for name, value in own.items() if value.ndim < 2 or name in kept)
    if decay_on == "all_but_norm":
        norms = {id(value) for layer in model.modules() if _normalises(layer) for value in layer.parameters(False)}
        return frozenset(name for name, value in own.items() if id(value) in norms)
    if decay_on == "conv":
        kernels = {id(layer.weight) for layer in model.modules() if _mixes(layer)}
        return frozenset(name for name, value in own.items() if id(value) not in kernels)
    return frozenset()


def _normalises(layer: nn.Module) -> bool:
    """By the name of its type, which holds for torch's layers, timm's and a network's own."""
    return not isinstance(layer, (nn.Linear, _ConvNd)) and any(
        "norm" in kind.__name__.lower() for kind in type(layer).__mro__
    )


def _mixes(layer: nn.Module) -> bool:
    """A dense layer, or a convolution with more than one channel to a group."""
    if isinstance(layer, _ConvNd):
        return not 1 < layer.groups == layer.in_channels
    return isinstance(layer, nn.Linear)


def rules(model: nn.Module, free: frozenset[str]) -> list[str]:
    """The choices of `decay_on` that would spare exactly these names in this network."""
    return [name for name in DECAY_ON if spared(model, name) == free]


def groups(model: nn.Module, settings: Settings) -> list[dict[str, Any]]:
    """One group that decays and one that does not (either may be missing).

    Where the strength changes over training, both say whether they follow it (`decays`). Optimisers that give tensors
    rates of their own are told which ones (`adapt`: those that may decay), also if the strength is zero.
    """
    adapts = getattr(settings.optimiser.load("optimisers"), "__globals__", {}).get("ADAPTS", False)
    changing = settings.weight_decay_end is not None
    if settings.weight_decay == 0.0 and not adapts and not changing:
        return [{"params": [*trained(model).values()], "lr": settings.lr, "weight_decay": 0.0}]
    free = spared(model, settings.decay_on)
    both: list[dict[str, Any]] = []
    for decays in (True, False):
        params = [value for name, value in trained(model).items() if (name not in free) == decays]
        strength = settings.weight_decay if decays else 0.0
        both.append({"params": params, "lr": settings.lr, "weight_decay": strength}
                    | ({"adapt": decays} if adapts else {}) | ({"decays": decays} if changing else {}))  # fmt: skip
    return [group for group in both if group["params"]]


def optimiser(model: nn.Module, settings: Settings) -> Optimizer:
    """The optimiser that the settings chose, over the groups of the model."""
    build = settings.optimiser.load("optimisers")
    return build(groups(model, settings), **settings.optimiser.params)
