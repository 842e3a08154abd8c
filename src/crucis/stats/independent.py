"""Two samples that do not pair: Welch's test and its interval."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..errors import Refusal
from . import effects
from .table import Array, at_least
from .tails import t_quantile, t_two_sided


@dataclass(frozen=True)
class Welch:
    """Difference of means, its standard error, Welch's degrees of freedom, the interval and two-sided p."""

    mean: float
    se: float
    df: float
    low: float
    high: float
    p: float


def welch(a: Array, b: Array, confidence: float = 0.95, scale: float | None = None) -> Welch:
    """Welch's t-test of the means of two independent normal samples with any variances.

    Args:
        a, b: (n,) and (m,), at least two values each.
        confidence: in (0, 1).
        scale: size of the numbers that the values come from, for telling rounding from spread.

    Raises:
        Refusal: fewer than two values in a sample; no spread in either.

    Source: Welch (1947), doi:10.1093/biomet/34.1-2.28.
    """
    at_least(min(len(a), len(b)), 2, "values per side")
    size = max(abs(a).max(), abs(b).max()) if scale is None else scale
    va, vb = (effects.spread_of(x, float(size)) ** 2 / len(x) for x in (a, b))
    if va + vb == 0.0:
        raise Refusal("degenerate", "neither sample has any spread, so there is no standard error")
    mean, se = float(a.mean() - b.mean()), math.sqrt(va + vb)
    df = (va + vb) ** 2 / (va**2 / (len(a) - 1) + vb**2 / (len(b) - 1))
    reach = t_quantile(0.5 + 0.5 * confidence, df) * se
    return Welch(mean, se, df, mean - reach, mean + reach, t_two_sided(mean / se, df))
