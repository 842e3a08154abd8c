"""The share of variance that lies between the groups of a one-way layout, with its interval."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import special

from .table import Array

#: F ratios beyond which the noncentral F distribution is not evaluated.
MOST = 1e4


def _noncentrality(f: float, df: tuple[int, int], level: float) -> float:
    """The noncentrality at which an F ratio of at most `f` has the probability `level`; 0 if none is that small."""
    low, high = 0.0, 1.0
    if float(special.ncfdtr(*df, 0.0, f)) <= level:
        return 0.0
    while float(special.ncfdtr(*df, high, f)) > level:
        low, high = high, 2.0 * high
    for _ in range(60):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if float(special.ncfdtr(*df, middle, f)) > level else (low, middle)
    return low


def between(groups: Sequence[Array], confidence: float) -> tuple[float, float | None, float | None]:
    """Share of the variance of values that lies between fixed groups, from 0 to 1, with its interval.

    The interval inverts the noncentral F distribution: exact for normal values of one variance in every group. It is
    empty where the F ratio is beyond `MOST`.

    Source: Steiger (2004), doi:10.1037/1082-989X.9.2.164.
    """
    n, k = sum(map(len, groups)), len(groups)
    grand = float(np.concatenate(groups).mean())
    outer = sum(len(one) * (float(one.mean()) - grand) ** 2 for one in groups) / (k - 1)
    inner = sum(float(((one - one.mean()) ** 2).sum()) for one in groups) / (n - k)
    if inner == 0.0 or outer > MOST * inner:
        return 1.0 if inner == 0.0 else outer * (k - 1) / (outer * (k - 1) + inner * (n - k)), None, None
    f, df, tail = outer / inner, (k - 1, n - k), 0.5 * (1.0 - confidence)
    ends = [_noncentrality(f, df, level) for level in (1.0 - tail, tail)]
    value = min(max((k - 1) * (f * max(n - k - 2, 1) / (n - k) - 1.0), ends[0]), ends[1])
    share, low, high = (one / (one + n) for one in (value, *ends))
    return share, low, high
