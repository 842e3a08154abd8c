"""Frozen batch normalisation folded into the layer before it: the same function, one pass over memory less.

A layer y = W x + c followed by frozen normalisation is y = s W x + (beta + s (c - mean)), s = gamma / sqrt(var + eps).
Along a landscape only W moves, so s and the new bias are computed once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

_BEFORE = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)
#: Largest difference of logits, relative to the largest logit (at least 1), at which folding counts as exact enough.
TOLERANCE = 1e-4


@dataclass
class Folded:
    """What folding did: weight name -> scale per filter, broadcastable to the weight. Empty: nothing was folded."""

    scale: dict[str, Tensor] = field(default_factory=dict)


def _watch(model: nn.Module, x: Tensor) -> list[tuple[nn.Module, nn.Module]]:
    """Pairs (layer, normalisation) such that the very output of the layer, unchanged, enters the normalisation."""
    made: dict[int, tuple[nn.Module, Tensor, int]] = {}
    pairs, calls, hooks = [], dict[nn.Module, int](), []

    def after(module: nn.Module, _: tuple[Tensor, ...], out: Tensor) -> None:
        calls[module] = calls.get(module, 0) + 1
        made[id(out)] = (module, out, out._version)  # holding `out` keeps its id from being used again

    def before(module: nn.Module, args: tuple[Tensor, ...]) -> None:
        calls[module] = calls.get(module, 0) + 1
        layer, out, version = made.get(id(args[0]), (None, None, None))
        if layer is not None and out is args[0] and out._version == version:
            pairs.append((layer, module))

    for module in model.modules():
        if isinstance(module, _BEFORE):
            hooks.append(module.register_forward_hook(after))
        elif isinstance(module, nn.modules.batchnorm._BatchNorm) and module.running_mean is not None:
            hooks.append(module.register_forward_pre_hook(before))
    try:
        model(x)
    finally:
        for hook in hooks:
            hook.remove()
    return [(layer, norm) for layer, norm in pairs if calls[layer] == calls[norm] == 1]


def _rest(norm: nn.Module) -> nn.Module | None:
    """What remains of a normalisation layer without its normalisation; None if that is not known."""
    if type(norm) in (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm):
        return nn.Identity()
    act, drop = getattr(norm, "act", None), getattr(norm, "drop", None)  # a layer that also activates, as timm has them
    return nn.Sequential(drop, act).eval() if isinstance(act, nn.Module) and isinstance(drop, nn.Module) else None


def _fold(layer: Any, norm: Any) -> Tensor:
    weight, bias = layer.weight, layer.bias
    mean, spread = norm.running_mean.double(), (norm.running_var.double() + norm.eps).sqrt()
    gamma = norm.weight.double() if norm.weight is not None else torch.ones_like(mean)
    beta = norm.bias.double() if norm.bias is not None else torch.zeros_like(mean)
    scale = gamma / spread
    shift = beta + scale * ((bias.double() if bias is not None else 0.0) - mean)
    layer.bias = nn.Parameter(shift.to(weight.dtype), requires_grad=False)
    wide = scale.to(weight.dtype).reshape(-1, *[1] * (weight.dim() - 1))
    weight.mul_(wide)
    return wide


@torch.no_grad()
def fold(model: nn.Module, x: Tensor, movable: Sequence[str]) -> tuple[nn.Module, Folded]:
    """Fold what can be folded, in a copy; the model itself if nothing can or the result is not exact enough.

    A pair is folded if the layer feeds nothing but unchanged values into one frozen normalisation, each runs once per
    pass, and no other layer has the same weight. A network that uses the layer's output elsewhere as well, or computes
    with its weight in another way, gives other logits and is left alone.

    Args:
        model: in evaluation mode.
        x: a batch, on which the exactness is judged (`TOLERANCE`).
        movable: names of weights that will move.

    Returns:
        The network to evaluate, and the scales by which its moved weights are multiplied.
    """
    import copy

    folded = copy.deepcopy(model)
    owners: dict[int, int] = {}
    for module in folded.modules():
        for parameter in module.parameters(recurse=False):
            owners[id(parameter)] = owners.get(id(parameter), 0) + 1
    names = {id(parameter): name for name, parameter in folded.named_parameters()}
    homes = {id(module): name for name, module in folded.named_modules()}
    done = Folded()
    for layer, norm in _watch(folded, x):
        rest, name = _rest(norm), names.get(id(layer.weight), "")
        if rest is None or name not in movable or owners[id(layer.weight)] != 1:
            continue
        done.scale[name] = _fold(layer, norm)
        parent, _, last = homes[id(norm)].rpartition(".")
        setattr(folded.get_submodule(parent), last, rest)
    if not done.scale:
        return model, done
    want, got = model(x).float(), folded(x).float()
    if not float((want - got).abs().max()) <= TOLERANCE * max(1.0, float(want.abs().max())):
        return model, Folded()
    return folded, done
