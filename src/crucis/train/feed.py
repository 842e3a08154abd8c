"""Batches of an epoch: order and augmentation re-derived from (seed, depth, epoch), so that none is saved."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from .. import streams
from ..data.augmenting import Drawn, Pipeline
from ..data.batches import Resident
from ..data.blocks import Batch, batches, of_each
from .settings import Settings

#: A split whose normalised form takes at most this many bytes is normalised once, and gathered once per epoch.
SMALL = 1 << 26


class Feed:
    """The training split as a sequence of batches.

    With `settings.repeats` R, an epoch's order is the first n / R examples of its permutation, each R times in a row
    (repeated augmentation: E. Hoffer et al., Augment your batch, 2020, arXiv:1901.09335; M. Berman et al., MultiGrain,
    2019, arXiv:1902.05509; as DeiT's sampler over all processes).

    `names` is seed, verb and depth, with which the name of every stream begins. Streams: `order/EPOCH` for the
    permutation, `augment/EPOCH` for the parameters of all augmentations. `rows` are those that a rank among several
    wants of each batch; what is drawn does not depend on it.
    """

    def __init__(
        self, split: Resident, settings: Settings, names: tuple[int, str, int], rows: slice = slice(None)
    ) -> None:
        self.split, self.size, self.names, self.rows = split, settings.batch, names, rows
        self.repeats = settings.repeats
        self.pipeline = Pipeline([chosen.load("augment")(**chosen.params) for chosen in settings.augment])
        self.soft = any(step.kind == "mix" for step in self.pipeline.steps)
        self._rows = None if self.pipeline else normalised(split)
        self._epoch = -1
        self._batch: Batch | None = None

    def order(self, epoch: int) -> Tensor:
        """The examples of an epoch in order, int64 (n,) on the device: a permutation, or a part of it repeated."""
        source = streams.generator(*self.names, "order", epoch)
        order = torch.randperm(self.split.n, generator=source)
        if self.repeats > 1:
            order = order.repeat_interleave(self.repeats)[: self.split.n]
        return order.to(self.split.device)

    def epoch(self, epoch: int) -> Batch:
        """The function from a batch's place in the epoch to (x, y); draws once per epoch."""
        if self._batch is None or epoch != self._epoch:
            self._batch, self._epoch = self._open(epoch), epoch
        return self._batch

    def _open(self, epoch: int) -> Batch:
        order, size, rows = self.order(epoch), self.size, self.rows
        own = of_each(order, size, rows)
        share = len(range(size)[rows])
        if self._rows is not None:
            xs = as_seen(self._rows.index_select(0, own), self.split.shape).split(share)
            ys = self.split.y.index_select(0, own).split(share)
            return lambda i: (xs[i], ys[i])
        if not self.pipeline:
            pieces = own.split(share)
            return lambda i: self.split.gather(pieces[i])
        source = streams.generator(*self.names, "augment", epoch)
        drawn = self.pipeline.draw(self.split.n, self.split.shape, source).to(self.split.device)
        if share < size and self.soft:
            return self._mixed(order, drawn)
        return batches(self.split, own, drawn.over(lambda values: of_each(values, size, rows)), share)

    def _mixed(self, order: Tensor, drawn: Drawn) -> Batch:
        """Examples of a batch are blended with each other, so the batch is made whole and the rows taken from it."""
        whole, rows, like = batches(self.split, order, drawn, self.size), self.rows, _layout(self.split.shape)

        def batch(i: int) -> tuple[Tensor, Tensor]:
            x, y = whole(i)
            return x[rows].contiguous(memory_format=like), y[rows]

        return batch


def _layout(shape: tuple[int, ...]) -> torch.memory_format:
    return torch.channels_last if len(shape) == 3 else torch.contiguous_format


def normalised_bytes(split: Resident) -> int:
    """Bytes of all examples as float32."""
    return 4 * split.n * math.prod(split.shape)


def normalised(split: Resident) -> Tensor | None:
    """All examples as the network would see them, in memory order, float32 (N, ...); None if that is not small."""
    if normalised_bytes(split) > SMALL:
        return None
    x, _ = split.gather(torch.arange(split.n, device=split.device))
    return x.permute(0, 2, 3, 1).contiguous() if x.ndim == 4 else x


def as_seen(rows: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Rows in memory order as the network sees them: images as NCHW in channels-last memory."""
    return rows.permute(0, 3, 1, 2) if len(shape) == 3 else rows
