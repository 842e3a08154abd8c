"""Almost stochastic order: by how much the quantiles of one sample fail to lie above those of another."""

from __future__ import annotations

import math

import numpy as np

from .table import Array
from .tails import normal_quantile


def violation(a: Array, b: Array) -> Array:
    """Share of the squared Wasserstein distance on which a lies below b, in [0, 1]; 0.5 where both are equal.

    0: every quantile of a is at least that of b (a dominates); 1: the other way round. Quantile functions of samples
    are steps, so the integrals are finite sums over the merged grid, without error.

    Args:
        a, b: sorted along the last axis, (..., n) and (..., m).
    """
    n, m = a.shape[-1], b.shape[-1]
    grid = np.union1d(np.arange(n) * m, np.arange(m) * n)  # left ends of the steps, in units of 1 / (n m)
    width = np.diff(grid, append=n * m)
    gap = a[..., grid // m] - b[..., grid // n]
    squares = gap * gap * width
    whole = squares.sum(axis=-1)
    below = np.where(gap < 0, squares, 0.0).sum(axis=-1)
    return np.divide(below, whole, out=np.full_like(whole, 0.5), where=whole > 0)


def bound(
    a: Array, b: Array, stream: np.random.Generator, *, draws: int = 1000, confidence: float = 0.95
) -> tuple[float, float, float]:
    """(violation of a over b, its upper bound, the upper bound for b over a).

    eps_min = eps + z * sd of the bootstrapped eps, clipped to [0, 1], where z is the normal quantile of `confidence`
    and both samples are resampled independently (del Barrio, Cuesta-Albertos and Matran 2018; Dror et al. 2019).

    Args:
        a, b: (n,) and (m,), finite, in any order.
        stream: random numbers of the resamples.
        draws: resamples.
        confidence: of the bound, in (0.5, 1).
    """
    n, m = len(a), len(b)
    seen = float(violation(np.sort(a), np.sort(b)))
    left = np.sort(a[stream.integers(0, n, size=(draws, n))], axis=1)
    right = np.sort(b[stream.integers(0, m, size=(draws, m))], axis=1)
    reach = normal_quantile(confidence) * float(violation(left, right).std())
    return seen, min(1.0, seen + reach), min(1.0, math.fsum((1.0, -seen, reach)))
