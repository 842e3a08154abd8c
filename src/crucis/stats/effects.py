"""Effect sizes in units of a standard deviation, each with an interval."""

from __future__ import annotations

import math

import numpy as np

from .table import Array
from .tails import bisect, normal_quantile, shift_interval


def spread_of(values: Array, scale: float) -> float:
    """Standard deviation (n - 1); exactly 0 if what is left is rounding of numbers of size `scale`."""
    sd = float(values.std(ddof=1))
    return 0.0 if sd <= 16.0 * 2.220446049250313e-16 * scale else sd


def small_sample(df: float) -> float:
    """Hedges' factor that takes the bias out of a standardised difference (Hedges 1981, doi:10.2307/1164588)."""
    return math.exp(math.lgamma(0.5 * df) - math.lgamma(0.5 * (df - 1.0)) - 0.5 * math.log(0.5 * df)) if df > 1 else 0.0


def paired(mean: float, sd: float, n: int, confidence: float) -> dict[str, float | None]:
    """Cohen's dz = mean / sd of the differences, its interval (noncentral t, exact under normality), Hedges' g.

    All None if the differences have no spread. `g` is dz without its small-sample bias; None for two pairs, where
    the correction has no value.
    """
    if sd == 0.0 or n < 2:
        return {"dz": None, "dz_low": None, "dz_high": None, "g": None}
    dz = mean / sd
    low, high = shift_interval(dz * math.sqrt(n), n - 1, confidence)
    factor = small_sample(n - 1)
    return {
        "dz": dz,
        "dz_low": low / math.sqrt(n),
        "dz_high": high / math.sqrt(n),
        "g": dz * factor if factor else None,
    }


def independent(a: Array, b: Array, confidence: float) -> dict[str, float]:
    """Cohen's d with pooled standard deviation of two independent samples, its interval, and Hedges' g.

    The interval inverts the noncentral t and is exact under normality and equal variances.

    Raises:
        ValueError: fewer than two values in a sample, or no spread at all.
    """
    n, m = len(a), len(b)
    if n < 2 or m < 2:
        raise ValueError("two values per sample are needed")
    df = n + m - 2
    pooled = math.sqrt(((n - 1) * float(a.var(ddof=1)) + (m - 1) * float(b.var(ddof=1))) / df)
    if pooled == 0.0:
        raise ValueError("the samples have no spread")
    d = float(a.mean() - b.mean()) / pooled
    unit = math.sqrt(1.0 / n + 1.0 / m)
    low, high = shift_interval(d / unit, df, confidence)
    return {"d": d, "d_low": low * unit, "d_high": high * unit, "g": d * small_sample(df)}


def hedges(a: Array, b: Array, confidence: float) -> dict[str, float]:
    """Hedges' g of two independent samples with its interval: that of d, every number times the small-sample factor.

    Exact under normality and equal variances; with a deviation three times as large in the smaller of two samples of 5
    and 15 a 95 % interval covers 79 % (simulated, 4,000 data sets): distrust it where both size and spread differ.

    Raises:
        ValueError: as `independent`.
    """
    found = independent(a, b, confidence)
    factor = small_sample(len(a) + len(b) - 2)
    return {"g": found["g"], "g_low": found["d_low"] * factor, "g_high": found["d_high"] * factor}


def cliff(a: Array, b: Array, confidence: float) -> dict[str, float]:
    """Cliff's delta, P(a > b) - P(a < b) of two independent samples, and the probability of improvement.

    The interval is Newcombe's score interval of P(a > b) + P(a = b) / 2 (2006, doi:10.1002/sim.2324, method 5), which
    never leaves the range, and has a width even if every a beats every b. Simulated coverage of 95 % intervals (4,000
    data sets, normal, sizes 3 to 20, true delta 0 to 0.84): 94 to 97 %, but 90 % for 3 against 3 at delta 0.

    Args:
        a, b: (n,) and (m,) finite numbers.
        confidence: in (0, 1).

    Returns:
        `cliff` in [-1, 1], `cliff_low`, `cliff_high`; `improvement` in [0, 1] = (1 + delta) / 2 and its ends.

    Raises:
        ValueError: a sample without values.

    Source: Cliff (1993), doi:10.1037/0033-2909.114.3.494.
    """
    n, m = len(a), len(b)
    if not n or not m:
        raise ValueError("a value per sample is needed")
    share = float((0.5 * (np.sign(a[:, None] - b[None, :]) + 1.0)).mean())
    z = normal_quantile(0.5 + 0.5 * confidence)
    typical = 0.5 * (n + m) - 1.0

    def outside(t: float) -> float:
        """Positive where the share would be surprising if the true probability were t."""
        spread = t * (1.0 - t) * (1.0 + typical * ((1.0 - t) / (2.0 - t) + t / (1.0 + t))) / (n * m)
        return abs(share - t) - z * math.sqrt(spread)

    low = bisect(outside, 0.0, share) if share > 0.0 else 0.0
    high = bisect(outside, share, 1.0) if share < 1.0 else 1.0
    return {
        "cliff": 2.0 * share - 1.0,
        "cliff_low": 2.0 * low - 1.0,
        "cliff_high": 2.0 * high - 1.0,
        "improvement": share,
        "improvement_low": low,
        "improvement_high": high,
    }
