"""Several views of each example, for training that compares them: each view with its own pipeline and parameters.

Order and parameters are re-derived from (seed, depth, epoch), as in `feed`, so that none is saved.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from .. import streams
from ..data.augmenting import Pipeline
from ..data.batches import Resident
from ..data.blocks import batches, of_each
from ..data.dataset import DataError

Batch = Callable[[int], tuple[tuple[Tensor, ...], Tensor]]


class Views:
    """The training split as batches of views.

    Two views of each example are two pipelines (`[pipeline, pipeline]` if they are alike); two large and eight small
    ones are ten. View K of an epoch has the stream `views/EPOCH/K`, so that alike pipelines draw different parameters,
    and a view's parameters do not change when another is added. The order of examples has the stream `order/EPOCH`,
    that of a training without views.

    Args:
        split: the training split.
        pipelines: one per view. No mixes: a view keeps its label.
        size: examples per batch; the last batch of an epoch may be smaller.
        names: seed, verb and depth, with which the name of every stream begins.
        rows: those of each batch that are wanted; of the others nothing is made, and the last batch, if it is smaller,
            is left out unless all are.

    Attributes:
        shapes: (C, H, W) of each view.

    Raises:
        DataError: no view, or a mix in one.
    """

    def __init__(
        self, split: Resident, pipelines: Sequence[Pipeline], size: int, names: tuple[int, str, int],
        rows: slice = slice(None),
    ) -> None:  # fmt: skip
        if not pipelines:
            raise DataError("views: there is none; give one pipeline per view")
        if any(step.kind == "mix" for pipeline in pipelines for step in pipeline.steps):
            raise DataError("views: mixup, cutmix and mix blend labels, which views do not have; leave them out")
        self.split, self.pipelines, self.size, self.names = split, tuple(pipelines), size, names
        self.rows = rows
        self.shapes = tuple(pipeline.shape(split.shape) for pipeline in self.pipelines)
        self._epoch = -1
        self._batch: Batch | None = None

    def epoch(self, epoch: int) -> Batch:
        """The function from a batch's place in the epoch to (views, labels); draws once per epoch.

        A view is float32 (B, C, H, W) in channels-last memory, or (B, D); labels int64 (B,).
        """
        if self._batch is None or epoch != self._epoch:
            self._batch, self._epoch = self._open(epoch), epoch
        return self._batch

    def _open(self, epoch: int) -> Batch:
        n, shape, device, size, rows = self.split.n, self.split.shape, self.split.device, self.size, self.rows
        order = torch.randperm(n, generator=streams.generator(*self.names, "order", epoch)).to(device)
        drawn = [
            pipeline.draw(n, shape, streams.generator(*self.names, "views", epoch, view)).to(device)
            for view, pipeline in enumerate(self.pipelines)
        ]
        own, share = of_each(order, size, rows), len(range(size)[rows])
        looks = [
            batches(self.split, own, each.over(lambda values: of_each(values, size, rows)), share) for each in drawn
        ]

        def batch(i: int) -> tuple[tuple[Tensor, ...], Tensor]:
            seen = [look(i) for look in looks]
            return tuple(x for x, _ in seen), seen[0][1]

        return batch
