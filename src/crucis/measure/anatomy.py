"""What a network is made of, as a tree of parts in the order in which they work; equal neighbours become one part."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from .footprint import WHOLE, footprint, inference
from .layers import shapes

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
#: Modules that only hold others: their parts stand where they would.
_TRANSPARENT = (nn.Sequential, nn.ModuleList, nn.ModuleDict)


@dataclass(frozen=True)
class Part:
    """A module, or several equal ones in a row.

    Attributes:
        kind: its class.
        detail: what tells it from others of its class.
        shape: of its output without the batch; empty if it gives no tensor, or was never called.
        parameters, flops: of all its modules together and all repeats, per example.
        parts: what it is made of; empty for a plain layer.
        times: how many of them there are in a row.
        used: whether it worked in a forward pass.
    """

    kind: str
    detail: str
    shape: tuple[int, ...]
    parameters: int
    flops: int
    parts: tuple[Part, ...] = ()
    times: int = 1
    used: bool = True

    @property
    def form(self) -> tuple[object, ...]:
        """What must be equal for two parts to be the same, wherever they stand."""
        each = self.parameters // self.times
        return (self.kind, self.detail, each, self.times, tuple(part.form for part in self.parts))


def anatomy(model: nn.Module, x: Tensor) -> Part:
    """Take a network apart on one input x (1, ...); parameters that are shared count where they stand first."""
    counted, found, order = footprint(model, x).flops, shapes(model, x), _order(model, x)
    seen: set[int] = set()

    def take(module: nn.Module, name: str) -> Part:
        own = [p for p in module.parameters(recurse=False) if id(p) not in seen]
        seen.update(map(id, own))
        children = [(key, child) for key, child in module.named_children()]
        prefix = f"{name}." if name else ""
        children.sort(key=lambda item: order.get(f"{prefix}{item[0]}", len(order)))
        parts: list[Part] = []
        for key, child in children:
            part = take(child, f"{prefix}{key}")
            parts += part.parts if isinstance(child, _TRANSPARENT) and part.parts else [part]
        label = name or WHOLE
        return Part(
            type(module).__name__, _detail(module), found.get(label, ()),
            sum(p.numel() for p in own) + sum(part.parameters for part in parts),
            counted.get(label, 0) + sum(part.flops for part in parts), merged(parts), 1, label in order or bool(parts),
        )  # fmt: skip

    return take(model, "")


def merged(parts: Sequence[Part]) -> tuple[Part, ...]:
    """Equal neighbours of equal output as one part."""
    out: list[Part] = []
    for part in parts:
        last = out[-1] if out else None
        if last and part.parts and _one(last).form == part.form and last.shape == part.shape:
            out[-1] = replace(
                last, times=last.times + 1, parameters=last.parameters + part.parameters, flops=last.flops + part.flops
            )
        else:
            out.append(part)
    return tuple(out)


def _one(part: Part) -> Part:
    return replace(part, times=1, parameters=part.parameters // part.times)


def _order(model: nn.Module, x: Tensor) -> dict[str, int]:
    """Module (and whatever holds it) -> when it first worked."""
    out: dict[str, int] = {}
    hooks = []
    for name, module in model.named_modules():

        def note(*_: object, name: str = name) -> None:
            pieces = name.split(".")
            for k in range(1, len(pieces) + 1):
                out.setdefault(".".join(pieces[:k]) or WHOLE, len(out))

        hooks.append(module.register_forward_pre_hook(note))
    try:
        with inference(model):
            model(x)
    finally:
        for hook in hooks:
            hook.remove()
    return out


def _detail(module: nn.Module) -> str:
    if isinstance(module, _CONVOLUTIONS):
        sides = " x ".join(map(str, module.kernel_size))
        words = [f"{sides}, {module.in_channels} to {module.out_channels}"]
        if max(module.stride) > 1:
            words.append(f"stride {module.stride[0]}")
        if module.groups > 1:
            words.append(f"{module.groups} groups")
        return ", ".join(words)
    if isinstance(module, nn.Linear):
        return f"{module.in_features} to {module.out_features}"
    if isinstance(module, nn.Dropout):
        return f"{module.p:g}"
    if isinstance(module, (nn.MaxPool2d, nn.AvgPool2d)):
        return str(module.kernel_size)
    if isinstance(module, nn.AdaptiveAvgPool2d):
        return f"to {module.output_size}"
    return ""


def example(shape: Sequence[int]) -> Tensor:
    """One input of that shape for counting: zeros."""
    return torch.zeros(1, *shape)
