"""What mixes have in common: weights, boxes, and what one draw for a whole batch means.

Parameters are drawn per example also where a batch has one of its own; then that of its first example holds for all.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from .dataset import DataError
from .painted import chance

__all__ = ["beta", "boxes", "chance", "first", "paste", "paste_first"]


def beta(alpha: float, n: int, generator: torch.Generator) -> Tensor:
    """Numbers from Beta(alpha, alpha), float32 (n,)."""
    # torch draws no beta variate from a given generator, numpy does.
    seed = int(torch.randint(1 << 62, (1,), generator=generator))
    weight = np.random.Generator(np.random.PCG64(seed)).beta(alpha, alpha, n)
    return torch.from_numpy(weight.astype(np.float32))


def first(value: Tensor) -> Tensor:
    """The row of the first example, for all."""
    return value[:1].expand_as(value)


def boxes(weight: Tensor, shape: Sequence[int], name: str, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Boxes of the area 1 - `weight` of images of `shape`, with uniform centres and cut off at the border.

    Returns:
        top, bottom, left, right int32 (n, 4); the exact share of the image that is left, float32 (n,).

    Raises:
        DataError: vectors.
    """
    if len(shape) != 3:
        raise DataError(f"augment: {name} needs images, the data gives vectors")
    ratio = (1 - weight.double()).sqrt_()
    place = torch.rand(2, len(weight), generator=generator, dtype=torch.float64)
    sides = []
    for axis, length in enumerate(shape[1:]):
        centre, extent = (place[axis] * length).long(), (ratio * length).long()
        sides += [centre - extent // 2, centre + (extent + 1) // 2]
        for side in sides[-2:]:
            side.clamp_(0, length)
    top, bottom, left, right = sides
    share = ((bottom - top) * (right - left)).double() / (shape[1] * shape[2])
    return torch.stack(sides, 1).to(torch.int32), (1 - share).float()


def paste(plain: Tensor, other: Tensor, own: Tensor | None, box: Tensor, shape: Sequence[int]) -> None:
    """Blend (B, H, W*C) in place: `own` (B,) of each example everywhere but in its box (B, 4), where it is `other`."""
    channels, height, width = shape
    down = torch.arange(height, dtype=torch.int32, device=box.device)
    right = torch.arange(width, dtype=torch.int32, device=box.device).repeat_interleave(channels)
    rows = ((down >= box[:, 0:1]) & (down < box[:, 1:2])).float()
    columns = ((right >= box[:, 2:3]) & (right < box[:, 3:4])).float()
    keep = torch.addcmul(torch.ones_like(plain), rows[:, :, None], columns[:, None, :], value=-1.0)
    if own is not None:
        keep.mul_(own.view(-1, 1, 1))
    # Weights are 0 and 1 inside and outside of boxes, so that the sum is a choice, exactly.
    plain.mul_(keep).add_(other.mul_(keep.neg_().add_(1.0)))


def paste_first(plain: Tensor, other: Tensor, box: Tensor, shape: Sequence[int]) -> None:
    """Paste the box of the first example (B, 4), for all, from `other` in place; the same as `paste`."""
    if box.device.type != "cpu":  # where the box lies is not known without waiting for the device
        paste(plain, other, None, first(box), shape)
        return
    top, bottom, left, right = box[0].tolist()
    inner = slice(top, bottom), slice(left * shape[0], right * shape[0])
    plain[:, *inner] = other[:, *inner]
