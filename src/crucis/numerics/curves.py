"""Areas under curves that are known at a few uneven places."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def mean_height(x: Sequence[float], y: Sequence[float], until: float) -> float:
    """Area under the broken line through (x, y) from x[0] to `until`, divided by that length.

    Exact for broken lines: trapezoids on the given, uneven grid; `until` between two places is interpolated.

    Args:
        x: increasing places, at least two.
        y: heights, as many.
        until: upper end, in (x[0], x[-1]].

    Raises:
        ValueError: places not increasing, lengths unequal, or `until` outside.

    >>> mean_height([0, 10, 30], [1.0, 0.0, 0.0], 20)
    0.25
    """
    places, heights = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if places.shape != heights.shape or len(places) < 2 or not (np.diff(places) > 0).all():
        raise ValueError(f"need at least two increasing places and as many heights, got {list(x)} and {list(y)}")
    if not places[0] < until <= places[-1]:
        raise ValueError(f"the end {until} lies outside ({places[0]}, {places[-1]}]")
    kept = places < until
    ends = np.append(places[kept], until)
    levels = np.append(heights[kept], np.interp(until, places, heights))
    return float(np.sum(np.diff(ends) * (levels[1:] + levels[:-1]) / 2) / (until - places[0]))
