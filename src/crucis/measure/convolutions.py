"""Layers that a fused graph is made of, by oneDNN on a CPU: a convolution with what follows it, and max pooling."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from .stem import Layer, outputs

_SLOPE = 1e-30
#: Numbers in the maps of the images that are pooled at a time.
_PIECE = 1 << 18


class Fused(Layer):
    """A convolution, then perhaps the addition of another map of the same shape, then perhaps ReLU, perhaps pooling.

    The filters are laid out for the processor by `pack`, once for every place where the network is put. Few filters of
    stride 1 go through it in pairs of neighbouring outputs (a third more multiplications, in a better shape).

    Attributes:
        inside: shape (C, H, W) of an input.
        area: height and width of its map, before it is pooled.
        asks: whether ReLU follows an addition here, so that it matters whether it is safe.
        over: whether the result may be written over what is added, which nobody reads afterwards.
        safe: whether nothing here can overflow, so that oneDNN's ReLU may follow an addition; `Fusion.pack` sets it.
    """

    def __init__(self, conv: nn.Conv2d, relu: bool, size: tuple[int, ...], halves: bool = False) -> None:
        super().__init__()
        self._conv, self._relu, self._size, self._halves = conv, relu, list(size), halves
        self.asks = self.over = self.safe = False
        self._pairs = _in_pairs(conv, size)
        stride = [1, 2] if self._pairs else list(conv.stride)
        self._shape = (list(conv.padding), stride, list(conv.dilation), conv.groups)
        self.inside, self.area = tuple(size[1:]), outputs(conv, size)
        filters, inside, high, wide = conv.weight.shape
        twice = torch.zeros(2 * filters, inside, high, wide + 1) if self._pairs else torch.zeros(0)
        self._twice = twice.contiguous(memory_format=torch.channels_last) if self._pairs else twice
        self.pack()

    def pack(self) -> None:
        """Take over the filters as they are now."""
        weight, bias, size = self._conv.weight, self._conv.bias, self._conv.out_channels
        if self._pairs:
            self._twice[:size, ..., :-1] = weight
            self._twice[size:, ..., 1:] = weight
            bias = None if bias is None else torch.cat([bias, bias])
        packed: Any = torch.ops.mkldnn._reorder_convolution_weight(
            self._twice if self._pairs else weight, *self._shape, self._size
        )
        self._given = (packed, bias, *self._shape)

    def forward(self, x: Tensor, other: Tensor | None = None) -> Tensor:
        """(N, C, H, W), and what is added (N, C', H', W'), to (N, C', H', W') or, pooled, (N, C', H' / 2, W' / 2)."""
        x = x.contiguous(memory_format=torch.channels_last)
        if self._halves:
            return self._pooled(x)
        if other is None:
            return self._alone(x)
        other = other.contiguous(memory_format=torch.channels_last)
        other = _together(other) if self._pairs else other
        after = "relu" if self._relu and self.safe else None
        if self.over:
            into: Any = torch.ops.mkldnn._convolution_pointwise_.binary
            out: Tensor = into(other, x, *self._given, "add", 1.0, after, [], "")
        else:
            out = torch.ops.mkldnn._convolution_pointwise.binary(x, other, *self._given, "add", 1.0, after, [], "")
        out = out.relu_() if self._relu and not after else out
        return _apart(out) if self._pairs else out

    def _alone(self, x: Tensor) -> Tensor:
        after, slope = ("leaky_relu", [_SLOPE]) if self._relu else ("none", [])
        out: Tensor = torch.ops.mkldnn._convolution_pointwise(x, *self._given, after, slope, "")
        return _apart(out) if self._pairs else out

    def _pooled(self, x: Tensor) -> Tensor:
        """Some images at a time, so that their maps are still in the processor's cache when they are pooled."""
        shape = (len(x), self._conv.out_channels, self.area[0] // 2, self.area[1] // 2)
        out = torch.empty(shape, memory_format=torch.channels_last)
        step = max(1, _PIECE // (4 * out[0].numel()))
        for start in range(0, len(x), step):
            found, piece = self._alone(x[start : start + step]), out[start : start + step]
            upper = found[:, :, 0::2]
            torch.maximum(upper, found[:, :, 1::2], out=upper)
            torch.maximum(upper[..., 0::2], upper[..., 1::2], out=piece)
        return out


def _in_pairs(conv: nn.Conv2d, size: tuple[int, ...]) -> bool:
    """Whether two neighbouring outputs at once are faster: up to 16 filters, the width of the processor's registers."""
    simple = conv.stride == conv.dilation == (1, 1) and conv.groups == 1 and conv.kernel_size[1] == 3
    if not simple or conv.out_channels > 16:
        return False
    high, wide = outputs(conv, size)
    return high > 1 and wide > 2 and wide % 2 == 0


def _together(x: Tensor) -> Tensor:
    """(N, C, H, W), channels last, to (N, 2 C, H, W / 2): the same numbers, neighbours side by side."""
    n, c, h, w = x.shape
    return x.as_strided((n, 2 * c, h, w // 2), (h * w * c, 1, w * c, 2 * c))


def _apart(x: Tensor) -> Tensor:
    """The inverse of `_together`."""
    n, c, h, w = x.contiguous(memory_format=torch.channels_last).shape
    return x.as_strided((n, c // 2, h, 2 * w), (h * w * c, 1, w * c, c // 2))


class Halved(nn.Module):
    """2x2 max pooling as two element-wise maxima: the same bits, without the indices that pooling would keep."""

    shrinks = True

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, 2 H, 2 W) to (N, C, H, W)."""
        x = torch.maximum(x[:, :, 0::2], x[:, :, 1::2])
        return torch.maximum(x[..., 0::2], x[..., 1::2])
