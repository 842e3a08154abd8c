"""Interpolation of a batch in which every sample has a window of its own: two matrix products with dense weights.

The definition is Pillow's, and torchvision's with antialiasing: the weight of a pixel is the filter at its distance
from the centre of the result's pixel, stretched by the reduction where the image shrinks, and the weights of a window
sum to 1. Columns first, rounded to whole levels, then rows. Both libraries round the weights to 16 bits, we do not: a
few pixels in a hundred differ by one level, hardly any by two, none by more.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

FILTERS = ("bilinear", "bicubic")


def weights(first: Tensor, scale: Tensor, low: Tensor, high: Tensor, sizes: Sequence[int], kind: str) -> Tensor:
    """Weights of source pixels for each pixel of the result, along one axis.

    Args:
        first: where the result's first pixel begins in the source, float32 (B,), in pixels of the source.
        scale: pixels of the source per pixel of the result, float32 (B,).
        low, high: the pixels low..high-1 of the source may be used, (B,).
        sizes: pixels of the source and of the result.
        kind: `bilinear` (a triangle) or `bicubic` (Keys, a = -1/2).

    Returns:
        float32 (B, result, source); rows sum to 1. Pixels that are not used have weight 0.

    Source: R. Keys, Cubic convolution interpolation for digital image processing, 1981, doi:10.1109/TASSP.1981.1163711.
    """
    source, result = sizes
    place = torch.arange(result, dtype=torch.float32, device=first.device) + 0.5
    centre = first[:, None] + place * scale[:, None]
    pixel = torch.arange(source, dtype=torch.float32, device=first.device)
    stretch = scale.clamp(min=1.0)[:, None, None]
    distance = ((pixel + 0.5) - centre[:, :, None]).abs_().div_(stretch)
    if kind == "bilinear":
        out = distance.neg_().add_(1.0).clamp_(min=0.0)
    else:
        near = distance.mul(1.5).sub_(2.5).mul_(distance).mul_(distance).add_(1.0)
        far = distance.mul(-0.5).add_(2.5).mul_(distance).sub_(4.0).mul_(distance).add_(2.0)
        out = torch.where(distance < 1.0, near, far).mul_(distance < 2.0)
    out.mul_(((pixel >= low[:, None]) & (pixel < high[:, None]))[:, None, :])
    return out.div_(out.sum(2, keepdim=True))


def resample(x: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """A batch uint8 (B, C, H, W) by weights `rows` (B, H', H) and `columns` (B, W', W), uint8 (B, C, H', W')."""
    count, channels, height, width = x.shape
    wide = torch.bmm(x.to(torch.float32).view(count, channels * height, width), columns.transpose(1, 2))
    wide = wide.add_(0.5).floor_().clamp_(0.0, 255.0).view(count, channels, height, -1)
    return torch.matmul(rows[:, None], wide).add_(0.5).clamp_(0.0, 255.0).to(torch.uint8)
