"""Wide residual network: three stages of 16k, 32k and 64k channels, pre-activation, depth 6n + 4.

Source: S. Zagoruyko and N. Komodakis, Wide Residual Networks, 2016, arXiv:1605.07146.
At 3x32x32 and 10 classes, depth 16 with widening 4 has 2.75 million parameters.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import blocks

if TYPE_CHECKING:
    from torch import nn

REVISION = 1
INPUTS = ["image"]
EXAMPLES = [{"depth": 10, "widen": 1}, {"widen": 0.5, "dropout": 0.1}, {"depth": 10, "widen": 0.5, "drop_path": 0.2}]
LIMITS = {"depth": "[10, 1000]", "widen": "(0, 64]", "dropout": "[0, 1)", "drop_path": "[0, 1)"}


def _plan(depth: int, widen: float) -> list[tuple[int, int, int]]:
    """(input channels, output channels, stride) of each block."""
    if (depth - 4) % 6 or depth < 10:
        raise blocks.NetError(f"wrn: depth is 6n + 4 (10, 16, 22, 28, 40), not {depth}")
    inputs, out = 16, []
    for stage in range(3):
        width = max(1, round(16 * widen)) << stage
        for place in range((depth - 4) // 6):
            out.append((inputs, width, 2 if stage and not place else 1))
            inputs = width
    return out


def build(
    input: tuple[int, ...],
    classes: int,
    *,
    depth: int = 16,
    widen: float = 2.0,
    dropout: float = 0.0,
    drop_path: float = 0.0,
) -> nn.Module:
    """Images (N, C, H, W) to logits (N, classes).

    Args:
        depth: weighted layers, 6n + 4.
        widen: factor on the 16, 32, 64 channels of the stages.
        dropout: between the two convolutions of a block, 0 to below 1.
        drop_path: stochastic depth: probability with which the last block is left out, falling linearly to the first.
    """
    from torch import nn

    from ._depth import thin
    from ._wide import Wide

    plan = _plan(depth, widen)
    width = plan[-1][1]
    stages = [Wide(*block, dropout) for block in plan]
    thin([(block.body,) for block in stages], drop_path)
    net = nn.Sequential(
        nn.Conv2d(blocks.image("wrn", input)[0], 16, 3, 1, 1, bias=False),
        *stages,
        nn.BatchNorm2d(width), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, classes),
    )  # fmt: skip
    blocks.he_convolutions(net)
    return net


def count(
    input: tuple[int, ...],
    classes: int,
    *,
    depth: int = 16,
    widen: float = 2.0,
    dropout: float = 0.0,  # noqa: ARG001
    drop_path: float = 0.0,  # noqa: ARG001
) -> int:
    """Trained parameters."""
    plan = _plan(depth, widen)
    width = plan[-1][1]
    total = blocks.conv(blocks.image("wrn", input)[0], 16, 3) + 2 * width + blocks.linear(width, classes)
    for inputs, outputs, stride in plan:
        total += 2 * inputs + blocks.conv(inputs, outputs, 3) + 2 * outputs + blocks.conv(outputs, outputs, 3)
        if inputs != outputs or stride != 1:
            total += blocks.conv(inputs, outputs, 1)
    return total
