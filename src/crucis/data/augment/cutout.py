"""Cutout: one square per sample is set to the mean colour; its centre is uniform over the pixels, so it may hang over.

Source: T. DeVries and G. Taylor, Improved Regularization of Convolutional Neural Networks with Cutout, 2017,
arXiv:1708.04552.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..augmenting import Augmentation, Mask, Params

REVISION = 1
RANDOM = True
LIMITS = {"size": "[1, 1024]"}


@dataclass(frozen=True)
class Cutout(Mask):
    """See the module."""

    size: int

    def draw(self, n: int, shape: Sequence[int], generator: torch.Generator) -> dict[str, Tensor]:
        """`row`, `column`: the centre of the square."""
        row = torch.randint(0, shape[1], (n,), generator=generator, dtype=torch.int32)
        return {"row": row, "column": torch.randint(0, shape[2], (n,), generator=generator, dtype=torch.int32)}

    def blank(self, shape: Sequence[int], params: Params) -> tuple[Tensor, Tensor]:
        """Rows and columns from centre - size // 2 on, `size` of them."""
        out = []
        for centre, length in ((params["row"], shape[1]), (params["column"], shape[2])):
            first = centre[:, None] - self.size // 2
            place = torch.arange(length, dtype=torch.int32, device=centre.device)[None]
            out.append((place >= first) & (place < first + self.size))
        return out[0], out[1]


def augment(*, size: int = 8) -> Augmentation:
    """A cutout.

    Args:
        size: side of the square in pixels.
    """
    return Cutout(size)
