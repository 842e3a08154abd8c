"""Random grey: a picture keeps its brightness and loses its colour; all channels are equal, as `Image.convert("L")`."""

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
LIMITS = {"probability": "[0, 1]"}


@dataclass(frozen=True)
class Grayscale(Painted):
    """See the module."""

    probability: float

    @property
    def operations(self) -> Sequence[Operation]:
        """The one."""
        return (painting.grey,)

    def draw(self, n: int, shape: Sequence[int], generator: torch.Generator) -> dict[str, Tensor]:  # noqa: ARG002
        """Whether the sample becomes grey."""
        meant = chance(n, self.probability, generator)[:, None]
        return {"operation": meant.to(torch.uint8), "argument": torch.zeros(n, 1)}


def augment(*, probability: float = 0.2) -> Augmentation:
    """Grey pictures.

    Args:
        probability: share of samples that become grey, 0 to 1.
    """
    return Grayscale(probability)
