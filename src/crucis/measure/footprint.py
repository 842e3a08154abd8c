"""What one forward pass costs, counted: multiplications, memory and time, each put down to the innermost module.

Operations are seen below autograd, one by one, as they run. A multiplication with its addition counts as two floating
point operations; counted are matrix products, convolutions and attention, as is usual, and nothing elementwise. Memory
is that of tensors: scratch space inside a kernel is not seen.

Source: formulas per operation are those of torch.utils.flop_counter.
"""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

from ..seeds import derive
from ..streams import borrowed

#: Name under which work outside of every module of a network stands.
WHOLE = "(network)"


class Stack:
    """The modules at work, innermost last, as their forward hooks report them."""

    def __init__(self) -> None:
        self.names: list[str] = []

    @property
    def top(self) -> str:
        """The innermost module at work."""
        return self.names[-1] if self.names else WHOLE

    @contextmanager
    def following(self, model: nn.Module, change: Callable[[], None] = lambda: None) -> Iterator[Stack]:
        """Follow a model's calls inside the block; `change` is called before every change of the stack."""

        def enter(name: str) -> Callable[..., None]:
            def hook(*_: Any) -> None:
                change()
                self.names.append(name)

            return hook

        def leave(*_: Any) -> None:
            change()
            self.names.pop()

        hooks = []
        for name, module in model.named_modules():
            hooks.append(module.register_forward_pre_hook(enter(name or WHOLE)))
            hooks.append(module.register_forward_hook(leave))
        try:
            yield self
        finally:
            for hook in hooks:
                hook.remove()


@dataclass
class Footprint:
    """What a forward pass made.

    Attributes:
        flops: module -> floating point operations of its own, without those of modules inside it.
        made: module -> bytes of the tensors that it made itself.
        peak: most bytes of such tensors that were alive at once; parameters, buffers and inputs not among them.
    """

    flops: dict[str, int] = field(default_factory=dict)
    made: dict[str, int] = field(default_factory=dict)
    peak: int = 0


class _Watch(TorchDispatchMode):
    def __init__(self, stack: Stack, known: set[int]) -> None:
        super().__init__()
        self.found, self._stack, self._alive, self._live = Footprint(), stack, set(known), 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        del types
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        name = self._stack.top
        formula = flop_registry.get(func._overloadpacket)
        if formula is not None:
            count = int(formula(*args, **kwargs, out_val=out))
            self.found.flops[name] = self.found.flops.get(name, 0) + count
        for leaf in tree_leaves(out):
            if isinstance(leaf, Tensor):
                self._meet(leaf.untyped_storage(), name)
        return out

    def _meet(self, storage: Any, name: str) -> None:
        key = storage._cdata
        if key in self._alive:
            return
        size = storage.nbytes()
        self._alive.add(key)
        self._live += size
        self.found.peak = max(self.found.peak, self._live)
        self.found.made[name] = self.found.made.get(name, 0) + size
        weakref.finalize(storage, self._part, key, size).atexit = False

    def _part(self, key: int, size: int) -> None:
        self._alive.discard(key)
        self._live -= size


@contextmanager
def plain_attention() -> Iterator[None]:
    """Attention by visible matrix products: fused kernels hide their operations. Restored afterwards."""
    from torch.nn.attention import SDPBackend, sdpa_kernel

    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)


@contextmanager
def inference(model: nn.Module) -> Iterator[None]:
    """Evaluation mode, no gradients, one thread; modes, threads and random state come back afterwards."""
    modes, threads = [(module, module.training) for module in model.modules()], torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        model.eval()
        with torch.no_grad(), borrowed(derive(0, "measure", "footprint")):
            yield
    finally:
        torch.set_num_threads(threads)
        for module, mode in modes:
            module.training = mode


def held(model: nn.Module) -> int:
    """Bytes of parameters and buffers, shared ones once."""
    tensors = [*model.parameters(), *model.buffers()]
    return sum({t.untyped_storage()._cdata: t.untyped_storage().nbytes() for t in tensors}.values())


def footprint(model: nn.Module, x: Tensor) -> Footprint:
    """Count one forward pass of `model` on `x`; needs the time of a few."""
    stack = Stack()
    known = {t.untyped_storage()._cdata for t in [*model.parameters(), *model.buffers(), x]}
    with inference(model), plain_attention(), stack.following(model):
        watch = _Watch(stack, known)
        with watch:
            model(x)
    return watch.found


def peak_bytes(model: nn.Module, x: Tensor) -> int:
    """Most bytes needed at once for a forward pass: parameters, buffers, input, and what the pass makes.

    On the CPU what it makes are tensors; on a GPU it is what the allocator gave out, scratch space included.
    """
    fixed = held(model) + x.untyped_storage().nbytes()
    if not x.is_cuda:
        with inference(model):
            watch = _Watch(Stack(), {t.untyped_storage()._cdata for t in [*model.parameters(), *model.buffers(), x]})
            with watch:
                model(x)
        return fixed + watch.found.peak
    with inference(model):
        torch.cuda.synchronize(x.device)
        torch.cuda.reset_peak_memory_stats(x.device)
        before = torch.cuda.memory_allocated(x.device)
        model(x)
        torch.cuda.synchronize(x.device)
        return fixed + torch.cuda.max_memory_allocated(x.device) - before


def now(device: torch.device) -> float:
    """Seconds of a clock that only goes forward, once everything that was asked of the device is done."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def latencies(
    model: nn.Module, x: Tensor, *, warmup: int, repeats: int, tick: Callable[[], None] = lambda: None
) -> list[float]:
    """Seconds of each of `repeats` forward passes, after `warmup` that are not counted."""
    out = []
    with inference(model):
        for _ in range(warmup + repeats):
            begun = now(x.device)
            model(x)
            out.append(now(x.device) - begun)
            tick()
    return out[warmup:]
