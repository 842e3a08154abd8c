"""Agreement of several rankings: Kendall's W, rank correlations pair by pair, shares of alike orders, ICC(1)."""

from __future__ import annotations

import itertools
import math

import numpy as np
from scipy import special

from .ranks import midranks
from .table import Array


def kendall_w(values: Array) -> tuple[float, float] | None:
    """(W, chi-squared) of the rankings of n units (rows) by m levels (columns), corrected for ties.

    None where every level is one tie. Chi-squared is m (n - 1) W and has n - 1 degrees of freedom.

    Source: Kendall and Babington Smith (1939), doi:10.1214/aoms/1177732186.
    """
    n, m = values.shape
    ranks = np.array([midranks(column) for column in values.T])
    most = float(((ranks - 0.5 * (n + 1)) ** 2).sum())  # what the rank sums would spread by in full agreement, over m
    if most == 0.0:
        return None
    spread = float(((ranks.sum(axis=0) - 0.5 * m * (n + 1)) ** 2).sum())
    w = min(1.0, spread / (m * most))
    return w, m * (n - 1) * w


def p_permuted(values: Array, stream: np.random.Generator, draws: int) -> float:
    """(1 + draws with a W at least as large) / (1 + draws), if every level orders the units at random on its own."""
    n = len(values)
    doubled = np.array([np.rint(2.0 * midranks(column)) for column in values.T])
    seen = float((doubled.sum(axis=0) ** 2).sum())
    sums = np.zeros((draws, n))
    for row in doubled:
        sums += stream.permuted(np.broadcast_to(row, (draws, n)), axis=1)
    return (1.0 + float(((sums**2).sum(axis=1) >= seen).sum())) / (1.0 + draws)


def spearman_pairs(values: Array) -> list[float]:
    """Spearman's rho of every pair of levels over the units that have both; pairs without order are left out."""
    out = []
    for a, b in itertools.combinations(values.T, 2):
        both = ~(np.isnan(a) | np.isnan(b))
        if both.sum() < 2:
            continue
        x, y = (midranks(side[both]) for side in (a, b))
        x, y = x - x.mean(), y - y.mean()
        size = math.sqrt(float(x @ x) * float(y @ y))
        if size > 0.0:
            out.append(max(-1.0, min(1.0, float(x @ y) / size)))
    return out


def alike(values: Array) -> float | None:
    """Share of pairs of levels that order two units alike, over all pairs of units; a tie on one side counts half.

    Two ties count as alike. 0.5 is no relation, 1 the same order everywhere. None where no pair of levels has two
    units in common.
    """
    total, count = 0.0, 0
    for a, b in itertools.combinations(values.T, 2):
        both = ~(np.isnan(a) | np.isnan(b))
        upper = np.triu_indices(int(both.sum()), 1)
        x, y = (np.sign(side[both][:, None] - side[both][None, :])[upper] for side in (a, b))
        total += float(np.where((x == 0) & (y == 0), 1.0, 0.5 * (1.0 + x * y)).sum())
        count += len(upper[0])
    return total / count if count else None


def icc(values: Array, confidence: float) -> tuple[float, float | None, float | None] | None:
    """ICC(1) of n units measured at k levels, with the interval of its F ratio; None without any spread.

    Source: Shrout and Fleiss (1979), doi:10.1037/0033-2909.86.2.420, one-way random effects.
    """
    n, k = values.shape
    means = values.mean(axis=1)
    between = k * float(((means - means.mean()) ** 2).sum()) / (n - 1)
    inside = float(((values - means[:, None]) ** 2).sum()) / (n * (k - 1))
    if between == 0.0 and inside == 0.0:
        return None
    value = (between - inside) / (between + (k - 1) * inside)
    if inside == 0.0:
        return value, value, value
    upper, ratio = 1.0 - 0.5 * (1.0 - confidence), between / inside
    low = ratio / float(special.fdtri(n - 1, n * (k - 1), upper))
    high = ratio * float(special.fdtri(n * (k - 1), n - 1, upper))
    return value, (low - 1.0) / (low + k - 1.0), (high - 1.0) / (high + k - 1.0)
