"""How batched augmentation composes: parameters per sample for a whole epoch, applied to a batch at once.

Kinds, in the order in which they act. A *geometry* says from which source row and column each pixel comes, so that any
number of them is one gather; a *picture* makes new pixels of old ones (resampling, colours), and both may follow each
other in any order, on whole levels 0..255. A *light* adds a colour to a whole image. After normalisation, a *mask*
overwrites rectangles; a *mix* blends the examples of a batch and their labels.

What an example becomes depends on its own row of the parameters alone, never on its batch, except for a mix.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from .dataset import DataError

#: A coordinate that lies outside every image, and stays outside whatever a later step adds to it.
OUTSIDE = -(1 << 20)

#: Values that a piece of a batch has at most.
PIECE = 3 << 15

Params = Mapping[str, Tensor]
Shape = Sequence[int]


class Augmentation(ABC):
    """What `augment(...)` of a leaf returns. `draw` is called once per epoch, everything else once per batch.

    Attributes:
        kind: one of `geometry`, `picture`, `light`, `mask`, `mix`.
        host: parameters that stay in the host's memory, because they decide which operation a sample gets.
    """

    kind = ""
    host: ClassVar[frozenset[str]] = frozenset()

    @abstractmethod
    def draw(self, n: int, shape: Sequence[int], generator: torch.Generator) -> dict[str, Tensor]:
        """Parameters of `n` samples of shape (C, H, W) or (D,); each tensor has n rows, on the CPU."""

    def shape(self, shape: Shape) -> tuple[int, ...]:
        """The shape of a sample after this step."""
        return tuple(shape)


class Geometry(Augmentation):
    """Moves pixels."""

    kind = "geometry"

    @abstractmethod
    def source(self, rows: Tensor, columns: Tensor, shape: Sequence[int], params: Params) -> tuple[Tensor, Tensor]:
        """Where the pixels at `rows` (B, H) and `columns` (B, W) of the result come from; `OUTSIDE` if from nowhere."""


class Picture(Augmentation):
    """Makes new pixels of old ones."""

    kind = "picture"

    @abstractmethod
    def repaint(self, x: Tensor, params: Params) -> Tensor:
        """The batch after this step: uint8 (B, C, H, W), contiguous, to uint8 (B, C, H', W'), contiguous.

        `x` belongs to the step, which may write into it and return it.
        """


class Light(Augmentation):
    """Adds one colour to all pixels of an image, without rounding and without clipping."""

    kind = "light"

    @abstractmethod
    def tint(self, params: Params) -> Tensor:
        """The colour of each sample on the scale where white is 1: float32 (B, C)."""


class Cover(Augmentation):
    """Overwrites pixels of the normalised image."""

    kind = "mask"

    @abstractmethod
    def cover(self, rows: Tensor, shape: Shape, params: Params) -> None:
        """Overwrite in place; `rows` (B, H, W*C) is float32 in memory order, `shape` (C, H, W)."""


class Mask(Cover):
    """Blanks one rectangle: sets its pixels to 0, which is the mean colour."""

    @abstractmethod
    def blank(self, shape: Sequence[int], params: Params) -> tuple[Tensor, Tensor]:
        """Boolean rows (B, H) and columns (B, W): a pixel is blank where both are true."""

    def cover(self, rows: Tensor, shape: Shape, params: Params) -> None:
        """Blank pixels become 0."""
        down, right = self.blank(shape, params)
        right = right.repeat_interleave(shape[0], 1)
        rows.masked_fill_(down[:, :, None] & right[:, None, :], 0.0)


class Mix(Augmentation):
    """Blends examples of one batch."""

    kind = "mix"

    @abstractmethod
    def partners(self, params: Params) -> tuple[Tensor, Tensor]:
        """For each example the place of its partner in the batch (B,) int64, and the weight of its own label (B,)
        float32."""

    def blend(self, plain: Tensor, other: Tensor, weight: Tensor, shape: Shape, params: Params) -> None:  # noqa: ARG002
        """Blend a batch in place with `other`, the partners of its examples, which may be overwritten.

        Both are float32 in memory order, (B, H, W*C) or (B, D); `weight` and `params` are those of the batch.
        """
        own = weight.view(-1, *[1] * (plain.ndim - 1))
        plain.mul_(own).add_(other.mul_(1 - own))


_ORDER = {"geometry": 0, "picture": 0, "light": 1, "mask": 2, "mix": 3}


@dataclass(frozen=True)
class Drawn:
    """Parameters of a run of samples, ready for `Resident.gather`; a slice is a batch."""

    steps: tuple[Augmentation, ...]
    params: tuple[dict[str, Tensor], ...]

    def __getitem__(self, part: slice) -> Drawn:
        return Drawn(self.steps, tuple({name: value[part] for name, value in each.items()} for each in self.params))

    def to(self, device: str | torch.device) -> Drawn:
        """The same on a device, but for parameters of the host; once per epoch."""
        if torch.device(device).type == "cpu":
            return self
        moved = (
            {name: value if name in step.host else value.to(device) for name, value in each.items()}
            for step, each in zip(self.steps, self.params, strict=True)
        )
        return Drawn(self.steps, tuple(moved))

    def of(self, *kinds: str) -> list[tuple[Augmentation, Params]]:
        """The steps of some kinds with their parameters, in order."""
        return [(step, params) for step, params in zip(self.steps, self.params, strict=True) if step.kind in kinds]


class Pipeline:
    """Augmentations in the order in which they act.

    Attributes:
        steps: the augmentations.

    Raises:
        DataError: steps in an order in which they cannot act; more than one mix.
    """

    def __init__(self, steps: Sequence[Augmentation]) -> None:
        places = [_ORDER[step.kind] for step in steps]
        if places != sorted(places) or places.count(_ORDER["mix"]) > 1:
            written = ", ".join(map(called, steps))
            raise DataError(
                "augment: crop and flip come first, with all that acts on pixels (resized_crop, color_jitter, "
                "rand_augment ...); then pca_lighting; then cutout or random_erasing, which act after normalisation; "
                f"then one of mixup, cutmix and mix; got {written}"
            )
        self.steps = tuple(steps)

    def __bool__(self) -> bool:
        return bool(self.steps)

    def shape(self, shape: Shape) -> tuple[int, ...]:
        """The shape of a sample after all steps; of views of another size, for example."""
        for step in self.steps:
            shape = step.shape(shape)
        return tuple(shape)

    def draw(self, n: int, shape: Sequence[int], generator: torch.Generator) -> Drawn:
        """Parameters of `n` samples, from one generator in the order of the steps.

        Raises:
            DataError: a step that needs images on vectors.
        """
        drawn = []
        for step in self.steps:
            if step.kind != "mix" and len(shape) != 3:
                raise DataError(f"augment: {called(step)} needs images, the data gives vectors")
            drawn.append(step.draw(n, shape, generator))
            shape = step.shape(shape)
        return Drawn(self.steps, tuple(drawn))


def pieces(count: int, size: int, device: torch.device) -> list[slice]:
    """`count` pictures of `size` values each, in runs whose temporary values fit a processor's cache: on processors
    fresh memory costs several times the arithmetic. One run on other devices."""
    step = max(1, PIECE // size) if device.type == "cpu" else count
    return [slice(first, min(first + step, count)) for first in range(0, count, step)]


def called(step: Augmentation) -> str:
    """The name under which a step is written: of the file that defines it."""
    return type(step).__module__.rpartition(".")[2]


def inside(values: Tensor, size: int) -> Tensor:
    """The values that lie in 0..size-1, `OUTSIDE` in place of the others."""
    return torch.where((values >= 0) & (values < size), values, OUTSIDE)
