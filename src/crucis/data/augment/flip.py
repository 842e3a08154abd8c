"""Random horizontal flip, drawn for each sample on its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..augmenting import Augmentation, Geometry, Params

REVISION = 1
RANDOM = True
LIMITS = {"probability": "[0, 1]"}


@dataclass(frozen=True)
class Flip(Geometry):
    """See the module."""

    probability: float

    def draw(self, n: int, shape: Sequence[int], generator: torch.Generator) -> dict[str, Tensor]:  # noqa: ARG002
        """`mirrored`: whether the sample is flipped."""
        return {"mirrored": torch.rand(n, generator=generator) < self.probability}

    def source(self, rows: Tensor, columns: Tensor, shape: Sequence[int], params: Params) -> tuple[Tensor, Tensor]:
        """Columns counted from the other side."""
        return rows, torch.where(params["mirrored"][:, None], shape[2] - 1 - columns, columns)


def augment(*, probability: float = 0.5) -> Augmentation:
    """A flip.

    Args:
        probability: share of samples that are mirrored, 0 to 1.
    """
    return Flip(probability)
