"""Loss and accuracy of a network on a resident split, and the head that a task compares."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from ..data.batches import Resident
from .feed import SMALL, normalised_bytes
from .ranks import Ranks

#: Examples per evaluation batch at most; all batches of a split have one shape, the last is padded and masked.
BATCH = 1000


@dataclass(frozen=True)
class Head:
    """Which outputs a loss compares: all, or (`per_task`) those of the task's classes, labels renumbered."""

    classes: Tensor | None = None  # int64 (k,), ascending
    place: Tensor | None = None  # int64 (K,): class -> its place among `classes`

    @classmethod
    def of(cls, kind: str, active: Sequence[int], classes: int, device: str) -> Head:
        """The head of a task with the classes `active` out of `classes`."""
        if kind == "shared":
            return cls()
        kept = torch.tensor(sorted(active), dtype=torch.int64)
        place = torch.zeros(classes, dtype=torch.int64)
        place[kept] = torch.arange(len(kept))
        return cls(kept.to(device), place.to(device))

    def narrow(self, logits: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (B, K) as float32 and labels (B,) or soft labels (B, K), over the compared classes only."""
        logits = logits.float()
        if self.classes is None or self.place is None:
            return logits, y
        labels = y.index_select(1, self.classes) if y.is_floating_point() else self.place.index_select(0, y)
        return logits.index_select(1, self.classes), labels


@dataclass(frozen=True)
class Scores:
    """Mean cross-entropy in nats and share of right answers over `n` examples, with the loss's standard error."""

    loss: float
    accuracy: float
    n: int
    loss_se: float

    def published(self) -> dict[str, float]:
        """What the record of a checkpoint holds beside its step."""
        return {"accuracy": self.accuracy, "loss": self.loss}


@contextmanager
def evaluation_mode(model: nn.Module) -> Iterator[None]:
    """Evaluation mode; each module's own mode is put back (some networks keep parts frozen)."""
    before = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in before:
            module.training = training


class Sheet:
    """A split in evaluation batches of one shape, the last one padded; normalised once if it is small."""

    def __init__(self, split: Resident) -> None:
        self.split, self.n = split, split.n
        self.count = max(1, math.ceil(split.n / BATCH))
        self.size = math.ceil(split.n / self.count)
        self._kept = [self._make(k) for k in range(self.count)] if normalised_bytes(split) <= SMALL else None

    def _make(self, k: int) -> tuple[Tensor, Tensor]:
        first = k * self.size
        index = torch.arange(first, first + self.size, device=self.split.device).clamp_(max=self.n - 1)
        return self.split.gather(index)

    def batches(self, part: slice = slice(None)) -> Iterator[tuple[int, Tensor, Tensor, int]]:
        """The place of each batch (or of each in `part`), x, y and how many of them count."""
        for k in range(self.count)[part]:
            x, y = self._kept[k] if self._kept is not None else self._make(k)
            yield k, x, y, min(self.size, self.n - k * self.size)


def evaluate(
    model: nn.Module,
    sheet: Sheet,
    head: Head,
    context: Callable[[], Any],
    tick: Callable[[], None] = lambda: None,
    ranks: Ranks | None = None,
) -> Scores:
    """Scores without augmentation and label smoothing; means over examples in double precision.

    Args:
        context: makes the context of a forward pass (autocast).
        tick: called after each batch, for the heartbeat.
        ranks: who share the batches; the sums are those of one process, to the bit.
    """
    rows = np.zeros((sheet.count, 3))
    with evaluation_mode(model), torch.no_grad():
        for k, x, y, count in sheet.batches(ranks.rows if ranks else slice(None)):
            with context():
                logits = model(x)
            logits, labels = head.narrow(logits, y)
            losses = functional.cross_entropy(logits, labels, reduction="none")[:count].double()
            hits = (logits.argmax(1) == labels)[:count].sum()
            rows[k] = torch.stack([losses.sum(), losses.dot(losses), hits]).cpu().numpy()
            tick()
    if ranks:
        rows = ranks.total(torch.from_numpy(rows).to(ranks.device)).cpu().numpy()
    sums = np.zeros(3)
    for row in rows:
        sums += row
    loss, squares, accuracy = (sums / sheet.n).tolist()
    variance = max(squares - loss**2, 0.0) if math.isfinite(loss) else math.nan
    return Scores(loss, accuracy, sheet.n, math.sqrt(variance / sheet.n))
