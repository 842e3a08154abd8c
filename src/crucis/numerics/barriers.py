"""How far a curve rises above what its ends promise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

Baseline = Literal["chord", "highest"]


def barrier(places: Sequence[float], heights: Sequence[float], baseline: Baseline = "chord") -> tuple[float, float]:
    """Largest rise of a curve above its baseline, and where.

    The ends belong to the curve and rise by nothing above the chord, so a convex curve has the barrier 0 at its start.

    Args:
        places: increasing, at least two.
        heights: as many.
        baseline: `chord` is the straight line between the ends, `highest` the higher end.

    Returns:
        (height, place); the first of several equal ones.

    Raises:
        ValueError: places not increasing, or lengths unequal.

    Source: `chord` as in J. Frankle, G. K. Dziugaite, D. M. Roy, M. Carbin, 2020 (arXiv:1912.05671), with a chord in
    place of the mean of the ends.

    >>> x = [-1.0, -0.5, 0.0, 0.5, 1.0]
    >>> barrier(x, [(v * v - 1) ** 2 for v in x])
    (1.0, 0.0)
    """
    x, y = np.asarray(places, dtype=np.float64), np.asarray(heights, dtype=np.float64)
    if x.shape != y.shape or len(x) < 2 or not (np.diff(x) > 0).all():
        raise ValueError(f"need at least two increasing places and as many heights, got {list(x)} and {list(y)}")
    share = (x - x[0]) / (x[-1] - x[0])
    base = (1 - share) * y[0] + share * y[-1] if baseline == "chord" else np.full(len(y), max(y[0], y[-1]))
    rise = y - base
    best = int(np.argmax(rise))
    return float(rise[best]), float(x[best])
