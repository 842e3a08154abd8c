"""Interpolation of a batch in which every sample has a window of its own: two matrix products with dense weights.

The definition is Pillow's, and torchvision's with antialiasing: the weight of a pixel is the filter at its distance
from the centre of the result's pixel, stretched by the reduction where the image shrinks, and the weights of a window
sum to 1. Columns first, rounded to whole levels, then rows. Both libraries round the weights to 16 bits, we do not: a
few pixels in a hundred differ by one level, hardly any by two, none by more.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .augmenting import pieces


@dataclass(frozen=True)
class Axis:
    """What is looked at along one axis, for each sample of a batch.

    Attributes:
        first: where the result's first pixel begins in the source, (B,), in pixels of the source.
        scale: pixels of the source per pixel of the result, float32 (B,).
        low, high: the pixels low..high-1 of the source may be used, (B,).
        sizes: pixels of the source and of the result.
    """

    first: Tensor
    scale: Tensor
    low: Tensor
    high: Tensor
    sizes: tuple[int, int]

    def __getitem__(self, part: slice) -> Axis:
        return Axis(self.first[part], self.scale[part], self.low[part], self.high[part], self.sizes)


def weights(axis: Axis, kind: str) -> Tensor:
    """Weights of source pixels for each pixel of the result, along one axis.

    Args:
        axis: windows and sizes.
        kind: `bilinear` (a triangle) or `bicubic` (Keys, a = -1/2).

    Returns:
        float32 (B, result, source); rows sum to 1. Pixels that are not used have weight 0.

    Source: R. Keys, Cubic convolution interpolation for digital image processing, 1981, doi:10.1109/TASSP.1981.1163711.
    """
    source, result = axis.sizes
    device = axis.scale.device
    place = torch.arange(result, dtype=torch.float32, device=device) + 0.5
    centre = axis.first[:, None].to(torch.float32) + place * axis.scale[:, None]
    pixel = torch.arange(source, dtype=torch.float32, device=device)
    stretch = axis.scale.clamp(min=1.0)[:, None, None]
    distance = ((pixel + 0.5) - centre[:, :, None]).abs_().div_(stretch)
    if kind == "bilinear":
        out = distance.neg_().add_(1.0).clamp_(min=0.0)
    else:  # the pieces of the cubic as truncated powers of 1 - d and 2 - d, which need no choice per pixel
        inner = (1.0 - distance).clamp_(min=0.0)
        outer = distance.neg_().add_(2.0).clamp_(min=0.0)
        out = outer.sub(1.0).mul_(0.5).mul_(outer).mul_(outer)
        out.add_(inner.mul(-2.0).add_(1.0).mul_(inner).mul_(inner))
    out.mul_(((pixel >= axis.low[:, None]) & (pixel < axis.high[:, None])).to(torch.float32)[:, None, :])
    return out.div_(out.sum(2, keepdim=True))


def resample(x: Tensor, rows: Axis, columns: Axis, kind: str) -> Tensor:
    """A batch uint8 (B, C, H, W) along both axes, uint8 (B, C, H', W')."""
    count, channels, height, width = x.shape
    out = torch.empty(count, channels, rows.sizes[1], columns.sizes[1], dtype=torch.uint8, device=x.device)
    size = channels * max(height, rows.sizes[1]) * max(width, columns.sizes[1])
    for part in pieces(count, size, x.device):
        # Channels lie between rows and columns, so that both products are of whole matrices without copying.
        plain = x[part].permute(0, 2, 1, 3).to(torch.float32, memory_format=torch.contiguous_format)
        along = weights(columns[part], kind).transpose(1, 2)
        wide = torch.bmm(plain.view(len(plain), height * channels, width), along)
        wide = wide.add_(0.5).floor_().clamp_(0.0, 255.0).view(len(plain), height, -1)
        made = torch.bmm(weights(rows[part], kind), wide).add_(0.5).clamp_(0.0, 255.0)
        out[part] = made.view(len(plain), rows.sizes[1], channels, -1).permute(0, 2, 1, 3)
    return out
