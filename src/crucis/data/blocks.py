"""Batches of an epoch of which several are augmented at once, where that is less work.

A step that groups pictures by operation, or looks up which pixels it touches, costs a fixed amount per group whatever
its size. So a block of consecutive batches is made whole, and its batches are slices of it; a mix acts on each slice.
Since an example depends on its own parameters alone, a batch is the same, bit for bit, alone and in a block.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from torch import Tensor

from .augmenting import Drawn
from .batches import Resident

Batch = Callable[[int], tuple[Tensor, Tensor]]

#: Bytes of float32 that a block has at most: beyond, processors lose in their caches what the groups win.
BLOCK = 12 << 20


def per_block(source: Resident, drawn: Drawn, size: int) -> int:
    """How many batches of `size` examples are made at once: 1 where no step is `grouped`, else what fits `BLOCK`."""
    if not any(step.grouped for step in drawn.steps):
        return 1
    shape, values = source.shape, math.prod(source.shape)
    for step in drawn.steps:
        shape = step.shape(shape)
        values = max(values, math.prod(shape))
    return max(1, BLOCK // (4 * size * values))


def batches(source: Resident, order: Tensor, drawn: Drawn, size: int) -> Batch:
    """The function from a batch's place to (x, y), as `Resident.gather` gives them.

    Args:
        source: the split.
        order: the examples of all batches, int64 (n,), on the device.
        drawn: their n parameters, on the device.
        size: examples of a batch.

    A batch is asked for as often as wanted, in any order; nobody may write into it. Held is one block.
    """
    many = per_block(source, drawn, size)
    pieces = order.split(size)
    if many == 1:
        return lambda i: source.gather(pieces[i], drawn[i * size : (i + 1) * size])
    held: dict[int, list[tuple[Tensor, Tensor]]] = {}

    def batch(i: int) -> tuple[Tensor, Tensor]:
        number, place = divmod(range(len(pieces))[i], many)
        if number not in held:
            held.clear()  # before the next is made, so that its memory is free
            part = slice(number * many * size, (number + 1) * many * size)
            held[number] = source.gather_all(order[part], drawn[part], size)
        return held[number][place]

    return batch


def of_each(values: Tensor, size: int, rows: slice) -> Tensor:
    """The values (n, ...) at these rows of each whole run of `size`; all of them if that is every row."""
    if rows == slice(None):
        return values
    whole = values[: len(values) // size * size]
    return whole.view(-1, size, *values.shape[1:])[:, rows].flatten(0, 1)
