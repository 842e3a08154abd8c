"""Scale jitter: the image is resized so that its shorter side has a random length, then cropped to the data's size.

The published form is "shorter side uniform in [256, 480], random crop of 224": 256/224 to 480/224 times the side of
the result, so the same crops relative to the image for data of another size. The length is uniform over whole pixels,
the place uniform; interpolated with antialiasing, see `crucis.data.resampling`.

Source: K. Simonyan and A. Zisserman, Very Deep Convolutional Networks for Large-Scale Image Recognition, 2015,
arXiv:1409.1556, section 3.1; K. He et al., Deep Residual Learning for Image Recognition, 2016, arXiv:1512.03385.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from .. import resampling
from ..augmenting import Augmentation, Params, Picture
from ..dataset import DataError

REVISION = 1
RANDOM = True
LIMITS = {"lowest": "[1, 10]", "highest": "[1, 10]", "size": "[1, 1024]"}


@dataclass(frozen=True)
class ScaledCrop(Picture):
    """See the module."""

    lowest: float
    highest: float
    size: int | None
    interpolation: str

    def shape(self, shape: Sequence[int]) -> tuple[int, ...]:
        """Of the data, or square."""
        return tuple(shape) if self.size is None else (shape[0], self.size, self.size)

    def draw(self, n: int, shape: Sequence[int], generator: torch.Generator) -> dict[str, Tensor]:
        """`height`, `width` of the resized image; `top`, `left` of the crop in it."""
        result = torch.tensor(self.shape(shape)[1:], dtype=torch.float64)[:, None]
        full = torch.tensor(shape[1:], dtype=torch.float64)[:, None]
        short = float(result.max())
        low, high = round(self.lowest * short), round(self.highest * short)
        side = torch.randint(low, high + 1, (n,), generator=generator).double()
        place = torch.rand(2, n, generator=generator, dtype=torch.float64)
        resized = (full * side / full.min()).floor_()
        first = place.mul_(resized - result + 1).floor_()
        height, width, top, left = torch.cat([resized, first]).to(torch.int32)
        return {"height": height, "width": width, "top": top, "left": left}

    def repaint(self, x: Tensor, params: Params) -> Tensor:
        """The crop of the resized image; what is not in the crop is not computed."""
        sizes = (x.shape[2:], self.shape(x.shape[1:])[1:])
        begin = params["top"], params["left"]
        length = params["height"], params["width"]
        rows, columns = (
            self._axis(first, source / extent.to(torch.float32), (source, result))
            for first, extent, source, result in zip(begin, length, *sizes, strict=True)
        )
        return resampling.resample(x, rows, columns, self.interpolation)

    def _axis(self, first: Tensor, scale: Tensor, sizes: tuple[int, int]) -> resampling.Axis:
        return resampling.Axis(first * scale, scale, torch.zeros_like(first), torch.full_like(first, sizes[0]), sizes)


def augment(
    *,
    lowest: float = 1.1428571428571428,
    highest: float = 2.142857142857143,
    size: int | None = None,
    interpolation: Literal["bilinear", "bicubic"] = "bilinear",
) -> Augmentation:
    """A scaled crop.

    Args:
        lowest: least length of the resized image's shorter side, in sides of the result.
        highest: greatest length of the resized image's shorter side, in sides of the result.
        size: side of the square result in pixels; left out, the size of the data.
        interpolation: between pixels, with antialiasing.
    """
    if lowest > highest:
        raise DataError(f"augment: scaled_crop: lowest {lowest:g} is above highest {highest:g}")
    return ScaledCrop(lowest, highest, size, interpolation)
