"""AutoAugment: for each sample one of 25 pairs of operations that a search found, with their chances and magnitudes.

Policies: `imagenet` and `cifar10` of the paper's appendix with magnitudes 0 to 9 of nine steps, as torchvision has
them; `v0`, which TensorFlow's EfficientNet was trained with, with magnitudes of ten steps and timm's `original` ranges.
Levels are Pillow's, see `crucis.data.painting` and `crucis.data.warping`.

Source: E. Cubuk et al., AutoAugment: Learning Augmentation Strategies from Data, 2019, arXiv:1805.09501,
doi:10.1109/CVPR.2019.00020.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from .. import policies
from ..augmenting import Augmentation
from ._auto_augment_policies import POLICIES

REVISION = 1
RANDOM = True
LIMITS = {"fill": "[0, 255]"}


@dataclass(frozen=True)
class AutoAugment(policies.Policy):
    """See the module."""

    policy: str

    def draw(self, n: int, shape: Sequence[int], generator: torch.Generator) -> dict[str, Tensor]:
        """`operation` and `argument`, (n, 2)."""
        scales = policies.SCALES["original" if self.policy == "v0" else "torchvision"]
        scales = {**scales, "invert": policies.none}
        steps = 10 if self.policy == "v0" else 9
        pairs = [[part.split() for part in pair.split(", ")] for pair in POLICIES[self.policy]]
        names = torch.tensor([[policies.NUMBER[part[0]] for part in pair] for pair in pairs])
        chances = torch.tensor([[float(part[1]) for part in pair] for pair in pairs], dtype=torch.float64)
        levels = torch.tensor([[float(part[2]) for part in pair] for pair in pairs], dtype=torch.float64)
        pair = torch.randint(len(pairs), (n,), generator=generator)
        meant = torch.rand(n, 2, generator=generator, dtype=torch.float64) < chances[pair]
        chosen = names[pair]
        sign = policies.signs(n, 2, generator)
        argument = policies.arguments(chosen, levels[pair] / steps, sign, scales, shape)
        return {"operation": (chosen * meant).to(torch.uint8), "argument": argument}


def augment(
    *,
    policy: Literal["imagenet", "cifar10", "v0"] = "imagenet",
    interpolation: Literal["nearest", "bilinear", "bicubic"] = "nearest",
    fill: int = 128,
) -> Augmentation:
    """An AutoAugment.

    Args:
        policy: which pairs.
        interpolation: of shears, shifts and rotations.
        fill: level of what comes in from outside.
    """
    return AutoAugment(interpolation, fill, policy)
