"""Conformance of architectures: what every file beside `net` owes the rest of the house. Takes a leaf's name.

```python
from crucis.testing.nets import check_net
check_net("mlp")
check_net("./mine.py", folder=Path("studies"))
```
"""

from __future__ import annotations

import importlib.util
import inspect
import tempfile
from collections.abc import Callable, Mapping, Sequence
from math import prod
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from .. import shelf
from ..nets.weights import restore, save_weights
from ..streams import borrowed, generator

#: The inputs on which each kind is tried: tiny grey and small colour images, short vectors.
SHAPES: Mapping[str, Sequence[tuple[int, ...]]] = {"image": ((1, 8, 8), (3, 32, 32)), "vector": ((12,),)}
CLASSES = 5
_BATCH = 4

Build = Callable[..., nn.Module]


def check_net(name: str, params: Mapping[str, Any] | None = None, *, folder: Path | None = None) -> None:
    """Assert everything below for a net, on every kind of input that it declares.

    Args:
        name: of a built-in or packaged leaf, or a user's file in `folder`.
        params: one set of parameters; default: those of `EXAMPLES` in the file, else none.
        folder: where a user's file lies.

    Raises:
        AssertionError: which promise is broken, and by which parameters.
    """
    leaf = shelf.own_leaf("nets", folder, name) if folder else shelf.leaf("nets", name)
    module = _module(leaf)
    kinds = leaf.constants.get("INPUTS", ["image"])
    examples = [params] if params is not None else leaf.constants.get("EXAMPLES", [{}])
    assert set(kinds) <= set(SHAPES), f"{name}: INPUTS must be among {', '.join(SHAPES)}, not {kinds}"
    for example in examples:
        for kind in kinds:
            for shape in SHAPES[kind]:
                _check(f"{name} {dict(example)} on {shape}", module, shape, example)


def _module(leaf: shelf.Leaf) -> ModuleType:
    if not leaf.own:
        return importlib.import_module(shelf.load(leaf).__module__)
    spec = importlib.util.spec_from_file_location(f"_conformance_{leaf.path.stem}", leaf.path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _check(where: str, module: ModuleType, shape: tuple[int, ...], params: Mapping[str, Any]) -> None:
    def build(seed: int) -> nn.Module:
        with borrowed(seed):
            return module.build(shape, CLASSES, **params)

    net = build(1)
    x = torch.randn(_BATCH, *shape, generator=generator(3, "conformance"))
    same_seed_same_weights(where, net, build(1), build(2))
    right_shape(where, net, x)
    half_precision(where, net, x)
    survives_disk(where, net, build(2), x)
    gradient_reaches_everything(where, build(1), x, strictly=hasattr(module, "count"))
    if hasattr(module, "count"):
        built, said = sum(p.numel() for p in net.parameters()), module.count(shape, CLASSES, **params)
        assert built == said, f"{where}: count says {said}, the built net has {built} parameters"
        known = set(inspect.signature(module.build).parameters)
        assert set(inspect.signature(module.count).parameters) == known, f"{where}: count takes other parameters"


def same_seed_same_weights(where: str, net: nn.Module, again: nn.Module, other: nn.Module) -> None:
    """Initial weights are a function of the lent stream, and depend on it."""
    first, second, third = net.state_dict(), again.state_dict(), other.state_dict()
    assert list(first) == list(second), f"{where}: two builds have other parameters"
    differing = [name for name in first if not torch.equal(first[name], second[name])]
    assert not differing, f"{where}: the same seed gives other weights in {differing[0]}"
    assert any(not torch.equal(first[name], third[name]) for name in first), f"{where}: weights ignore the seed"


def right_shape(where: str, net: nn.Module, x: Tensor) -> None:
    """Logits (N, classes), finite, in either memory layout; in evaluation each example by itself."""
    net.eval()
    with torch.no_grad():
        out, alone = net(x), net(x[:1])
        assert tuple(out.shape) == (len(x), CLASSES), f"{where}: gives {tuple(out.shape)}"
        assert torch.isfinite(out).all(), f"{where}: not finite at initialisation"
        scale = float(out.abs().max()) + 1e-3
        gap = float((out[:1] - alone).abs().max())
        assert gap <= 1e-3 * scale, f"{where}: an example's logits depend on the rest of the batch ({gap:.2g})"
        if x.ndim == 4:
            last = net(x.contiguous(memory_format=torch.channels_last))
            assert float((last - out).abs().max()) <= 1e-3 * scale, f"{where}: channels-last gives other logits"
    net.train()


def half_precision(where: str, net: nn.Module, x: Tensor) -> None:
    """A training pass under bf16 autocast is finite."""
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16), borrowed(5):
        out = net(x)
    assert tuple(out.shape) == (len(x), CLASSES), f"{where}: gives {tuple(out.shape)} in bf16"
    assert torch.isfinite(out).all(), f"{where}: not finite in bf16"


def survives_disk(where: str, net: nn.Module, other: nn.Module, x: Tensor) -> None:
    """Saved and restored into another net, it gives the same bits."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.safetensors"
        save_weights(path, net)
        restore(other, path)
    net.eval(), other.eval()
    with torch.no_grad():
        assert torch.equal(net(x), other(x)), f"{where}: restored weights give other logits"
    net.train()


def gradient_reaches_everything(where: str, net: nn.Module, x: Tensor, *, strictly: bool) -> None:
    """The loss depends on every parameter. Strictly: away from a symmetric start, no gradient is zero throughout."""
    draw = generator(4, "conformance")
    if strictly:
        with torch.no_grad():
            for parameter in net.parameters():
                parameter.add_(0.05 * torch.randn(parameter.shape, generator=draw))
    with borrowed(6):
        loss = nn.functional.cross_entropy(net(x), torch.arange(len(x)) % CLASSES)
    loss.backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None, f"{where}: no gradient reaches {name}"
        assert torch.isfinite(parameter.grad).all(), f"{where}: the gradient of {name} is not finite"
        assert not strictly or prod(parameter.shape) == 0 or bool(parameter.grad.any()), f"{where}: {name} is dead"
