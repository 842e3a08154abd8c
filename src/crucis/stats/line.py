"""A straight line through points, with the interval of its height: a guide for the eye in scatter plots."""

from __future__ import annotations

import math

import numpy as np

from .tails import t_quantile

Array = np.ndarray


def fit_line(
    x: Array, y: Array, confidence: float = 0.95, places: int = 41
) -> tuple[Array, Array, Array, Array] | None:
    """Ordinary least squares and the pointwise confidence interval of the mean of y given x.

    half-width(x0) = t(n - 2) * s * sqrt(1/n + (x0 - mean x)^2 / sum (x - mean x)^2)

    Args:
        x, y: (n,) finite numbers.
        confidence: of the interval, in (0, 1).
        places: points along x at which the line is given.

    Returns:
        x, y, low, high, each (places,); None with fewer than three points or no spread in x.

    Source: Draper & Smith, Applied Regression Analysis, 1998, section 3.1.
    Reference case: points on a line have a band of width 0.
    """
    n = len(x)
    if n < 3 or np.ptp(x) == 0.0:
        return None
    centre, spread = x.mean(), float(((x - x.mean()) ** 2).sum())
    slope = float(((x - centre) * (y - y.mean())).sum()) / spread
    residual = y - y.mean() - slope * (x - centre)
    s = math.sqrt(float((residual**2).sum()) / (n - 2))
    at = np.linspace(x.min(), x.max(), places)
    height = y.mean() + slope * (at - centre)
    half = t_quantile(0.5 + confidence / 2, n - 2) * s * np.sqrt(1 / n + (at - centre) ** 2 / spread)
    return at, height, height - half, height + half
