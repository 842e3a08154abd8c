"""What frozen features are worth: nearest neighbours, a linear probe in closed form, and signs of collapse."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..data.batches import Resident
from .evaluate import evaluation_mode

#: Training examples at most that neighbours and probe learn from, evenly spaced over the split.
BANK = 5000
NEIGHBOURS, TEMPERATURE, RIDGE = 20, 0.07, 1e-2
#: Examples per batch.
BATCH = 500


def features(
    model: nn.Module,
    split: Resident,
    most: int | None,
    context: Callable[[], Any],
    tick: Callable[[], None] = lambda: None,
) -> tuple[Tensor, Tensor]:
    """Features float32 (N, D) without augmentation and labels (N,) of a split, or of `most` evenly spaced examples."""
    index = torch.arange(split.n, device=split.device)
    if most is not None and split.n > most:
        index = (torch.arange(most, device=split.device) * split.n) // most
    found, labels = [], []
    with evaluation_mode(model), torch.no_grad():
        for part in index.split(BATCH):
            x, y = split.gather(part)
            with context():
                seen = model(x)
            found.append(seen.float())
            labels.append(y)
            tick()
    return torch.cat(found), torch.cat(labels)


def neighbours(bank: Tensor, known: Tensor, x: Tensor, y: Tensor, classes: int, k: int = NEIGHBOURS) -> float:
    """Share of right answers of a weighted vote of the `k` nearest features by cosine, weights exp(cosine / 0.07).

    Source: Z. Wu et al., 2018, arXiv:1805.01978, section 3.4.
    """
    k = min(k, len(bank))
    bank, x = functional.normalize(bank, dim=1), functional.normalize(x, dim=1)
    right = 0
    for part, labels in zip(x.split(1000), y.split(1000), strict=True):
        near, place = (part @ bank.T).topk(k, dim=1)
        # A product in place of scattered sums, which have no deterministic form on every GPU.
        weights = (near / TEMPERATURE).exp()[:, None, :]
        votes = (weights @ functional.one_hot(known[place], classes).to(weights.dtype))[:, 0]
        right += int((votes.argmax(1) == labels).sum())
    return right / len(x)


def linear(bank: Tensor, known: Tensor, x: Tensor, y: Tensor, classes: int) -> float:
    """Share of right answers of ridge regression on one-hot labels, in float64: features standardised with the bank's
    statistics, penalty 0.01 per example."""
    bank, x = bank.double(), x.double()
    mean, std = bank.mean(0), bank.std(0, correction=0).clamp_min(1e-8)
    bank, x = (bank - mean) / std, (x - mean) / std
    target = functional.one_hot(known, classes).double()
    shift = target.mean(0)
    gram = bank.T @ bank
    gram.diagonal().add_(RIDGE * len(bank))
    weight = torch.linalg.solve(gram, bank.T @ (target - shift))
    return float(((x @ weight + shift).argmax(1) == y).double().mean())


def collapse(x: Tensor) -> dict[str, float]:
    """Signs of collapse of features (N, D), across examples.

    `feature_variance`: mean over features of the variance. `feature_std`: mean over features of the standard deviation
    after scaling each example to length 1, times sqrt(D): 1 if they fill all directions evenly, 0 if collapsed
    (X. Chen, K. He, 2021, arXiv:2011.10566). `effective_rank`: exp of the entropy of the eigenvalues of the centred
    covariance (O. Roy, M. Vetterli, 2007), as a share of D; with N examples it cannot exceed (N - 1) / D.
    """
    x = x.double()
    width = x.shape[1]
    spread = functional.normalize(x, dim=1).std(0, correction=0).mean() * math.sqrt(width)
    centred = x - x.mean(0)
    values = torch.linalg.eigvalsh(centred.T @ centred).clamp_min(0)
    whole = values.sum()
    rank = 0.0
    if float(whole) > 0:
        share = values / whole
        rank = float(torch.special.entr(share).sum().exp()) / width
    variance = x.var(0, correction=0).mean()
    return {"feature_variance": float(variance), "feature_std": float(spread), "effective_rank": rank}
