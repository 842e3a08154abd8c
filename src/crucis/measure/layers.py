"""A network's layers one by one: how long each works, forward and backward, without the layers inside it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from ..errors import Refusal
from .footprint import WHOLE, Stack, inference, now


def forward_seconds(model: nn.Module, x: Tensor) -> dict[str, float]:
    """Module -> seconds of its own work in one forward pass; they sum to the whole pass.

    The clock is read whenever the innermost module at work changes. On a GPU each reading waits for the device.
    """
    stack, spent, since = Stack(), dict[str, float](), [0.0]

    def change() -> None:
        here = now(x.device)
        spent[stack.top] = spent.get(stack.top, 0.0) + here - since[0]
        since[0] = now(x.device)

    with inference(model), stack.following(model, change):
        since[0] = now(x.device)
        model(x)
        change()
    return spent


class _Makers(TorchFunctionMode):
    """Notes which module was at work when each node of the backward graph was made."""

    def __init__(self, stack: Stack) -> None:
        super().__init__()
        self.maker: dict[Any, str] = {}
        self._stack = stack

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        del types
        out = func(*args, **(kwargs or {}))
        self.claim(out)
        return out

    def claim(self, out: Any) -> None:
        """Put every node behind `out` that nobody made yet down to the module at work.

        Also called when a module returns, since functions with a backward of their own are not seen one by one.
        """
        waiting = [leaf.grad_fn for leaf in tree_leaves(out) if isinstance(leaf, Tensor)]
        while waiting:
            one = waiting.pop()
            if one is not None and one not in self.maker:
                self.maker[one] = self._stack.top
                waiting += [inner for inner, _ in one.next_functions]


def backward_seconds(model: nn.Module, x: Tensor) -> dict[str, float]:
    """Module -> seconds of the backward work of what it computed itself, from the sum of the answers to all weights.

    Raises:
        Refusal: `unsupported`, if the answers do not depend on the input by operations with a gradient.
    """
    stack, spent, begun = Stack(), dict[str, float](), dict[Any, float]()
    made = _Makers(stack)
    with inference(model), torch.enable_grad(), stack.following(model, made=made.claim), made:
        x = x.detach().clone().requires_grad_()
        total = model(x).float().sum()
    if total.grad_fn is None:
        raise Refusal("unsupported", "the network's answers have no gradient")
    hooks = []

    def start(node: Any) -> Callable[..., None]:
        def hook(*_: Any) -> None:
            begun[node] = now(x.device)

        return hook

    def stop(node: Any, name: str) -> Callable[..., None]:
        def hook(*_: Any) -> None:
            spent[name] = spent.get(name, 0.0) + now(x.device) - begun[node]

        return hook

    for node, name in made.maker.items():
        hooks += [node.register_prehook(start(node)), node.register_hook(stop(node, name))]
    wanted = [x, *(p for p in model.parameters() if p.requires_grad)]
    with inference(model), torch.enable_grad():
        torch.autograd.grad(total, wanted, allow_unused=True)
    for hook in hooks:
        hook.remove()
    return spent


def shapes(model: nn.Module, x: Tensor) -> dict[str, tuple[int, ...]]:
    """Module -> shape of its (last) output without the batch; modules that return no tensor are missing."""
    out: dict[str, tuple[int, ...]] = {}
    hooks = []
    for name, module in model.named_modules():

        def keep(_: nn.Module, __: Any, found: Any, name: str = name or WHOLE) -> None:
            tensors = [leaf for leaf in tree_leaves(found) if isinstance(leaf, Tensor)]
            if tensors:
                out[name] = tuple(tensors[0].shape[1:])

        hooks.append(module.register_forward_hook(keep))
    try:
        with inference(model):
            model(x)
    finally:
        for hook in hooks:
            hook.remove()
    return out
