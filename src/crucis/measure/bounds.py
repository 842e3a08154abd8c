"""How large what flows through a network can become, from its weights alone: below overflow, nothing becomes NaN.

A convolution makes of values of magnitude at most m at most m times the sum of magnitudes of a filter, plus its bias.
That bound needs no image, is one number for each place in the graph, and is the same whatever is evaluated.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable

import torch
from torch import Tensor, fx, nn
from torch.nn import functional

#: A sum below this in float32 has room for its parts and their rounding.
LIMIT = 1e36
_SHRINKS = (nn.Identity, nn.Dropout, nn.ReLU, nn.MaxPool2d, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d, nn.Flatten)
_PASSES = (functional.relu, functional.relu_, torch.relu, torch.relu_, torch.flatten, operator.getitem)


def gain(filters: Tensor) -> Tensor:
    """(C', ...) to (C',): the largest output for inputs of magnitude 1."""
    return filters.detach().abs().flatten(1).sum(1)


def above(filters: Tensor, bias: Tensor | None, most: float) -> float:
    """Bound of a convolution's outputs for inputs of magnitude at most `most`; NaN or infinity if there is none."""
    out = gain(filters).double() * most
    return float((out if bias is None else out + bias.detach().abs()).max())


def follow(
    graph: fx.GraphModule, largest: float, layer: Callable[[nn.Module], tuple[Tensor, Tensor | None] | None]
) -> dict[fx.Node, float]:
    """A bound for every node of a graph with one input; infinite wherever nothing is known.

    Args:
        graph: what runs.
        largest: magnitude of the input.
        layer: a module to its filters and bias, if it is a convolution, perhaps with an addition and a ReLU after it.
    """
    out: dict[fx.Node, float] = {}
    for node in graph.graph.nodes:
        sources = [out[each] for each in node.all_input_nodes]
        if node.op == "placeholder":
            out[node] = largest
            continue
        out[node] = math.inf
        if node.op == "call_module":
            module = graph.get_submodule(str(node.target))
            found = layer(module)
            if found is not None:
                out[node] = above(*found, sources[0]) + sum(sources[1:])
            elif type(module) in _SHRINKS or getattr(module, "shrinks", False):
                out[node] = sources[0]
        elif len(sources) == 1 and node.op == "call_function":
            known = node.target in _PASSES or (node.target is functional.pad and _with_zeros(node))
            out[node] = sources[0] if known else math.inf
    return out


def _with_zeros(pad: fx.Node) -> bool:
    value = pad.args[3] if len(pad.args) > 3 else pad.kwargs.get("value")
    return value in (None, 0)
