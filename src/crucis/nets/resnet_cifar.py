"""The thin ResNet for small images: three stages of 16, 32 and 64 channels, depth 6n + 2.

Source: K. He, X. Zhang, S. Ren, J. Sun, Deep Residual Learning for Image Recognition, 2016, arXiv:1512.03385,
section 4.2 (shortcuts without parameters). At 3x32x32 and 10 classes, depth 20 has about 0.27 million parameters.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import blocks

if TYPE_CHECKING:
    from torch import nn

REVISION = 1
INPUTS = ["image"]
EXAMPLES = [{}, {"depth": 8, "width": 5}, {"depth": 8, "width": 5, "drop_path": 0.2}]
LIMITS = {"depth": "[8, 1202]", "width": "[1, 4096]", "drop_path": "[0, 1)"}


def _each(depth: int) -> int:
    if (depth - 2) % 6:
        raise blocks.NetError(f"resnet_cifar: depth is 6n + 2 (8, 14, 20, 32, 44, 56, 110), not {depth}")
    return (depth - 2) // 6


def build(
    input: tuple[int, ...], classes: int, *, depth: int = 20, width: int = 16, drop_path: float = 0.0
) -> nn.Module:
    """Images (N, C, H, W) to logits (N, classes).

    Args:
        depth: weighted layers, 6n + 2.
        width: channels of the first stage; the others have twice and four times as many.
        drop_path: stochastic depth: probability with which the last block is left out, falling linearly to the first.
    """
    from torch.nn import ReLU

    from ._depth import thin
    from ._residual import Residual, basic, headed

    each, inputs = _each(depth), width
    stages: list[Residual] = []
    stem = [blocks.normalised(blocks.image("resnet_cifar", input)[0], width, 3), ReLU()]
    for stage in range(3):
        for place in range(each):
            outputs = width << stage
            stages.append(basic(inputs, outputs, 2 if stage and not place else 1, padded=True))
            inputs = outputs
    thin([(block.body,) for block in stages], drop_path)
    return headed(stem, [*stages], inputs, classes)


def count(
    input: tuple[int, ...],
    classes: int,
    *,
    depth: int = 20,
    width: int = 16,
    drop_path: float = 0.0,  # noqa: ARG001
) -> int:
    """Trained parameters."""
    each, inputs = _each(depth), width
    total = blocks.normalised_count(blocks.image("resnet_cifar", input)[0], width, 3)
    for stage in range(3):
        for _ in range(each):
            outputs = width << stage
            total += blocks.normalised_count(inputs, outputs, 3) + blocks.normalised_count(outputs, outputs, 3)
            inputs = outputs
    return total + blocks.linear(inputs, classes)
