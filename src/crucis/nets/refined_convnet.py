"""The small convolutional network with five parts added, each of which can be left out by name.

Per stage: convolution; a depthwise branch with a large kernel beside it (`kernel`); group norm instead of batch norm
(`norm`); the stage's input added (`shortcut`); ReLU; channels weighed by a summary of the image (`gating`); pooling as
in `convnet`. The head averages the image with learned weights (`attention`) before the dense layer. Without all five
it is `convnet` with the same widths: same parameters, same initial weights for a seed, same outputs and gradients.

Source: the shortcut is that of K. He et al., 2016, arXiv:1512.03385 (option A: new channels begin at zero); gating
J. Hu et al., 2018, arXiv:1709.01507; group norm Y. Wu and K. He, 2018, arXiv:1803.08494; large depthwise kernels
X. Ding et al., 2022, arXiv:2203.06717; attention pooling M. Ilse et al., 2018, arXiv:1802.04712 (one linear score,
zero at the start, so that it begins as the average).
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import TYPE_CHECKING

from . import blocks, components

if TYPE_CHECKING:
    from torch import nn

REVISION = 1
INPUTS = ["image"]
EXAMPLES = [
    {},
    {"widths": [8, 12], "kernel": 3},
    {"widths": [6, 8], "without": {"norm": "baseline", "gating": "remove"}},
]
LIMITS = {"kernel": "[3, 15]", "squeeze": "[1, 64]"}
BASELINE = "convnet"
COMPONENTS = {
    "shortcut": {"replace": "remove", "says": "adds the input of a stage to what its convolution makes of it"},
    "gating": {"replace": ["remove", "identity"], "says": "weighs channels by a summary of the whole image"},
    "norm": {"replace": ["baseline", "remove"], "says": "normalises each image by groups of channels, not the batch"},
    "kernel": {"replace": "remove", "says": "a depthwise branch that looks further than the 3x3 convolution"},
    "attention": {"replace": "baseline", "says": "averages the last image with learned weights before the head"},
}


def _left_out(without: Mapping[str, str]) -> Mapping[str, str]:
    components.check_without("refined_convnet", components.read("refined_convnet", COMPONENTS), without)
    return without


def build(
    input: tuple[int, ...],
    classes: int,
    *,
    widths: list[int] = [16, 32, 64],  # noqa: B006 - a literal that is read, never changed
    kernel: int = 5,
    squeeze: int = 4,
    without: dict[str, str] = {},  # noqa: B006
) -> nn.Module:
    """Images (N, C, H, W) to logits (N, classes).

    Args:
        widths: channels of each stage.
        kernel: side of the large kernels, odd, 3 to 15.
        squeeze: channels per hidden unit of the gates, 1 to 64.
        without: component -> what stands in its place.
    """
    from ._refined import Refined

    channels, height, width = blocks.image("refined_convnet", input)
    if kernel % 2 == 0:
        raise blocks.NetError(f"refined_convnet: the side of a kernel is odd, not {kernel}")
    net = Refined([channels, *widths], min(height, width), classes, _left_out(without))
    blocks.he_convolutions(net)
    net.grow(kernel, squeeze)  # after the baseline's part, so that a seed gives both the same weights
    return net


def count(
    input: tuple[int, ...],
    classes: int,
    *,
    widths: list[int] = [16, 32, 64],  # noqa: B006
    kernel: int = 5,
    squeeze: int = 4,
    without: dict[str, str] = {},  # noqa: B006
) -> int:
    """Trained parameters."""
    out = _left_out(without)
    sizes = [blocks.image("refined_convnet", input)[0], *widths]
    total = blocks.linear(sizes[-1], classes) + (0 if "attention" in out else sizes[-1])
    for a, b in pairwise(sizes):
        hidden = max(1, b // squeeze)
        total += blocks.conv(a, b, 3) + (0 if out.get("norm") == "remove" else 2 * b)
        total += 0 if "kernel" in out else kernel * kernel * b
        total += 0 if "gating" in out else blocks.linear(b, hidden) + blocks.linear(hidden, b)
    return total
