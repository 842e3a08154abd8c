"""Batches for an objective: several augmented views of each example, and masks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from .. import streams
from ..data.augmenting import Drawn, Pipeline
from ..data.batches import Resident
from .feed import Batch, Feed
from .objectives import Objective, Seen
from .settings import Settings
from .views import Views


class Seeing(Feed):
    """A split as a sequence of (`Seen`, labels).

    Streams: those of `Views`, and `mask/EPOCH/BATCH` for the masks of a batch. `rows` are those that a rank among
    several wants of each batch; what is drawn does not depend on it.
    """

    def __init__(
        self, split: Resident, settings: Settings, names: tuple[int, str, int], objective: Objective,
        rows: slice = slice(None),
    ) -> None:  # fmt: skip
        self.split, self.size, self.names, self.objective = split, settings.batch, names, objective
        self.rows = rows
        self.pipelines = [Pipeline(list(steps)) for steps in objective.views] or [Pipeline([])]
        self.views = Views(split, self.pipelines, settings.batch, names, rows)
        self.pipeline, self.soft = self.pipelines[0], False
        self._epoch = -1
        self._batch: Batch | None = None

    def _open(self, epoch: int) -> Any:
        batch = self.views.epoch(epoch)

        def seen(i: int) -> tuple[Seen, Tensor]:
            views, y = batch(i)
            return Seen(views, tuple(mask[self.rows] for mask in self._masks(self.size, epoch, i))), y

        return seen

    def _masks(self, n: int, epoch: int | str, place: int) -> tuple[Tensor, ...]:
        source = streams.generator(*self.names, "mask", epoch, place)
        return tuple(mask.to(self.split.device) for mask in self.objective.masks(n, source))

    def fixed(self, name: str) -> Iterator[Seen]:
        """The split in order, in whole batches, with draws that are the same at every call: for a comparable loss."""
        split, size = self.split, min(self.size, self.split.n)
        drawn: list[Drawn] = [
            pipeline.draw(split.n, split.shape, streams.generator(*self.names, "views", name, view)).to(split.device)
            for view, pipeline in enumerate(self.pipelines)
        ]
        every = torch.arange(split.n, device=split.device)
        for place in range(split.n // size):
            part = slice(place * size, (place + 1) * size)
            yield Seen(
                tuple(split.gather(every[part], each[part])[0] for each in drawn), self._masks(size, name, place)
            )
