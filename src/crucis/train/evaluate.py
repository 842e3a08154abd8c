"""Loss and accuracy of a network on a resident split, and the head that a task compares."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..data.batches import Resident

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


def evaluate(
    model: nn.Module,
    split: Resident,
    head: Head,
    context: Callable[[], Any],
    tick: Callable[[], None] = lambda: None,
) -> Scores:
    """Scores without augmentation and label smoothing; means over examples in double precision.

    Args:
        context: makes the context of a forward pass (autocast).
        tick: called after each batch, for the heartbeat.
    """
    count = max(1, math.ceil(split.n / BATCH))
    size = math.ceil(split.n / count)
    total, squares, hits = 0.0, 0.0, 0
    with evaluation_mode(model), torch.no_grad():
        for k in range(count):
            left = min(size, split.n - k * size)
            index = torch.arange(k * size, k * size + size, device=split.device).clamp_(max=split.n - 1)
            x, y = split.gather(index)
            with context():
                logits = model(x)
            logits, y = head.narrow(logits, y)
            losses = functional.cross_entropy(logits, y, reduction="none")[:left].double()
            total += float(losses.sum())
            squares += float(losses.square().sum())
            hits += int((logits.argmax(1) == y)[:left].sum())
            tick()
    mean = total / split.n
    variance = max(squares / split.n - mean**2, 0.0) if math.isfinite(mean) else math.nan
    return Scores(mean, hits / split.n, split.n, math.sqrt(variance / split.n))
