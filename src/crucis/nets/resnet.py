"""ResNet-18, -34 and -50 with a stem for small images: one 3x3 convolution, no pooling.

Source: K. He, X. Zhang, S. Ren, J. Sun, 2016, arXiv:1512.03385, table 1 (the stem differs). Bottlenecks stride in their
3x3 convolution. At 3x32x32 and 10 classes, depth 18 has 11.2 million parameters.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import blocks

if TYPE_CHECKING:
    from torch import nn

REVISION = 1
INPUTS = ["image"]
EXAMPLES = [{"widen": 0.125}, {"depth": 50, "widen": 0.125}, {"depth": 34, "widen": 0.1, "drop_path": 0.2}]
LIMITS = {"depth": "[10, 152]", "widen": "(0, 16]", "drop_path": "[0, 1)"}
_STAGES = {
    10: (1, 1, 1, 1),
    18: (2, 2, 2, 2),
    34: (3, 4, 6, 3),
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3),
    152: (3, 8, 36, 3),
}


def _plan(depth: int, widen: float) -> tuple[int, list[tuple[int, int, int]]]:
    """Stem width, and (input channels, width, stride) of each block."""
    if depth not in _STAGES:
        raise blocks.NetError(f"resnet: depth is one of {', '.join(map(str, _STAGES))}, not {depth}")
    stem = max(1, round(64 * widen))
    grow, inputs, out = (4 if depth >= 50 else 1), stem, []
    for stage, each in enumerate(_STAGES[depth]):
        for place in range(each):
            width = stem << stage
            out.append((inputs, width, 2 if stage and not place else 1))
            inputs = width * grow
    return stem, out


def build(
    input: tuple[int, ...], classes: int, *, depth: int = 18, widen: float = 1.0, drop_path: float = 0.0
) -> nn.Module:
    """Images (N, C, H, W) to logits (N, classes).

    Args:
        depth: 10, 18, 34 (two 3x3 convolutions per block), 50, 101, 152 (bottlenecks).
        widen: factor on the 64, 128, 256, 512 channels of the stages.
        drop_path: stochastic depth: probability with which the last block is left out, falling linearly to the first.
    """
    from torch.nn import ReLU

    from ._depth import thin
    from ._residual import basic, bottleneck, headed

    stem, plan = _plan(depth, widen)
    first = [blocks.normalised(blocks.image("resnet", input)[0], stem, 3), ReLU()]
    stages = [bottleneck(*block) if depth >= 50 else basic(*block) for block in plan]
    thin([(block.body,) for block in stages], drop_path)
    return headed(first, list(stages), plan[-1][1] * (4 if depth >= 50 else 1), classes)


def _block(inputs: int, width: int, stride: int, deep: bool) -> int:
    outputs = 4 * width if deep else width
    kernels = ((inputs, width, 1), (width, width, 3), (width, outputs, 1)) if deep else (
        (inputs, width, 3), (width, width, 3),
    )  # fmt: skip
    body = sum(blocks.normalised_count(*sizes) for sizes in kernels)
    return body + (blocks.normalised_count(inputs, outputs, 1) if inputs != outputs or stride != 1 else 0)


def count(
    input: tuple[int, ...],
    classes: int,
    *,
    depth: int = 18,
    widen: float = 1.0,
    drop_path: float = 0.0,  # noqa: ARG001
) -> int:
    """Trained parameters."""
    stem, plan = _plan(depth, widen)
    deep = depth >= 50
    total = blocks.normalised_count(blocks.image("resnet", input)[0], stem, 3)
    total += sum(_block(*block, deep) for block in plan)
    return total + blocks.linear(plan[-1][1] * (4 if deep else 1), classes)
