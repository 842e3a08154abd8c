"""Signed ranks of paired differences: exact null distribution with ties and zeros, Walsh averages, their interval."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from .table import Array
from .tails import normal_quantile, normal_two_sided

#: Up to this many non-zero differences the null distribution is exact (a convolution); above, normal.
EXACT = 100


def signed_ranks(d: Array, tolerance: float = 0.0) -> tuple[Array, Array]:
    """(ranks, signs) of the non-zero differences, both (m,).

    Ranks are of |d| among all n differences, zeros included, so that many zeros make the rest weigh less against each
    other (Pratt 1959, doi:10.1080/01621459.1959.10501526). Values closer than `tolerance` are ties and share their
    mean rank; those within `tolerance` of zero are zeros.
    """
    size = np.where(np.abs(d) <= tolerance, 0.0, np.abs(d))
    order = np.argsort(size, kind="stable")
    group = np.concatenate([[0], np.cumsum(np.diff(size[order]) > tolerance)])
    counts = np.bincount(group)
    ranks = np.empty(len(d))
    ranks[order] = (np.cumsum(counts) - 0.5 * (counts - 1))[group]
    kept = size > 0
    return ranks[kept], np.sign(d[kept])


def p_two_sided(ranks: Array, signs: Array) -> float:
    """P(|W| at least as large) when every sign is a coin; W = sum of signed ranks. 1.0 without any rank.

    Exact up to `EXACT` ranks, with ties as they are; above, normal with the exact variance.
    """
    if not len(ranks):
        return 1.0
    total = float(np.abs(ranks @ signs))
    if len(ranks) > EXACT:
        return normal_two_sided(total / math.sqrt(float(ranks @ ranks)))
    doubled = np.rint(2.0 * ranks).astype(np.int64)  # mean ranks are whole or half
    upper = _tail(tuple(sorted(int(r) for r in doubled)))
    return min(1.0, 2.0 * float(upper[round((doubled.sum() + 2.0 * total) / 2.0)]))


@lru_cache(maxsize=512)
def _tail(doubled: tuple[int, ...]) -> Array:
    """P(sum of the doubled ranks whose coin shows heads >= s), s = 0, 1, ..., by convolution."""
    mass = np.zeros(sum(doubled) + 1)
    mass[0] = 1.0
    top = 0
    for rank in doubled:
        shifted = mass[: top + 1].copy()
        mass[: top + 1] *= 0.5
        mass[rank : rank + top + 1] += 0.5 * shifted
        top += rank
    return np.cumsum(mass[::-1])[::-1]


@lru_cache(maxsize=4096)
def depth(n: int, alpha: float) -> int:
    """How many of the smallest Walsh averages of n differences lie outside the interval; 0 if it has no finite end."""
    if n > EXACT:
        pairs = n * (n + 1) / 2.0
        spread = math.sqrt(n * (n + 1) * (2 * n + 1) / 24.0)
        return max(0, math.floor(0.5 * pairs + normal_quantile(0.5 * alpha) * spread))
    upper = _tail(tuple(range(1, n + 1)))[::-1]  # by symmetry P(W+ <= k) of the plain ranks
    return int(np.searchsorted(upper, 0.5 * alpha * (1.0 + 1e-12), side="right"))


def level(n: int, alpha: float) -> float:
    """The level that the two-sided test of n untied differences really has at `alpha`; 0 if it can never reject."""
    if n > EXACT:
        return alpha
    k = depth(n, alpha)
    return 2.0 * float(_tail(tuple(range(1, n + 1)))[::-1][k - 1]) if k else 0.0


def walsh(d: Array) -> Array:
    """All n (n + 1) / 2 averages of two differences (of one with itself as well), sorted."""
    i, j = np.triu_indices(len(d))
    return np.sort(0.5 * (d[i] + d[j]))


def centre(d: Array, confidence: float) -> tuple[float, float | None, float | None]:
    """Hodges-Lehmann estimate and its interval: the median of the Walsh averages and two of their order statistics.

    Exact for continuous symmetric differences; with ties and zeros it covers at least as often (Hodges and Lehmann
    1963, doi:10.1214/aoms/1177704172; Noether 1967, doi:10.1080/01621459.1967.10482939). Both ends are None with
    fewer than 6 differences at 95 %, for which no pair of averages has that coverage.
    """
    averages = walsh(d)
    k = depth(len(d), 1.0 - confidence)
    low, high = (float(averages[k - 1]), float(averages[len(averages) - k])) if k else (None, None)
    return float(np.median(averages)), low, high
