"""RandAugment: some operations, drawn anew for each sample, with one magnitude for all of them.

Three published forms. `increasing`: timm's `rand-mM-mstdD-inc1` (DeiT, Swin, ConvNeXt: M = 9, D = 0.5): two of fifteen
operations, with replacement, each applied with probability 0.5 at a normal magnitude around M, cut to 0..10.
`original`: timm's without `inc1`, TensorFlow's ranges. `torchvision`: two of fourteen, one of which does nothing, each
at M of 30.

Levels are Pillow's, see `crucis.data.painting` and `crucis.data.warping` (what comes in from outside has one level in
all channels, where timm takes the mean colour of the data set; timm without an interpolation draws between bilinear
and bicubic, here it is one).

Source: E. Cubuk et al., RandAugment: Practical automated data augmentation with a reduced search space, 2020,
arXiv:1909.13719; R. Wightman, PyTorch Image Models, doi:10.5281/zenodo.4414861, `timm/data/auto_augment.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from .. import policies
from ..augmenting import Augmentation
from ..dataset import DataError
from ..painted import chance

REVISION = 1
RANDOM = True
LIMITS = {
    "layers": "[1, 20]", "magnitude": "[0, 30]", "deviation": "[0, 100]", "probability": "[0, 1]", "fill": "[0, 255]",
}  # fmt: skip


@dataclass(frozen=True)
class RandAugment(policies.Policy):
    """See the module."""

    ranges: str
    layers: int
    magnitude: float
    deviation: float
    probability: float

    def draw(self, n: int, shape: Sequence[int], generator: torch.Generator) -> dict[str, Tensor]:
        """`operation` and `argument`, (n, layers)."""
        scales = policies.SCALES[self.ranges]
        numbers = torch.tensor([policies.NUMBER[name] for name in scales])
        form = (n, self.layers)
        chosen = numbers[torch.randint(len(numbers), form, generator=generator)]
        meant = chance(n * self.layers, self.probability, generator).view(form)
        top = 30.0 if self.ranges == "torchvision" else 10.0
        noise = torch.randn(form, generator=generator, dtype=torch.float64).mul_(self.deviation)
        share = noise.add_(self.magnitude).clamp_(0.0, top).div_(top)
        sign = policies.signs(n, self.layers, generator)
        argument = policies.arguments(chosen, share, sign, scales, shape)
        return {"operation": (chosen * meant).to(torch.uint8), "argument": argument}


def augment(
    *,
    ranges: Literal["increasing", "original", "torchvision"] = "increasing",
    layers: int = 2,
    magnitude: float = 9.0,
    deviation: float | None = None,
    probability: float | None = None,
    interpolation: Literal["nearest", "bilinear", "bicubic"] | None = None,
    fill: int | None = None,
) -> Augmentation:
    """A RandAugment.

    Args:
        ranges: whose operations and ranges; timm's `increasing` or `original`, or `torchvision`.
        layers: operations per sample, one after the other.
        magnitude: of 10, with torchvision's ranges of 30.
        deviation: standard deviation of the magnitude; left out, 0.5, with torchvision's ranges 0.
        probability: with which each drawn operation is applied; left out, 0.5, with torchvision's ranges 1.
        interpolation: of shears, shifts and rotations; left out, bicubic, with torchvision's ranges nearest.
        fill: level of what comes in from outside; left out, 128, with torchvision's ranges 0.
    """
    plain = ranges == "torchvision"
    if not plain and magnitude > 10:
        raise DataError(f"augment: rand_augment: magnitude {magnitude:g} is above 10, the greatest of these ranges")
    return RandAugment(
        interpolation=interpolation or ("nearest" if plain else "bicubic"),
        fill=(0 if plain else 128) if fill is None else fill,
        ranges=ranges, layers=layers, magnitude=magnitude,
        deviation=(0.0 if plain else 0.5) if deviation is None else deviation,
        probability=(1.0 if plain else 0.5) if probability is None else probability,
    )  # fmt: skip
