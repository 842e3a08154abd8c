"""Ranks of k levels within rows: Friedman's statistic, exact p of two levels, Nemenyi's critical difference."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from scipy import special

from .ranks import midranks
from .table import Array
from .tails import normal_quantile


def within_rows(values: Array) -> Array:
    """Ranks from 1 (smallest) within each row, ties share their mean, (rows, levels)."""
    return np.array([midranks(row) for row in values])


def chi_squared(ranks: Array) -> float:
    """Friedman's statistic with its correction for ties; 0 if every row is one tie.

    Source: Friedman (1937), doi:10.1080/01621459.1937.10503522.
    """
    n, k = ranks.shape
    spread = float(((ranks - 0.5 * (k + 1)) ** 2).sum())
    between = float((((ranks.mean(axis=0)) - 0.5 * (k + 1)) ** 2).sum())
    return n * n * (k - 1) * between / spread if spread > 0 else 0.0


def p_omnibus(ranks: Array) -> float:
    """p of no difference among the levels: chi-squared with k - 1 degrees of freedom, never below what n rows reach.

    The smallest p is that of n equal orders, (k!)^(1 - n). The approximation errs towards too few alarms with few rows;
    Iman and Davenport's F alarms in 21 % of data for 3 rows of 3 levels and is not used.
    """
    n, k = ranks.shape
    least = float(math.factorial(k)) ** (1 - n)
    return max(least, float(special.chdtrc(k - 1, chi_squared(ranks))))


def p_pair(ranks: Array, a: int, b: int) -> float:
    """Exact two-sided p of the rank sums of two levels, if within each row all orders of the levels are as likely.

    The difference of two ranks of a row is one of k (k - 1) ordered pairs; the rows' distributions are convolved, ties
    as they are (Eisinga, Heskes, Pelzer and Te Grotenhuis 2017, doi:10.1186/s12859-017-1486-2). O(n^2 k^2).
    """
    n, k = ranks.shape
    doubled = np.rint(2.0 * ranks).astype(np.int64)
    reach = 2 * (k - 1)
    away = ~np.eye(k, dtype=bool)
    mass = np.ones(1)
    for row in doubled:
        gaps = (row[:, None] - row[None, :])[away]
        mass = np.convolve(mass, np.bincount(gaps + reach, minlength=2 * reach + 1) / gaps.size)
    gap = abs(int(doubled[:, a].sum() - doubled[:, b].sum()))
    places = np.abs(np.arange(mass.size) - n * reach)
    return min(1.0, float(mass[places >= gap].sum()))


def smallest_p(n: int, k: int) -> float:
    """Smallest p of `p_pair` without ties: one level first and the other last in every row, or the reverse."""
    return min(1.0, 2.0 * (k * (k - 1.0)) ** -n)


def expected_pair(gap: float, n: int, k: int, alpha: float) -> bool:
    """Whether mean ranks that lie `gap` apart over n rows would be told apart at level alpha.

    The difference of two ranks of a row has the variance k (k + 1) / 6 if all orders are as likely (normal sum).
    """
    reach = normal_quantile(1.0 - 0.5 * alpha) * math.sqrt(k * (k + 1) / (6.0 * n))
    return smallest_p(n, k) <= alpha and abs(gap) > reach


@lru_cache(maxsize=256)
def critical_difference(n: int, k: int, alpha: float) -> float:
    """Nemenyi's: mean ranks further apart than this differ at the family-wise level alpha.

    q / sqrt(2) * sqrt(k (k + 1) / (6 n)), q the quantile of the studentized range (Demsar 2006, JMLR 7:1).
    """
    low, high = 0.0, 20.0
    for _ in range(80):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if range_tail(middle, k) > alpha else (low, middle)
    return low / math.sqrt(2.0) * math.sqrt(k * (k + 1) / (6.0 * n))


def range_tail(q: float, k: int) -> float:
    """P(range of k standard normals >= q)."""
    x = np.linspace(-9.0, 9.0 + q, 1201)
    density = np.exp(-0.5 * x * x) / math.sqrt(2.0 * math.pi)
    inside = k * density * (special.ndtr(x) - special.ndtr(x - q)) ** (k - 1)
    return max(0.0, 1.0 - float(inside.sum() * (x[1] - x[0])))


def p_nemenyi(ranks: Array, a: int, b: int) -> float:
    """p of two levels among k, corrected for all pairs of levels (normal approximation: wants 10 rows or more)."""
    n, k = ranks.shape
    gap = abs(float(ranks[:, a].mean() - ranks[:, b].mean()))
    return range_tail(gap / math.sqrt(k * (k + 1) / (12.0 * n)), k)
