"""A network's first convolution as one matrix product: the images are the same at every point, so they are cut once.

A row of the product is a patch of the image and gives neighbouring outputs at once: 2 x 2 of them where max pooling
follows, which then takes the largest of four equal slices, else 1 x 2. Filters stand in the product shifted, with zeros
around them; a last column of ones carries the bias.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

#: Patches of all images together, in bytes, up to which they are kept.
MOST_BYTES = 1 << 29
#: Input channels up to which this is the faster way.
MOST_CHANNELS = 4
#: Numbers that one product writes, so that what follows finds them in the processor's cache.
_PIECE = 1 << 17


class Layer(nn.Module):
    """What a layer that stands for a convolution shares with it."""

    _conv: nn.Conv2d

    @property
    def filters(self) -> Tensor:
        """(C', C / groups, h, w)."""
        return self._conv.weight

    @property
    def bias(self) -> Tensor | None:
        """(C',)."""
        return self._conv.bias


class Stem(Layer):
    """A convolution, then perhaps ReLU, then perhaps 2x2 max pooling, on patches that `cut` makes.

    Args:
        conv: stride 1, no groups or dilation.
        relu: whether ReLU follows.
        halves: whether 2x2 max pooling follows.
        size: of the images (N, C, H, W).

    Attributes:
        inside: (C, H, W).
        area: height and width of its map, before it is pooled.
    """

    def __init__(self, conv: nn.Conv2d, relu: bool, halves: bool, size: tuple[int, ...]) -> None:
        super().__init__()
        self._conv, self._relu, self._halves = conv, relu, halves
        self.inside, self.area = tuple(size[1:]), outputs(conv, size)
        across = 1 if self.area[1] % 2 else 2
        self._group = (2, 2) if halves else (1, across)
        (high, wide), (down, right) = conv.kernel_size, self._group
        self._window = (high + down - 1, wide + right - 1)
        self._rows = self.area[0] // down, self.area[1] // right
        inside = conv.in_channels * self._window[0] * self._window[1]
        self._matrix = conv.weight.new_zeros(inside + 1, down * right * conv.out_channels)
        self.pack()

    def pack(self) -> None:
        """Take over the filters as they are now."""
        (high, wide), (down, right), size = self._conv.kernel_size, self._group, self._conv.out_channels
        places = self._matrix[:-1].view(self._conv.in_channels, *self._window, down, right, size)
        filters = self._conv.weight.permute(1, 2, 3, 0)
        for i in range(down):
            for j in range(right):
                places[:, i : i + high, j : j + wide, i, j] = filters
        if self._conv.bias is not None:
            self._matrix[-1].view(-1, size).copy_(self._conv.bias)

    def cut(self, x: Tensor) -> Tensor:
        """Images (N, C, H, W) to patches (N, H' W' / outputs of a patch, numbers of a patch + 1)."""
        padding = tuple(int(p) for p in self._conv.padding)
        found = functional.unfold(x.contiguous(), self._window, padding=padding, stride=self._group)
        patches = x.new_ones(len(x), found.shape[2], found.shape[1] + 1)
        patches[..., :-1] = found.transpose(1, 2)
        return patches

    def forward(self, patches: Tensor) -> Tensor:
        """What `cut` made, to (N, C', H', W') or, pooled, (N, C', H' / 2, W' / 2)."""
        images, (high, wide), size = len(patches), self._rows, self._conv.out_channels
        wide = wide if self._halves else wide * self._group[1]
        out = patches.new_empty(images, high, wide, size)
        step = max(1, _PIECE // (high * wide * size * (4 if self._halves else 1)))
        for start in range(0, images, step):
            piece, rows = out[start : start + step], patches[start : start + step].flatten(0, 1)
            if self._halves:
                upper, lower = torch.mm(rows, self._matrix).chunk(2, 1)
                torch.maximum(upper, lower, out=upper)
                torch.maximum(*upper.chunk(2, 1), out=piece.view(-1, size))
            else:
                torch.mm(rows, self._matrix, out=piece.view(len(rows), -1))
            if self._relu:
                piece.relu_()
        return out.permute(0, 3, 1, 2)


def outputs(conv: nn.Conv2d, size: tuple[int, ...]) -> tuple[int, int]:
    """Height and width of what a convolution makes of (N, C, H, W)."""
    found = []
    for axis in range(2):
        reach = conv.dilation[axis] * (conv.kernel_size[axis] - 1) + 1
        found.append((size[2 + axis] + 2 * int(conv.padding[axis]) - reach) // conv.stride[axis] + 1)
    return found[0], found[1]


def suits(conv: nn.Conv2d, size: tuple[int, ...], images: int) -> bool:
    """Whether a convolution of images (N, C, H, W), `images` of them in all, is worth cutting them."""
    simple = conv.stride == conv.dilation == (1, 1) and conv.groups == 1 and conv.in_channels <= MOST_CHANNELS
    if not simple:
        return False
    high, wide = outputs(conv, size)
    patch = conv.in_channels * conv.kernel_size[0] * (conv.kernel_size[1] + 1) + 1
    return min(high, wide) > 1 and 4 * images * high * wide * patch // 2 <= MOST_BYTES
