"""Random solarisation: levels from a threshold on are inverted, as `ImageOps.solarize`.

Used by BYOL (J.-B. Grill et al., 2020, arXiv:2006.07733), MoCo v3 and DINO with threshold 128 and probability 0.2 in
one of their views.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .. import painting
from ..augmenting import Augmentation
from ..painted import Operation, Painted, chance

REVISION = 1
RANDOM = True
LIMITS = {"probability": "[0, 1]", "threshold": "[0, 256]"}


@dataclass(frozen=True)
class Solarize(Painted):
    """See the module."""

    probability: float
    threshold: int

    @property
    def operations(self) -> Sequence[Operation]:
        """The one."""
        return (painting.solarize,)

    def draw(self, n: int, shape: Sequence[int], generator: torch.Generator) -> dict[str, Tensor]:  # noqa: ARG002
        """Whether the sample is solarised."""
        meant = chance(n, self.probability, generator)[:, None]
        return {"operation": meant.to(torch.uint8), "argument": torch.full((n, 1), float(self.threshold))}


def augment(*, probability: float = 0.2, threshold: int = 128) -> Augmentation:
    """A solarisation.

    Args:
        probability: share of samples that are solarised, 0 to 1.
        threshold: the least level that is inverted; 256 inverts none.
    """
    return Solarize(probability, threshold)
