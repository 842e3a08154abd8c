"""Batches for an objective: several augmented views of each example, and masks."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from .. import streams
from ..data.augmenting import Drawn, Pipeline
from ..data.batches import Resident
from .feed import Batch, Feed
from .objectives import Objective, Seen
from .settings import Settings


class Views(Feed):
    """A split as a sequence of (`Seen`, labels).

    Streams beside the feed's `order/EPOCH`: `views/EPOCH/V` for the augmentations of the V-th view, `mask/EPOCH/BATCH`
    for the masks of a batch.
    """

    def __init__(self, split: Resident, settings: Settings, names: tuple[int, str, int], objective: Objective) -> None:
        super().__init__(split, settings, names)
        self.objective = objective
        self.pipelines = [Pipeline(list(steps)) for steps in objective.views] or [Pipeline([])]

    def _open(self, epoch: int) -> Batch:
        pieces = self.order(epoch).split(self.size)
        drawn = self._drawn(epoch)
        size = self.size
        return lambda i: self._seen(pieces[i], drawn, slice(i * size, (i + 1) * size), epoch, i)  # type: ignore[return-value]

    def _drawn(self, epoch: int | str) -> list[Drawn | None]:
        """The parameters of each view's augmentations for all examples."""
        out: list[Drawn | None] = []
        for place, pipeline in enumerate(self.pipelines):
            source = streams.generator(*self.names, "views", epoch, place)
            whole = pipeline.draw(self.split.n, self.split.shape, source) if pipeline else None
            out.append(None if whole is None else whole.to(self.split.device))
        return out

    def _seen(
        self, index: Tensor, drawn: list[Drawn | None], part: slice, epoch: int | str, place: int
    ) -> tuple[Seen, Tensor]:
        views = tuple(self.split.gather(index, None if each is None else each[part])[0] for each in drawn)
        source = streams.generator(*self.names, "mask", epoch, place)
        masks = tuple(mask.to(self.split.device) for mask in self.objective.masks(len(index), source))
        return Seen(views, masks), self.split.y.index_select(0, index)

    def fixed(self, name: str) -> Iterator[Seen]:
        """The split in order, in whole batches, with draws that are the same at every call: for a comparable loss."""
        size = min(self.size, self.split.n)
        drawn = self._drawn(name)
        every = torch.arange(self.split.n, device=self.split.device)
        for place in range(self.split.n // size):
            part = slice(place * size, (place + 1) * size)
            yield self._seen(every[part], drawn, part, name, place)[0]
