"""Post-activation residual blocks (K. He et al., 2016, arXiv:1512.03385) for the ResNet files of this shelf."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from . import blocks


class Residual(nn.Module):
    """`relu(body(x) + shortcut(x))`; the shortcut is the identity where shapes allow, else `shortcut`."""

    def __init__(self, body: nn.Sequential, shortcut: nn.Module) -> None:
        super().__init__()
        self.body, self.shortcut = body, shortcut

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C', H', W')."""
        return torch.relu(self.body(x) + self.shortcut(x))


class Padded(nn.Module):
    """The shortcut without parameters ("option A"): every `stride`-th pixel, missing channels 0."""

    def __init__(self, extra: int, stride: int) -> None:
        super().__init__()
        self.extra, self.stride = extra, stride

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C + extra, H / stride, W / stride)."""
        small = x[:, :, :: self.stride, :: self.stride]
        return nn.functional.pad(small, (0, 0, 0, 0, 0, self.extra))


def _shortcut(inputs: int, outputs: int, stride: int, padded: bool) -> nn.Module:
    if inputs == outputs and stride == 1:
        return nn.Identity()
    return Padded(outputs - inputs, stride) if padded else blocks.normalised(inputs, outputs, 1, stride)


def basic(inputs: int, width: int, stride: int, padded: bool = False) -> Residual:
    """Two 3x3 convolutions."""
    body = nn.Sequential(
        blocks.normalised(inputs, width, 3, stride), nn.ReLU(), blocks.normalised(width, width, 3)
    )  # fmt: skip
    return Residual(body, _shortcut(inputs, width, stride, padded))


def bottleneck(inputs: int, width: int, stride: int) -> Residual:
    """1x1, 3x3 (with the stride), 1x1 to four times the width."""
    body = nn.Sequential(
        blocks.normalised(inputs, width, 1), nn.ReLU(),
        blocks.normalised(width, width, 3, stride), nn.ReLU(),
        blocks.normalised(width, 4 * width, 1),
    )  # fmt: skip
    return Residual(body, _shortcut(inputs, 4 * width, stride, padded=False))


def headed(stem: list[nn.Module], stages: list[nn.Module], outputs: int, classes: int) -> nn.Sequential:
    """Stem, stages, global average, head; He-normal convolutions."""
    net = nn.Sequential(*stem, *stages, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(outputs, classes))
    blocks.he_convolutions(net)
    return net
