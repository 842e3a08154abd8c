"""Effect sizes in units of a standard deviation, each with an interval."""

from __future__ import annotations

import math

from .table import Array
from .tails import shift_interval


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
