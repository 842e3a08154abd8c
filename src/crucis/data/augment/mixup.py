"""Mixup: each example is blended with another of its batch, and so are their labels.

x' = l x + (1 - l) x_partner with l from Beta(alpha, alpha), one l per example or one per batch; partners are a random
permutation of the batch. Source: H. Zhang et al., mixup: Beyond Empirical Risk Minimization, 2018, arXiv:1710.09412
(which draws one l per batch).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from .. import mixing
from ..augmenting import Augmentation, Mix, Params

REVISION = 1
RANDOM = True
LIMITS = {"alpha": "(0, 100]", "probability": "[0, 1]"}


@dataclass(frozen=True)
class Mixup(Mix):
    """See the module."""

    alpha: float
    probability: float = 1.0
    per: str = "example"

    def draw(self, n: int, shape: Sequence[int], generator: torch.Generator) -> dict[str, Tensor]:  # noqa: ARG002
        """`weight` of the example itself (n,), `rank` whose order within a batch gives the partners (n,)."""
        weight = mixing.beta(self.alpha, n, generator)
        rank = torch.rand(n, generator=generator, dtype=torch.float64)
        if self.probability < 1:
            weight = torch.where(mixing.chance(n, self.probability, generator), weight, 1.0)
        return {"weight": weight, "rank": rank}

    def partners(self, params: Params) -> tuple[Tensor, Tensor]:
        """The permutation that sorts `rank`, and the weights."""
        weight = params["weight"] if self.per == "example" else mixing.first(params["weight"])
        return torch.argsort(params["rank"], stable=True), weight


def augment(
    *, alpha: float = 0.2, probability: float = 1.0, per: Literal["example", "batch"] = "example"
) -> Augmentation:
    """A mixup.

    Args:
        alpha: both parameters of the beta distribution; 1 is uniform, towards 0 hardly any blending.
        probability: share of examples (or batches) that are blended, 0 to 1.
        per: whether each example has its own l, or all of a batch share one.
    """
    return Mixup(alpha, probability, per)
