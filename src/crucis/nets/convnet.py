"""A small convolutional network: 3x3 convolutions with batch norm, halving the image between stages.

Each width is one stage: convolution, batch norm, ReLU, then 2x2 max pooling while the image is larger than 2 pixels.
Ends in global average pooling and a dense head, so any image size works.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from . import blocks

if TYPE_CHECKING:
    from torch import nn

REVISION = 1
INPUTS = ["image"]
EXAMPLES = [{}, {"widths": [8, 12], "layers": 2, "dropout": 0.1}]
LIMITS = {"layers": "[1, 20]", "dropout": "[0, 1)"}


def build(
    input: tuple[int, ...],
    classes: int,
    *,
    widths: list[int] = [16, 32, 64],  # noqa: B006 - a literal that is read, never changed
    layers: int = 1,
    dropout: float = 0.0,
) -> nn.Module:
    """Images (N, C, H, W) to logits (N, classes).

    Args:
        widths: channels of each stage.
        layers: convolutions in each stage.
        dropout: share of pooled features dropped before the head, 0 to below 1.
    """
    from torch import nn

    channels, height, width = blocks.image("convnet", input)
    side, parts = min(height, width), []
    for size in widths:
        for _ in range(layers):
            parts += [blocks.normalised(channels, size, 3), nn.ReLU()]
            channels = size
        if side > 2:
            parts.append(nn.MaxPool2d(2))
            side //= 2
    parts += [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    if dropout:
        parts.append(nn.Dropout(dropout))
    net = nn.Sequential(*parts, nn.Linear(channels, classes))
    blocks.he_convolutions(net)
    return net


def count(
    input: tuple[int, ...],
    classes: int,
    *,
    widths: list[int] = [16, 32, 64],  # noqa: B006
    layers: int = 1,
    dropout: float = 0.0,  # noqa: ARG001
) -> int:
    """Trained parameters."""
    sizes = [blocks.image("convnet", input)[0], *(size for size in widths for _ in range(layers))]
    return sum(blocks.normalised_count(a, b, 3) for a, b in pairwise(sizes)) + blocks.linear(sizes[-1], classes)
