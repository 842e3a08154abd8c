"""TrivialAugment (wide): one operation per sample, at a magnitude uniform on 31 steps; nothing to tune.

Fourteen operations, one of which does nothing, as torchvision's `TrivialAugmentWide`: shears to 0.99, shifts to 32
pixels, rotations to 135 degrees, colours changed by up to 0.99, 2 to 8 bits kept.

Source: S. Müller and F. Hutter, TrivialAugment: Tuning-free Yet State-of-the-Art Data Augmentation, 2021,
arXiv:2103.10158, doi:10.1109/ICCV48922.2021.00081.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from .. import policies
from ..augmenting import Augmentation

REVISION = 1
RANDOM = True
LIMITS = {"fill": "[0, 255]"}
STEPS = 30


@dataclass(frozen=True)
class TrivialAugment(policies.Policy):
    """See the module."""

    def draw(self, n: int, shape: Sequence[int], generator: torch.Generator) -> dict[str, Tensor]:
        """`operation` and `argument`, (n, 1)."""
        shift = policies.signed_whole(32.0)
        scales = policies.torchvision(0.99, (shift, shift), 135.0, 0.99, 6.0)
        numbers = torch.tensor([policies.NUMBER[name] for name in scales])
        chosen = numbers[torch.randint(len(numbers), (n, 1), generator=generator)]
        share = torch.randint(STEPS + 1, (n, 1), generator=generator).double().div_(STEPS)
        argument = policies.arguments(chosen, share, policies.signs(n, 1, generator), scales, shape)
        return {"operation": chosen.to(torch.uint8), "argument": argument}


def augment(*, interpolation: Literal["nearest", "bilinear", "bicubic"] = "nearest", fill: int = 0) -> Augmentation:
    """A TrivialAugment.

    Args:
        interpolation: of shears, shifts and rotations.
        fill: level of what comes in from outside.
    """
    return TrivialAugment(interpolation, fill)
