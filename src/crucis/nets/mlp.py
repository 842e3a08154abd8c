"""A multilayer perceptron; images are flattened.

Layers: dense, then norm, activation and dropout, for each width; then a dense head. Weights as torch initialises
`nn.Linear` (uniform, +- 1/sqrt(fan in)).
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Literal

from . import blocks

if TYPE_CHECKING:
    from torch import nn

REVISION = 1
INPUTS = ["image", "vector"]
EXAMPLES = [
    {},
    {"widths": []},
    {"depth": 3, "width": 17, "norm": "batch", "dropout": 0.2},
    {"norm": "layer", "activation": "gelu"},
]
LIMITS = {"dropout": "[0, 1)", "depth": "[0, 1000]", "width": "[1, 65536]"}


def _widths(widths: list[int], depth: int | None, width: int | None) -> list[int]:
    if depth is None and width is None:
        return widths
    if widths != [64, 64]:
        raise blocks.NetError("mlp: give widths, or depth and width, not both")
    return [64 if width is None else width] * (2 if depth is None else depth)


def build(
    input: tuple[int, ...],
    classes: int,
    *,
    widths: list[int] = [64, 64],  # noqa: B006 - a literal that is read, never changed
    depth: int | None = None,
    width: int | None = None,
    activation: Literal["relu", "gelu", "tanh", "silu"] = "relu",
    dropout: float = 0.0,
    norm: Literal["none", "batch", "layer"] = "none",
) -> nn.Module:
    """Input (N, ...) to logits (N, classes).

    Args:
        widths: units of each hidden layer; empty for a linear classifier.
        depth: hidden layers of equal width, in place of `widths`.
        width: units of each of them (64 if only depth is given).
        activation: after each hidden layer.
        dropout: share of hidden units dropped in training, 0 to below 1.
        norm: between each hidden layer and its activation.
    """
    from torch import nn

    layers: list[nn.Module] = [nn.Flatten()]
    inputs = blocks.features(input)
    for size in _widths(widths, depth, width):
        layers.append(nn.Linear(inputs, size))
        if norm != "none":
            layers.append(nn.BatchNorm1d(size) if norm == "batch" else nn.LayerNorm(size))
        layers.append(blocks.activation(activation))
        if dropout:
            layers.append(nn.Dropout(dropout))
        inputs = size
    return nn.Sequential(*layers, nn.Linear(inputs, classes))


def count(
    input: tuple[int, ...],
    classes: int,
    *,
    widths: list[int] = [64, 64],  # noqa: B006
    depth: int | None = None,
    width: int | None = None,
    activation: str = "relu",  # noqa: ARG001
    dropout: float = 0.0,  # noqa: ARG001
    norm: str = "none",
) -> int:
    """Trained parameters."""
    sizes = [blocks.features(input), *_widths(widths, depth, width), classes]
    dense = sum(blocks.linear(a, b) for a, b in pairwise(sizes))
    return dense + (2 * sum(sizes[1:-1]) if norm != "none" else 0)
