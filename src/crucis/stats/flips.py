"""The sign-flip permutation of paired differences: p-values and intervals from all flips, or from random ones."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from .power import DRAWS, EXHAUSTIVE
from .table import Array


@lru_cache(maxsize=EXHAUSTIVE)
def subsets(n: int) -> NDArray[np.bool_]:
    """All 2^n subsets of n pairs, (2^n, n); 1 MB at n = 16. The first is the empty one."""
    return (np.arange(1 << n)[:, None] >> np.arange(n) & 1).astype(bool)


def _chosen(n: int, stream: np.random.Generator | None) -> NDArray[np.bool_]:
    if n <= EXHAUSTIVE:
        return subsets(n)
    if stream is None:
        raise ValueError(f"{n} pairs are too many for all flips; a random stream is needed")
    drawn = stream.random((DRAWS, n)) < 0.5
    return np.concatenate([np.zeros((1, n), dtype=bool), drawn])  # the data as they are count among the flips


def flip(d: Array, confidence: float, stream: np.random.Generator | None) -> tuple[float, float | None, float | None]:
    """Two-sided p of mean zero, and the interval of the mean that the same test does not reject.

    Under symmetry of each difference about its centre both are exact: p = share of sign flips whose |mean| reaches the
    observed one; the interval's ends are order statistics of the means of subsets (Hartigan 1969,
    doi:10.1080/01621459.1969.10501057). Above 16 pairs random flips, p = (1 + count) / (1 + draws). No end is finite
    where 2^n is below 2 / (1 - confidence): (p, None, None).

    Args:
        d: differences, (n,).
        confidence: between 0 and 1.
        stream: needed above 16 pairs.
    """
    chosen = _chosen(len(d), stream)
    sums = chosen @ d
    total = float(d.sum())
    slack = 1e-12 * float(np.abs(d).sum())
    p = float((np.abs(total - 2.0 * sums) >= abs(total) - slack).mean())
    sizes = chosen.sum(axis=1)
    means = np.sort(sums[sizes > 0] / sizes[sizes > 0])
    depth = math.floor(0.5 * (1.0 - confidence) * len(chosen) + 1e-9)
    if depth < 1:
        return p, None, None
    return p, float(means[depth - 1]), float(means[len(means) - depth])
