"""Random crop: shift the image by up to `padding` pixels each way; what comes in from outside is black or a reflection.

The same distribution as padding (with zeros, or by reflection without repeating the edge) and cropping at a uniform
place, drawn for each sample on its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from ..augmenting import OUTSIDE, Augmentation, Geometry, Params, inside

REVISION = 1
RANDOM = True
LIMITS = {"padding": "[0, 1024]"}


@dataclass(frozen=True)
class Crop(Geometry):
    """See the module."""

    padding: int
    fill: str = "black"

    def draw(self, n: int, shape: Sequence[int], generator: torch.Generator) -> dict[str, Tensor]:  # noqa: ARG002
        """`down`, `right`: the row and column of the padded image that come first, less the padding."""
        shift = torch.randint(-self.padding, self.padding + 1, (2, n), generator=generator, dtype=torch.int32)
        return {"down": shift[0], "right": shift[1]}

    def source(self, rows: Tensor, columns: Tensor, shape: Sequence[int], params: Params) -> tuple[Tensor, Tensor]:
        """Shifted coordinates."""
        rows, columns = rows + params["down"][:, None], columns + params["right"][:, None]
        if self.fill == "reflect":
            rows, columns = _reflected(rows, shape[1]), _reflected(columns, shape[2])
        return inside(rows, shape[1]), inside(columns, shape[2])


def _reflected(values: Tensor, size: int) -> Tensor:
    """Coordinates mirrored at the first and last pixel; what another step put outside stays there."""
    mirrored = torch.where(values < 0, -values, torch.where(values >= size, 2 * (size - 1) - values, values))
    return torch.where(values < OUTSIDE // 2, values, mirrored)


def augment(*, padding: int = 4, fill: Literal["black", "reflect"] = "black") -> Augmentation:
    """A crop.

    Args:
        padding: greatest shift in pixels, in each direction.
        fill: what comes in from outside: black, or the image mirrored at its edge (as far as one image size).
    """
    return Crop(padding, fill)
