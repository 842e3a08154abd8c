"""Mixup: each example is blended with another of its batch, and so are their labels.

x' = l x + (1 - l) x_partner with l from Beta(alpha, alpha), one l per example; partners are a random permutation of the
batch. Source: H. Zhang et al., mixup: Beyond Empirical Risk Minimization, 2018, arXiv:1710.09412 (which draws one l per
batch).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..augmenting import Augmentation, Mix, Params

REVISION = 1
RANDOM = True
LIMITS = {"alpha": "(0, 100]"}


@dataclass(frozen=True)
class Mixup(Mix):
    """See the module."""

    alpha: float

    def draw(self, n: int, shape: Sequence[int], generator: torch.Generator) -> dict[str, Tensor]:  # noqa: ARG002
        """`weight` of the example itself (n,), `rank` whose order within a batch gives the partners (n,)."""
        # torch draws no beta variate from a given generator, numpy does.
        seed = int(torch.randint(1 << 62, (1,), generator=generator))
        weight = np.random.Generator(np.random.PCG64(seed)).beta(self.alpha, self.alpha, n)
        rank = torch.rand(n, generator=generator, dtype=torch.float64)
        return {"weight": torch.from_numpy(weight.astype(np.float32)), "rank": rank}

    def partners(self, params: Params) -> tuple[Tensor, Tensor]:
        """The permutation that sorts `rank`, and the weights."""
        return torch.argsort(params["rank"], stable=True), params["weight"]


def augment(*, alpha: float = 0.2) -> Augmentation:
    """A mixup.

    Args:
        alpha: both parameters of the beta distribution; 1 is uniform, towards 0 hardly any blending.
    """
    return Mixup(alpha)
