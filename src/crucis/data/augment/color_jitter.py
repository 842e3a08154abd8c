"""Colour jitter: brightness, contrast, saturation and hue changed by random factors, in an order drawn per sample.

A factor is uniform in [max(0, 1 - s), 1 + s] for the strength s of brightness, contrast and saturation, the turn of the
hue uniform in [-s, s] of a circle; all four orders and factors as in torchvision's `ColorJitter`, each result as from
Pillow's pictures, level for level. A strength of 0 leaves its part out.

Published forms: (0.4, 0.4, 0.4, 0) of fb.resnet.torch; 0.8 s, 0.8 s, 0.8 s, 0.2 s with probability 0.8 for strength s
of SimCLR (T. Chen et al., 2020, arXiv:2002.05709); (0.4, 0.4, 0.2, 0.1) with probability 0.8 of MoCo v3 and DINO.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .. import painting
from ..augmenting import Augmentation
from ..painted import Operation, Painted, between, chance

REVISION = 1
RANDOM = True
LIMITS = {
    "brightness": "[0, 10]", "contrast": "[0, 10]", "saturation": "[0, 10]", "hue": "[0, 0.5]", "probability": "[0, 1]",
}  # fmt: skip


@dataclass(frozen=True)
class ColorJitter(Painted):
    """See the module."""

    brightness: float
    contrast: float
    saturation: float
    hue: float
    probability: float

    @property
    def operations(self) -> Sequence[Operation]:
        """In the order of the parameters."""
        return painting.brightness, painting.contrast, painting.saturation, painting.hue

    def draw(self, n: int, shape: Sequence[int], generator: torch.Generator) -> dict[str, Tensor]:  # noqa: ARG002
        """A permutation of the four, their factors, and whether the sample is meant at all."""
        strengths = (self.brightness, self.contrast, self.saturation)
        factors = [between(max(0.0, 1 - s), 1 + s, n, generator) for s in strengths]
        factors.append(between(-self.hue, self.hue, n, generator))
        order = torch.rand(n, 4, generator=generator).argsort(1)
        used = torch.tensor([s > 0 for s in (*strengths, self.hue)])
        meant = chance(n, self.probability, generator)[:, None] & used[order]
        argument = torch.stack(factors, 1).gather(1, order)
        return {"operation": ((order + 1) * meant).to(torch.uint8), "argument": argument}


def augment(
    *,
    brightness: float = 0.4,
    contrast: float = 0.4,
    saturation: float = 0.4,
    hue: float = 0.0,
    probability: float = 1.0,
) -> Augmentation:
    """A colour jitter.

    Args:
        brightness: strength: the factor lies within 1 - strength and 1 + strength.
        contrast: strength, as for brightness; 0 is the mean grey level.
        saturation: strength, as for brightness; 0 is a grey picture.
        hue: greatest turn either way, as a share of the circle of hues.
        probability: share of samples that are changed, 0 to 1.
    """
    return ColorJitter(brightness, contrast, saturation, hue, probability)
