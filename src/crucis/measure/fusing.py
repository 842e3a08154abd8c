"""Convolutions that take what follows them along: bias and ReLU, or an addition, in one pass, by oneDNN on a CPU.

A graph is rewritten only where it is understood: traced whole by `torch.fx`, its convolutions plain `torch.nn.Conv2d`
layers, and the result held against the network itself at two points of weight space. Whatever else happens in a network
stays as it is; a network that cannot be traced, has hooks, or gives other logits runs on the plain path.

oneDNN's own ReLU turns NaN into 0, so a network that has burst could look well. Here ReLU has the slope 1e-30 below 0,
which rounds away in whatever is added to it, and lets NaN and infinity through; after an addition, where it cannot have
a slope, it is oneDNN's only while the weights themselves exclude an overflow (see `bounds`). So a finite result is that
of the network; where the result is not finite, the caller asks the network itself.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn import functional

from ..seeds import derive
from ..streams import borrowed
from .bounds import LIMIT, follow
from .convolutions import Fused, Halved
from .stem import Stem, suits

#: Largest difference of logits, relative to the largest logit (at least 1), at which the rewritten graph is taken.
TOLERANCE = 1e-5
#: Images of the batch on which that is judged.
_JUDGED = 16
_RELU = (functional.relu, functional.relu_, torch.relu, torch.relu_)
_ADD = (operator.add, torch.add)
_ADD_IN_PLACE = (operator.iadd,)


@dataclass
class Fusion:
    """What became of a network.

    Attributes:
        net: the network to run, on what `inputs` makes of a batch.
        parts: its fused convolutions; empty on the plain path.
        told: for a record: which path, and why not the other.
        largest: magnitude of the inputs.
    """

    net: nn.Module
    parts: list[Fused | Stem] = field(default_factory=list)
    told: str = "plain"
    largest: float = math.inf

    def inputs(self, x: Tensor) -> Tensor:
        """What the network is given instead of the batch (N, C, H, W): itself, or its patches."""
        first = next((part for part in self.parts if isinstance(part, Stem)), None)
        return x if first is None else first.cut(x)

    def pack(self) -> None:
        """To be called when weights have moved."""
        for part in self.parts:
            part.pack()
        asks = any(isinstance(part, Fused) and part.asks for part in self.parts)
        if not isinstance(self.net, fx.GraphModule) or not asks:
            return
        bounds = follow(self.net, self.largest, lambda m: (m.filters, m.bias) if isinstance(m, (Fused, Stem)) else None)
        for node, most in bounds.items():
            module = self.net.get_submodule(str(node.target)) if node.op == "call_module" else None
            if isinstance(module, Fused):
                module.safe = most < LIMIT


def fuse(net: nn.Module, images: Sequence[Tensor], moving: Mapping[str, Tensor]) -> Fusion:
    """The network with fused convolutions where that is possible and exact.

    Args:
        net: in evaluation mode, without gradients; its parameters are shared with the result.
        images: batches (N, C, H, W), on the first of which exactness is judged (`TOLERANCE`), as the network stands and
            far from there.
        moving: the weights that will move, as they are in `net`; the same bits afterwards.

    Returns:
        A `Fusion`, whose `pack` is to be called whenever weights have moved.
    """
    x = images[0]
    reason, some = _hindrance(net, x), x[:_JUDGED]
    if reason:
        return Fusion(net, told=f"plain: {reason}")
    try:
        graph = _Tracer().trace(net)
        made = fx.GraphModule(net, graph)
        sizes = _sizes(made, some)
    except Exception as error:  # whatever tracing somebody's code may raise, the plain path remains
        return Fusion(net, told=f"plain: the graph is not traced ({type(error).__name__})")
    found = _rewrite(made, sizes, len(x), sum(map(len, images)))
    found.largest = max(float(each.abs().max()) for each in images)
    if not found.parts:
        return Fusion(net, told="plain: no convolution that could be fused")
    return found if _agrees(net, found, some, moving) else Fusion(net, told="plain: the fused graph gives other logits")


def _hindrance(net: nn.Module, x: Tensor) -> str:
    if x.device.type != "cpu" or not torch.backends.mkldnn.is_available():
        return "no oneDNN on this device"
    if x.dtype != torch.float32 or x.dim() != 4:
        return "inputs are no images in float32"
    if not any(type(module) is nn.Conv2d for module in net.modules()):
        return "no convolution that could be fused"
    hooked = any(m._forward_hooks or m._forward_pre_hooks for m in net.modules())
    return "a layer has hooks" if hooked else ""


class _Tracer(fx.Tracer):
    """Layers of torch are leaves, subclasses of them are not."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:  # noqa: ARG002 - torch's signature
        return type(m).__module__.startswith("torch.nn") and not isinstance(m, nn.Sequential)


class _Sizes(fx.Interpreter):
    """Runs a graph and writes down the shape of every tensor in it."""

    def __init__(self, module: fx.GraphModule) -> None:
        super().__init__(module)
        self.seen: dict[fx.Node, tuple[int, ...]] = {}

    def run_node(self, n: fx.Node) -> Any:
        """Run it."""
        out = super().run_node(n)
        if isinstance(out, Tensor):
            self.seen[n] = tuple(out.shape)
        return out


@torch.no_grad()
def _sizes(made: fx.GraphModule, x: Tensor) -> dict[fx.Node, tuple[int, ...]]:
    sizes = _Sizes(made)
    with borrowed(derive(0, "measure", "fusing")):
        sizes.run(x)
    return sizes.seen


def _rewrite(made: fx.GraphModule, sizes: dict[fx.Node, tuple[int, ...]], batch: int, images: int) -> Fusion:
    parts: list[Fused | Stem] = []
    _drop_identities(made)
    for node in [n for n in made.graph.nodes if n.op == "call_module"]:
        conv = made.get_submodule(str(node.target))
        if not _plain(conv) or len(node.args) != 1 or node.kwargs or node not in sizes:
            continue
        assert isinstance(conv, nn.Conv2d)
        last, other = node, None
        summed = _only_user(last)
        if summed is not None:
            other = _addend(summed, last)
            if other is not None and sizes.get(other) == sizes[node]:
                last = summed
            else:
                other = None
        relu = _only_user(last)
        takes = relu is not None and _is_relu(made, relu)
        last = relu if takes and relu is not None else last
        source, pool = node.args[0], _only_user(last)
        halves = other is None and pool is not None and _halves(made, pool, sizes[node])
        last = pool if halves and pool is not None else last
        size = (batch, *sizes[source][1:])
        first = source.op == "placeholder" and len(source.users) == 1 and other is None and suits(conv, size, images)
        part: Fused | Stem = Stem(conv, takes, halves, size) if first else Fused(conv, takes, size, halves)
        if isinstance(part, Fused) and other is not None:
            part.asks, part.over = takes, other is not source and _read_last(made, other, summed)
        made.add_submodule(name := f"fused_{len(parts)}", part)
        with made.graph.inserting_before(last):
            new = made.graph.call_module(name, (source,) if other is None else (source, other))
        sizes[new] = sizes[last]
        last.replace_all_uses_with(new)
        _erase(made.graph, last, node)
        parts.append(part)
    if parts:
        _halve(made, sizes)
    made.graph.lint()
    made.recompile()
    return Fusion(made, parts, f"fused: {len(parts)} convolutions")


def _read_last(made: fx.GraphModule, node: fx.Node, reader: fx.Node | None) -> bool:
    """Whether `node` is a convolution's own map that only convolutions read, `reader` the last of them."""
    order = {each: index for index, each in enumerate(made.graph.nodes)}
    others = [user for user in node.users if user is not reader]
    fused = (Fused, Stem)
    return (
        reader is not None
        and all(each.op == "call_module" for each in (node, *others))
        and all(isinstance(made.get_submodule(str(each.target)), fused) for each in (node, *others))
        and all(order[user] < order[reader] for user in others)
    )


def _drop_identities(made: fx.GraphModule) -> None:
    """Take out what does nothing in evaluation mode, so that what follows a convolution stands beside it."""
    for node in list(made.graph.nodes):
        if node.op == "call_module" and type(made.get_submodule(str(node.target))) in (nn.Identity, nn.Dropout):
            node.replace_all_uses_with(node.args[0])
            made.graph.erase_node(node)


def _halve(made: fx.GraphModule, sizes: Mapping[fx.Node, tuple[int, ...]]) -> None:
    made.add_submodule("halved", Halved())
    for node in [n for n in made.graph.nodes if n.op == "call_module"]:
        if node.args and _halves(made, node, sizes.get(node.args[0], (1, 1))):
            node.target = "halved"


def _halves(made: fx.GraphModule, node: fx.Node, size: tuple[int, ...]) -> bool:
    """Whether `node` is plain 2x2 max pooling of maps (..., H, W) of even sides."""
    pool = made.get_submodule(str(node.target)) if node.op == "call_module" else None
    if not isinstance(pool, nn.MaxPool2d) or type(pool) is not nn.MaxPool2d or len(node.args) != 1 or node.kwargs:
        return False
    plain = (pool.padding, pool.dilation, pool.ceil_mode, pool.return_indices) == (0, 1, False, False)
    twos = pool.kernel_size in (2, (2, 2)) and pool.stride in (2, (2, 2))
    return plain and twos and size[-1] % 2 == size[-2] % 2 == 0


def _erase(graph: fx.Graph, last: fx.Node, first: fx.Node) -> None:
    """Take out the chain from `last` back to `first`; what is in between has no other user."""
    chain = [last]
    while chain[-1] is not first:
        inputs = chain[-1].all_input_nodes
        chain.append(first if first in inputs else next(n for n in inputs if first in n.all_input_nodes))
    for node in chain:
        graph.erase_node(node)


def _plain(module: nn.Module) -> bool:
    return (
        type(module) is nn.Conv2d
        and module.padding_mode == "zeros"
        and not isinstance(module.padding, str)
        and module.weight.dtype == torch.float32
    )


def _only_user(node: fx.Node) -> fx.Node | None:
    return next(iter(node.users)) if len(node.users) == 1 else None


def _addend(node: fx.Node, conv: fx.Node) -> fx.Node | None:
    """What `node` adds to `conv`; None if it is no such addition."""
    if len(node.args) != 2 or node.kwargs:
        return None
    one, two = node.args
    in_place = (node.op == "call_function" and node.target in _ADD_IN_PLACE) or (
        node.op == "call_method" and node.target == "add_"
    )
    adds = (node.op == "call_function" and node.target in _ADD) or (node.op == "call_method" and node.target == "add")
    if one is conv and (adds or in_place):
        other = two
    elif two is conv and adds:
        other = one
    else:
        return None
    return other if isinstance(other, fx.Node) and other is not conv else None


def _is_relu(made: fx.GraphModule, node: fx.Node) -> bool:
    if node.op == "call_module":
        return type(made.get_submodule(str(node.target))) is nn.ReLU
    if node.op == "call_method":
        return node.target in ("relu", "relu_")
    return node.op == "call_function" and node.target in _RELU and len(node.args) == 1


@torch.no_grad()
def _agrees(net: nn.Module, made: Fusion, x: Tensor, moving: Mapping[str, Tensor]) -> bool:
    """Whether both give the same logits here, with weights of other signs and sizes, and where an image is NaN.

    Weights come back.
    """
    kept = {name: weight.detach().clone() for name, weight in moving.items()}
    generator = torch.Generator().manual_seed(derive(0, "measure", "fusing", "far"))
    broken = x.clone()
    broken[0] = torch.nan
    largest = made.largest
    try:
        made.pack()
        same = _close(net, made, x)
        made.largest = math.nan
        made.pack()
        same = same and _close(net, made, broken)
        made.largest = largest
        for name, weight in moving.items():
            noise = torch.randn(weight.shape, generator=generator)
            weight.copy_(kept[name] + kept[name].square().mean().sqrt() * noise)
        made.pack()
        return same and _close(net, made, x)
    finally:
        made.largest = largest
        for name, weight in moving.items():
            weight.copy_(kept[name])
        made.pack()


def _close(net: nn.Module, made: Fusion, x: Tensor) -> bool:
    logits = []
    for each, given in ((net, x), (made.net, made.inputs(x))):
        with borrowed(derive(0, "measure", "fusing")):
            logits.append(each(given))
    want, got = logits
    if want.shape != got.shape or not torch.equal(want.isfinite(), got.isfinite()):
        return False
    known = want.isfinite()
    want, got = want[known], got[known]
    return not len(want) or float((want - got).abs().max()) <= TOLERANCE * max(1.0, float(want.abs().max()))
