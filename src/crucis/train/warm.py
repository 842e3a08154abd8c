"""Weights to begin with: those of a record, whole or all but the head, under one rule, and a list of what was taken.

`keep`: every tensor of the network is in the file with its shape, and nothing else is. `new`: the same for all but the
last dense layer (the head), which keeps its own fresh draw whatever the file holds, so that a network goes on to other
classes. There is no guessing: a name or a shape that does not fit is an error that names it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from ..nets.weights import WeightsError, load_weights, restore
from .backbone import head_of

HEADS = ("keep", "new")


@dataclass(frozen=True)
class Taken:
    """Names of the tensors that came from the file, and of those that stay as they were drawn."""

    loaded: tuple[str, ...]
    fresh: tuple[str, ...]


def take(model: nn.Module, path: Path, head: str, classes: int) -> Taken:
    """Put the weights of a file into a network, in place.

    Args:
        model: with its fresh weights.
        path: a safetensors file.
        head: `keep` or `new`, see above.
        classes: outputs of the head.

    Raises:
        WeightsError: unreadable, or names, shapes or types differ; the network is then unchanged.
        BackboneError: `new`, and no dense layer makes the logits.
    """
    names = sorted(model.state_dict())
    if head == "keep":
        try:
            restore(model, path)
        except WeightsError as error:
            raise WeightsError(f"{error}. To begin with a fresh head: initial_head: new") from None
        return Taken(tuple(names), ())
    state, target = load_weights(path), model.state_dict(keep_vars=True)
    ours = {id(value) for value in head_of(model, classes).parameters()}
    fresh = {name for name, value in target.items() if id(value) in ours}
    wanted = set(target) - fresh
    lacking, foreign = sorted(wanted - set(state)), sorted(set(state) - set(target))
    if lacking or foreign:
        what = f"lacks {lacking[0]}" if lacking else f"has {foreign[0]}, which the network lacks"
        raise WeightsError(f"{path}: other network: beside the head the file {what}")
    for name in sorted(wanted):
        ours_is, theirs_is = (tuple(one[name].shape) for one in (target, state))
        if ours_is != theirs_is or target[name].dtype != state[name].dtype:
            raise WeightsError(f"{path}: {name} is {theirs_is} in the file and {ours_is} in the network, and no head")
    with torch.no_grad():
        for name in wanted:
            target[name].copy_(state[name])
    return Taken(tuple(sorted(wanted)), tuple(sorted(fresh)))
