"""Building blocks that several nets share, and the parameter counts that go with them."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING

from ..errors import CrucisError

if TYPE_CHECKING:
    from torch import nn


class NetError(CrucisError):
    """Parameters or inputs that a net cannot be built for."""


def features(shape: Sequence[int]) -> int:
    """Numbers per example."""
    return prod(shape)


def linear(inputs: int, outputs: int, bias: bool = True) -> int:
    """Parameters of a dense layer."""
    return inputs * outputs + (outputs if bias else 0)


def conv(inputs: int, outputs: int, kernel: int, bias: bool = False) -> int:
    """Parameters of a square convolution."""
    return inputs * outputs * kernel * kernel + (outputs if bias else 0)


def image(name: str, shape: Sequence[int]) -> tuple[int, int, int]:
    """(C, H, W), or an error that says what the net takes.

    Raises:
        NetError: the input is no image.
    """
    if len(shape) != 3:
        raise NetError(f"'{name}' takes images (C, H, W), the data gives vectors of {features(shape)} numbers")
    return shape[0], shape[1], shape[2]


def grid_patch(height: int, width: int) -> int:
    """The patch that divides both sides, is at least 2 where the image allows, and gives about 8 patches a side."""
    side = min(height, width)
    fitting = [p for p in range(1, side + 1) if height % p == 0 and width % p == 0]
    large = [p for p in fitting if p > 1] or fitting
    return min(large, key=lambda p: (abs(side / p - 8), p))


def activation(name: str) -> nn.Module:
    """A fresh activation module by its name in a study."""
    from torch import nn

    kinds = {"relu": nn.ReLU, "gelu": nn.GELU, "tanh": nn.Tanh, "silu": nn.SiLU}
    return kinds[name]()


def he_convolutions(module: nn.Module) -> None:
    """He-normal initialisation (fan out) of every convolution: K. He et al., 2015, arXiv:1502.01852."""
    from torch import nn

    for part in module.modules():
        if isinstance(part, nn.Conv2d):
            nn.init.kaiming_normal_(part.weight, mode="fan_out", nonlinearity="relu")


def normalised(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Sequential:
    """Convolution without bias, then batch norm."""
    from torch import nn

    body = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
    return nn.Sequential(body, nn.BatchNorm2d(outputs))


def normalised_count(inputs: int, outputs: int, kernel: int) -> int:
    """Parameters of `normalised`."""
    return conv(inputs, outputs, kernel) + 2 * outputs
