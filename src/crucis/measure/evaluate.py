"""Accuracy and loss of a network on a split: the one way in which this room evaluates. No padding, no shuffling."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from ..errors import Refusal
from ..seeds import derive
from ..streams import borrowed

if TYPE_CHECKING:
    from ..data.dataset import Split

Batch = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Scores:
    """`accuracy` in [0, 1], `loss` in nats (mean cross-entropy), `correct` (N,) bool, in the order of the split."""

    accuracy: float
    loss: float
    correct: np.ndarray

    @property
    def accuracy_se(self) -> float:
        """Binomial standard error of the accuracy."""
        return math.sqrt(self.accuracy * (1 - self.accuracy) / len(self.correct))


def batches(split: Split, mean: Sequence[float], std: Sequence[float], *, batch: int, device: str) -> list[Batch]:
    """The whole split on the device, normalised, in batches of at most `batch` whose sizes differ by at most one.

    Raises:
        Refusal: `too_few`, if the split is empty.
    """
    from ..data.batches import Resident

    if len(split) == 0:
        raise Refusal("too_few", "a network cannot be evaluated on an empty split")
    resident = Resident(split, mean, std, device)
    index = torch.arange(len(split), device=device)
    return [resident.gather(part, None) for part in index.tensor_split(-(-len(split) // batch))]


@contextmanager
def evaluating(model: nn.Module) -> Iterator[nn.Module]:
    """The model in evaluation mode without gradients; modes and torch's random state come back afterwards."""
    modes = [(module, module.training) for module in model.modules()]
    try:
        model.eval()
        with torch.no_grad(), borrowed(derive(0, "measure", "evaluate")):
            yield model
    finally:
        for module, mode in modes:
            module.training = mode


def losses(model: nn.Module, parts: Sequence[Batch]) -> tuple[float, list[Tensor]]:
    """Mean cross-entropy (nats) over all examples and the logits of each batch; in the mode in which the model is.

    Each example's loss is taken in float32 and summed in float64, so the cut into batches does not matter beyond what
    the network's own kernels make of it.
    """
    total, count, logits = torch.zeros((), dtype=torch.float64, device=parts[0][0].device), 0, []
    for x, y in parts:
        out = model(x).float()
        total += functional.cross_entropy(out, y, reduction="none").double().sum()
        count += len(y)
        logits.append(out)
    return float(total) / count, logits


@dataclass(frozen=True)
class Answers:
    """What a network says of every example of a split, in its order: on the CPU, whatever the device.

    `logits` (N, classes) float32, `labels` (N,) int64, `losses` (N,) float64, cross-entropy in nats.
    """

    logits: np.ndarray
    labels: np.ndarray
    losses: np.ndarray


def answers_of(model: nn.Module, parts: Sequence[Batch]) -> Answers:
    """Logits, labels and losses on batches; model and random state stay as they are.

    Each example's loss is taken in float32, as in `losses`, and kept in float64.
    """
    with evaluating(model):
        logits = [model(x).detach().float() for x, _ in parts]
        each = [
            functional.cross_entropy(out, y, reduction="none").double()
            for out, (_, y) in zip(logits, parts, strict=True)
        ]
    labels = torch.cat([y for _, y in parts])
    return Answers(torch.cat(logits).cpu().numpy(), labels.cpu().numpy(), torch.cat(each).cpu().numpy())


def answers(
    model: nn.Module, split: Split, mean: Sequence[float], std: Sequence[float], *, batch: int, device: str
) -> Answers:
    """`answers_of` on a whole split; arguments as in `accuracy_and_loss`.

    Raises:
        Refusal: `too_few` for an empty split.
    """
    return answers_of(model, batches(split, mean, std, batch=batch, device=device))


def accuracy_and_loss(
    model: nn.Module,
    split: Split,
    mean: Sequence[float],
    std: Sequence[float],
    *,
    batch: int = 256,
    device: str = "cpu",
) -> Scores:
    """Accuracy and mean cross-entropy of `model` on `split`.

    Args:
        model: maps (B, C, H, W) or (B, D) to logits (B, classes); untouched, whatever mode it is in.
        split: images or vectors with labels.
        mean: per channel (scale 0 to 1) or per feature.
        std: likewise.
        batch: examples at once; changes nothing beyond rounding.
        device: where the model is.

    Raises:
        Refusal: `too_few` for an empty split, `not_finite` if the loss is NaN or infinite.
    """
    parts = batches(split, mean, std, batch=batch, device=device)
    with evaluating(model):
        loss, logits = losses(model, parts)
        correct = torch.cat([out.argmax(1) == y for out, (_, y) in zip(logits, parts, strict=True)])
    if not math.isfinite(loss):
        raise Refusal("not_finite", f"the loss on {len(split)} examples is {loss}")
    hits = correct.cpu().numpy()
    return Scores(int(hits.sum()) / len(hits), loss, hits)
