"""How batched augmentation composes: parameters per sample for a whole epoch, applied as index arithmetic.

Three kinds, in this order: *geometry* says from which source row and column each pixel comes, so any number of them is
one gather; a *mask* blanks pixels of the normalised image; a *mix* blends the examples of a batch and their labels.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .dataset import DataError

#: A coordinate that lies outside every image, and stays outside whatever a later step adds to it.
OUTSIDE = -(1 << 20)

Params = Mapping[str, Tensor]


class Augmentation(ABC):
    """What `augment(...)` of a leaf returns. `draw` is called once per epoch, everything else once per batch."""

    kind = ""

    @abstractmethod
    def draw(self, n: int, shape: Sequence[int], generator: torch.Generator) -> dict[str, Tensor]:
        """Parameters of `n` samples of shape (C, H, W) or (D,); each tensor has n rows, on the CPU."""


class Geometry(Augmentation):
    """Moves pixels."""

    kind = "geometry"

    @abstractmethod
    def source(self, rows: Tensor, columns: Tensor, shape: Sequence[int], params: Params) -> tuple[Tensor, Tensor]:
        """Where the pixels at `rows` (B, H) and `columns` (B, W) of the result come from; `OUTSIDE` if from nowhere."""


class Mask(Augmentation):
    """Blanks pixels: sets them to 0 after normalisation, which is the mean colour."""

    kind = "mask"

    @abstractmethod
    def blank(self, shape: Sequence[int], params: Params) -> tuple[Tensor, Tensor]:
        """Boolean rows (B, H) and columns (B, W): a pixel is blank where both are true."""


class Mix(Augmentation):
    """Blends examples of one batch."""

    kind = "mix"

    @abstractmethod
    def partners(self, params: Params) -> tuple[Tensor, Tensor]:
        """For each example the place of its partner in the batch (B,) int64, and its own weight (B,) float32."""


_ORDER = ("geometry", "mask", "mix")


@dataclass(frozen=True)
class Drawn:
    """Parameters of a run of samples, ready for `Resident.gather`; a slice is a batch."""

    steps: tuple[Augmentation, ...]
    params: tuple[dict[str, Tensor], ...]

    def __getitem__(self, part: slice) -> Drawn:
        return Drawn(self.steps, tuple({name: value[part] for name, value in each.items()} for each in self.params))

    def to(self, device: str | torch.device) -> Drawn:
        """The same on a device; once per epoch."""
        if torch.device(device).type == "cpu":
            return self
        moved = ({name: value.to(device) for name, value in each.items()} for each in self.params)
        return Drawn(self.steps, tuple(moved))

    def of(self, kind: str) -> list[tuple[Augmentation, Params]]:
        """The steps of one kind with their parameters, in order."""
        return [(step, params) for step, params in zip(self.steps, self.params, strict=True) if step.kind == kind]


class Pipeline:
    """Augmentations in the order in which they act.

    Raises:
        DataError: a mask before a geometry, or a mix before either; more than one mix.
    """

    def __init__(self, steps: Sequence[Augmentation]) -> None:
        places = [_ORDER.index(step.kind) for step in steps]
        if places != sorted(places) or places.count(2) > 1:
            written = ", ".join(type(step).__name__.lower() for step in steps)
            raise DataError(f"augment: crop and flip come first, then cutout, then one mixup; got {written}")
        self.steps = tuple(steps)

    def __bool__(self) -> bool:
        return bool(self.steps)

    def draw(self, n: int, shape: Sequence[int], generator: torch.Generator) -> Drawn:
        """Parameters of `n` samples, from one generator in the order of the steps.

        Raises:
            DataError: a step that needs images on vectors.
        """
        for step in self.steps:
            if step.kind != "mix" and len(shape) != 3:
                raise DataError(f"augment: {type(step).__name__.lower()} needs images, the data gives vectors")
        return Drawn(self.steps, tuple(step.draw(n, shape, generator) for step in self.steps))


def inside(values: Tensor, size: int) -> Tensor:
    """The values that lie in 0..size-1, `OUTSIDE` in place of the others."""
    return torch.where((values >= 0) & (values < size), values, OUTSIDE)
