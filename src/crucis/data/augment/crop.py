"""Random crop: shift the image by up to `padding` pixels each way; what comes in from outside is black.

The same distribution as padding with zeros and cropping at a uniform place, drawn for each sample on its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..augmenting import Augmentation, Geometry, Params, inside

REVISION = 1
RANDOM = True
LIMITS = {"padding": "[0, 1024]"}


@dataclass(frozen=True)
class Crop(Geometry):
    """See the module."""

    padding: int

    def draw(self, n: int, shape: Sequence[int], generator: torch.Generator) -> dict[str, Tensor]:  # noqa: ARG002
        """`down`, `right`: the row and column of the padded image that come first, less the padding."""
        shift = torch.randint(-self.padding, self.padding + 1, (2, n), generator=generator, dtype=torch.int32)
        return {"down": shift[0], "right": shift[1]}

    def source(self, rows: Tensor, columns: Tensor, shape: Sequence[int], params: Params) -> tuple[Tensor, Tensor]:
        """Shifted coordinates."""
        rows, columns = rows + params["down"][:, None], columns + params["right"][:, None]
        return inside(rows, shape[1]), inside(columns, shape[2])


def augment(*, padding: int = 4) -> Augmentation:
    """A crop.

    Args:
        padding: greatest shift in pixels, in each direction.
    """
    return Crop(padding)
