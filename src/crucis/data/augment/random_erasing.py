"""Random erasing: rectangles of random area and aspect are overwritten after normalisation, as timm does it.

With `probability`, 1 to `count` rectangles: each of an area uniform in [smallest, largest] of the image (divided by
their number), with sides in a ratio log-uniform in [aspect, 1/aspect], the first of ten draws that is smaller than the
image on both sides, at a uniform place; none if no draw fits. Filled with 0 (the mean colour), one normal colour per
rectangle, or normal noise per pixel. Noise comes from a counter: it depends on the sample and the pixel alone.

Source: Z. Zhong et al., Random Erasing Data Augmentation, 2020, arXiv:1708.04896, doi:10.1609/aaai.v34i07.7000;
R. Wightman, PyTorch Image Models, doi:10.5281/zenodo.4414861, `timm/data/random_erasing.py`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import torch
from torch import Tensor

from ..augmenting import Augmentation, Cover, Params, Shape
from ..dataset import DataError
from ..painted import chance

REVISION = 1
RANDOM = True
LIMITS = {
    "probability": "[0, 1]", "smallest": "(0, 1]", "largest": "(0, 1]", "aspect": "(0, 1]", "count": "[1, 100]",
}  # fmt: skip
TRIES = 10


@dataclass(frozen=True)
class RandomErasing(Cover):
    """See the module."""

    probability: float
    mode: str
    smallest: float
    largest: float
    aspect: float
    count: int
    grouped = True
    host: ClassVar[frozenset[str]] = frozenset({"box"})

    def draw(self, n: int, shape: Sequence[int], generator: torch.Generator) -> dict[str, Tensor]:
        """`box`: top, left, height, width of each rectangle, int32 (n, count, 4), 0 high where there is none; `key` of
        the noise int64 (n,); with colours `colour` float32 (n, count, C)."""
        meant = chance(n, self.probability, generator)
        number = torch.randint(1, self.count + 1, (n,), generator=generator)
        form = (n, self.count, TRIES)
        area = torch.empty(form, dtype=torch.float64).uniform_(self.smallest, self.largest, generator=generator)
        area.mul_(shape[1] * shape[2]).div_(number[:, None, None])
        bound = -math.log(self.aspect)
        ratio = torch.empty(form, dtype=torch.float64).uniform_(-bound, bound, generator=generator).exp_()
        place = torch.rand(n, self.count, 2, generator=generator, dtype=torch.float64)
        key = torch.randint(1 << 62, (n,), generator=generator)
        full = torch.tensor(shape[1:], dtype=torch.float64)
        sides = torch.stack([(area * ratio).sqrt_().round_(), (area / ratio).sqrt_().round_()], 3)
        fits = (sides < full).all(3)
        chosen = fits.to(torch.uint8).argmax(2)[:, :, None, None].expand(-1, -1, 1, 2)
        size = sides.gather(2, chosen)[:, :, 0]
        some = fits.any(2) & meant[:, None] & (torch.arange(self.count) < number[:, None])
        size.mul_(some[:, :, None])
        first = place.mul_(full - size + 1).floor_()
        drawn = {"box": torch.cat([first, size], 2).to(torch.int32), "key": key}
        if self.mode == "colour":
            drawn["colour"] = torch.randn(n, self.count, shape[0], generator=generator)
        return drawn

    def cover(self, rows: Tensor, shape: Shape, params: Params) -> None:
        """Rectangle by rectangle, only where there is one."""
        channels, height, width = shape
        pixels = rows.view(-1, channels)
        for number in range(self.count):
            box = params["box"][:, number].numpy()
            found = np.flatnonzero(box[:, 2] * box[:, 3])
            if len(found) == 0:
                continue
            down, right = (
                (np.arange(length) >= first[:, None]) & (np.arange(length) < (first + size)[:, None])
                for length, first, size in ((height, *box[found].T[[0, 2]]), (width, *box[found].T[[1, 3]]))
            )
            which, inner = np.nonzero((down[:, :, None] & right[:, None, :]).reshape(len(found), -1))
            sample = torch.from_numpy(found[which]).to(rows.device)
            inside = torch.from_numpy(inner).to(rows.device)
            place = sample * (height * width) + inside
            if self.mode == "mean":
                pixels.index_fill_(0, place, 0.0)
            elif self.mode == "colour":
                pixels.index_copy_(0, place, params["colour"][:, number].index_select(0, sample))
            else:
                begin = params["key"].index_select(0, sample) + (number * height * width + inside) * channels
                pixels.index_copy_(0, place, normal(begin[:, None] + torch.arange(channels, device=rows.device)))


def scrambled(counter: Tensor) -> Tensor:
    """Bits that look random, int64, each a function of its int64 counter alone: the output of SplitMix64.

    Source: G. Steele, D. Lea and C. Flood, Fast splittable pseudorandom number generators, 2014,
    doi:10.1145/2660193.2660195.
    """
    z = counter * -0x61C8864680B583EB
    for shift, factor in ((30, -0x40A7B892E31B1A47), (27, -0x6B2FB644ECCEEE15)):
        z = (z ^ ((z >> shift) & ((1 << (64 - shift)) - 1))) * factor
    return z ^ ((z >> 31) & ((1 << 33) - 1))


def normal(counter: Tensor) -> Tensor:
    """Standard normal numbers, float32, by Box and Muller from the two halves of the scrambled counter."""
    z = scrambled(counter)
    radius = ((z >> 32) & 0xFFFFFFFF).float().add_(0.5).mul_(2.0**-32).log_().mul_(-2.0).clamp_(min=0.0).sqrt_()
    return (z & 0xFFFFFFFF).float().mul_(2 * math.pi * 2.0**-32).cos_().mul_(radius)


def augment(
    *,
    probability: float = 0.25,
    mode: Literal["mean", "colour", "pixel"] = "mean",
    smallest: float = 0.02,
    largest: float = 0.3333333333333333,
    aspect: float = 0.3,
    count: int = 1,
) -> Augmentation:
    """Random erasing.

    Args:
        probability: share of samples with erased rectangles, 0 to 1.
        mode: what stands in a rectangle: 0 (the mean colour), one normal colour, or normal noise (timm's const, rand,
            pixel).
        smallest: least area, as a share of the image.
        largest: greatest area, as a share of the image.
        aspect: least ratio of the sides; the greatest is its inverse.
        count: greatest number of rectangles; from 1 on, all numbers are as frequent.
    """
    if smallest > largest:
        raise DataError(f"augment: random_erasing: smallest {smallest:g} is above largest {largest:g}")
    return RandomErasing(probability, mode, smallest, largest, aspect, count)
