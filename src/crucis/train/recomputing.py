"""Gradient checkpointing: of each block only the input is kept, and the rest is computed again for the gradient.

The second computation sees what the first one saw: the state of the generators (dropout masks), the precision, and the
buffers of the block as they were before it, in copies that are dropped afterwards, so that no running statistic is
updated twice. Numbers are those of the plain run, bit for bit where its operators are deterministic.
Source: T. Chen et al., Training Deep Nets with Sublinear Memory Cost, 2016, arXiv:1604.06174.
Cost: one further forward pass per step; memory of the blocks' inputs plus that of one block.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from types import MethodType
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from ..errors import Refusal


def blocks(model: nn.Module) -> list[tuple[str, nn.Module]]:
    """The outermost parts that stand in a row (`nn.Sequential`, `nn.ModuleList`) and consist of parts themselves; in a
    network without such, the rows of layers inside a row."""
    found: list[tuple[str, nn.Module]] = []
    rows: list[tuple[str, nn.Module]] = []

    def walk(name: str, module: nn.Module) -> None:
        row = isinstance(module, (nn.Sequential, nn.ModuleList))
        for key, child in module.named_children():
            place = f"{name}.{key}" if name else key
            parts = any(True for _ in child.children()) and any(True for _ in child.parameters())
            if row and parts and not isinstance(child, (nn.Sequential, nn.ModuleList)):
                found.append((place, child))
                continue
            if row and parts and isinstance(child, nn.Sequential) and not any(any(p.children()) for p in child):
                rows.append((place, child))
            walk(place, child)

    walk("", model)
    return found or rows


@contextmanager
def recomputed(model: nn.Module) -> Iterator[None]:
    """Within this block, training passes through `model` keep only the inputs of its blocks.

    Raises:
        Refusal: `not_applicable`, if the network has no blocks.
    """
    found = blocks(model)
    if not found:
        raise Refusal("not_applicable", f"gradient checkpointing works on a row of blocks, and {type(model).__name__} "
                                        "has none; leave 'checkpointing' out")  # fmt: skip
    for _, block in found:
        block.forward = MethodType(_forward, block)  # a method, so that a copy computes with weights of its own
    try:
        yield
    finally:
        for _, block in found:
            del block.forward


def _forward(block: nn.Module, *args: Any, **kwargs: Any) -> Any:
    plain = MethodType(type(block).forward, block)
    if not (torch.is_grad_enabled() and block.training):
        return plain(*args, **kwargs)
    before: dict[tuple[nn.Module, str], Tensor] = {}

    def contexts() -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
        return _noted(block, before), _as_before(before)

    return checkpoint(plain, *args, use_reentrant=False, context_fn=contexts, **kwargs)


@contextmanager
def _noted(block: nn.Module, before: dict[tuple[nn.Module, str], Tensor]) -> Iterator[None]:
    """Note the buffers as the first computation finds them."""
    for module in block.modules():
        for name, value in module._buffers.items():
            if value is not None:
                before[module, name] = value.clone()
    yield


@contextmanager
def _as_before(before: dict[tuple[nn.Module, str], Tensor]) -> Iterator[None]:
    """Compute with the buffers as they were, and put the present ones back: the objects, untouched."""
    now = {place: place[0]._buffers[place[1]] for place in before}
    for (module, name), value in before.items():
        module._buffers[name] = value
    try:
        yield
    finally:
        for (module, name), kept in now.items():
            module._buffers[name] = kept
