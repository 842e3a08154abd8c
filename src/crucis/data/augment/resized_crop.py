"""Random resized crop: a window of random area and aspect, at a random place, is brought to the size of the result.

Area: uniform share of the image; aspect: the ratio of width to height, log-uniform between 1/aspect and aspect. As in
torchvision, ten such windows are tried, and the first that fits is taken; if none fits, the largest central window of
an allowed aspect. Interpolated with antialiasing; see `crucis.data.resampling`.

A published crop of 224 pixels is a crop of the data's own size here, unless `size` says otherwise.

Source: C. Szegedy et al., Going Deeper with Convolutions, 2015, doi:10.1109/CVPR.2015.7298594, arXiv:1409.4842.
"""

from __future__ import annotations

import math
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
LIMITS = {"smallest": "(0, 1]", "largest": "(0, 1]", "aspect": "[1, 100]", "size": "[1, 1024]"}
TRIES = 10


@dataclass(frozen=True)
class ResizedCrop(Picture):
    """See the module."""

    smallest: float
    largest: float
    aspect: float
    size: int | None
    interpolation: str

    def shape(self, shape: Sequence[int]) -> tuple[int, ...]:
        """Of the data, or square."""
        return tuple(shape) if self.size is None else (shape[0], self.size, self.size)

    def draw(self, n: int, shape: Sequence[int], generator: torch.Generator) -> dict[str, Tensor]:
        """`top`, `left`, `height`, `width` of the window in pixels of the source."""
        full = torch.tensor(shape[1:], dtype=torch.float64)
        share = torch.empty(n, TRIES, dtype=torch.float64).uniform_(self.smallest, self.largest, generator=generator)
        bound = math.log(self.aspect)
        ratio = torch.empty(n, TRIES, dtype=torch.float64).uniform_(-bound, bound, generator=generator).exp_()
        place = torch.rand(2, n, generator=generator, dtype=torch.float64)
        area = share.mul_(shape[1] * shape[2])
        sides = torch.stack([(area / ratio).sqrt_().round_(), (area * ratio).sqrt_().round_()])
        fits = ((sides > 0) & (sides <= full[:, None, None])).all(0)
        chosen = fits.to(torch.uint8).argmax(1)  # the first of the greatest
        window = sides.gather(2, chosen.expand(2, n)[:, :, None])[:, :, 0]
        first = place.mul_(full[:, None] - window + 1).floor_()
        fallback = torch.tensor(self._central(shape), dtype=torch.float64)
        none = ~fits.any(1)
        window = torch.where(none, fallback[:, None], window)
        first = torch.where(none, ((full - fallback) / 2).floor()[:, None], first)
        top, left, height, width = torch.cat([first, window]).to(torch.int32)
        return {"top": top, "left": left, "height": height, "width": width}

    def _central(self, shape: Sequence[int]) -> tuple[int, int]:
        """The largest window of an allowed aspect."""
        _, height, width = shape
        if width / height < 1 / self.aspect:
            return round(width * self.aspect), width
        if width / height > self.aspect:
            return height, round(height * self.aspect)
        return height, width

    def repaint(self, x: Tensor, params: Params) -> Tensor:
        """The window, interpolated."""
        sizes = (x.shape[2:], self.shape(x.shape[1:])[1:])
        begin = params["top"], params["left"]
        length = params["height"], params["width"]
        rows, columns = (
            resampling.Axis(first, extent / result, first, first + extent, (source, result))
            for first, extent, source, result in zip(begin, length, *sizes, strict=True)
        )
        return resampling.resample(x, rows, columns, self.interpolation)


def augment(
    *,
    smallest: float = 0.08,
    largest: float = 1.0,
    aspect: float = 1.3333333333333333,
    size: int | None = None,
    interpolation: Literal["bilinear", "bicubic"] = "bilinear",
) -> Augmentation:
    """A resized crop.

    Args:
        smallest: least area of the window, as a share of the image.
        largest: greatest area of the window, as a share of the image.
        aspect: greatest ratio of the window's sides, either way.
        size: side of the square result in pixels; left out, the size of the data.
        interpolation: between pixels, with antialiasing.
    """
    if smallest > largest:
        raise DataError(f"augment: resized_crop: smallest {smallest:g} is above largest {largest:g}")
    return ResizedCrop(smallest, largest, aspect, size, interpolation)
