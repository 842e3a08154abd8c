"""How well a score tells two samples apart: area under the ROC curve with its standard error, and rates at a threshold.

Source: area as a rank statistic: J. Hanley, B. McNeil, 1982 (doi:10.1148/radiology.143.1.7063747); variance from
placements: E. DeLong, D. DeLong, D. Clarke-Pearson, 1988 (doi:10.2307/2531595).
"""

from __future__ import annotations

import math

import numpy as np


def _mid_ranks(values: np.ndarray) -> np.ndarray:
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(count)
    return (last - (count - 1) / 2)[place.reshape(-1)]


def area(positive: np.ndarray, negative: np.ndarray) -> tuple[float, float]:
    """P(a positive scores higher than a negative), ties counting half, and its standard error.

    Args:
        positive: scores of one sample, (m,), m >= 2.
        negative: scores of the other, (n,), n >= 2.

    Returns:
        Area in [0, 1], and DeLong's standard error (0 where the samples do not overlap: no spread is seen then).
    """
    m, n = len(positive), len(negative)
    both = _mid_ranks(np.concatenate([positive, negative]))
    above = (both[:m] - _mid_ranks(positive)) / n  # share of negatives that each positive exceeds
    below = 1 - (both[m:] - _mid_ranks(negative)) / m  # share of positives that exceed each negative
    found = float(above.mean())
    return found, math.sqrt(float(above.var(ddof=1)) / m + float(below.var(ddof=1)) / n)
