"""The network of deep Q-learning: convolutions without padding, one hidden dense layer, one output per action.

The defaults are the layers of V. Mnih et al., 2015 (doi:10.1038/nature14236), for observations of 4 frames of 84 x 84
pixels. For smaller frames, `filters: [16, 32], kernels: [4, 3], strides: [2, 1], width: 128` suits 20 x 20 pixels.
Weights start as torch draws them for each layer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import blocks

if TYPE_CHECKING:
    from torch import nn

REVISION = 1
INPUTS = ["image"]
EXAMPLES = [{"filters": [8, 12], "kernels": [4, 3], "strides": [2, 1], "width": 16}]
LIMITS = {"width": "[1, 100000]"}


def build(
    input: tuple[int, ...],
    classes: int,
    *,
    filters: list[int] = [32, 64, 64],  # noqa: B006 - literals that are read, never changed
    kernels: list[int] = [8, 4, 3],  # noqa: B006
    strides: list[int] = [4, 2, 1],  # noqa: B006
    width: int = 512,
) -> nn.Module:
    """Observations (N, frames, H, W) to values of actions (N, classes).

    Args:
        filters: channels of each convolution.
        kernels: side of its windows in pixels.
        strides: distance of its windows in pixels.
        width: features of the hidden dense layer.

    Raises:
        NetError: the three lists differ in length, or the image is smaller than the windows need.
    """
    from torch import nn

    channels, parts = blocks.image("dqn", input)[0], []
    for size, kernel, stride in zip(filters, kernels, strides, strict=False):
        parts += [nn.Conv2d(channels, size, kernel, stride), nn.ReLU()]
        channels = size
    features = _features(input, filters, kernels, strides)
    parts += [nn.Flatten(), nn.Linear(features, width), nn.ReLU(), nn.Linear(width, classes)]
    return nn.Sequential(*parts)


def count(
    input: tuple[int, ...],
    classes: int,
    *,
    filters: list[int] = [32, 64, 64],  # noqa: B006
    kernels: list[int] = [8, 4, 3],  # noqa: B006
    strides: list[int] = [4, 2, 1],  # noqa: B006
    width: int = 512,
) -> int:
    """Trained parameters."""
    before = [blocks.image("dqn", input)[0], *filters]
    each = zip(before, filters, kernels, strict=False)
    layers = sum(blocks.conv(a, b, kernel, bias=True) for a, b, kernel in each)
    return layers + blocks.linear(_features(input, filters, kernels, strides), width) + blocks.linear(width, classes)


def _features(input: tuple[int, ...], filters: list[int], kernels: list[int], strides: list[int]) -> int:
    """Numbers that the convolutions leave of an observation."""
    if not len(filters) == len(kernels) == len(strides) > 0:
        raise blocks.NetError(f"'dqn' needs filters, kernels and strides of one length, got {len(filters)}, "
                              f"{len(kernels)} and {len(strides)}")  # fmt: skip
    sides = list(blocks.image("dqn", input)[1:])
    for kernel, stride in zip(kernels, strides, strict=True):
        if min(sides) < kernel or min(kernel, stride) < 1:
            raise blocks.NetError(f"'dqn' has windows of {kernel} pixels at every {stride} for what is left of an "
                                  f"image ({sides[0]} x {sides[1]}); write smaller kernels: and strides:")  # fmt: skip
        sides = [(side - kernel) // stride + 1 for side in sides]
    return filters[-1] * sides[0] * sides[1]
