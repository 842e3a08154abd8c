"""Summary of a sample: mean, median and standard deviation, each with its interval, and the extremes.

The interval of the mean is Student's t, of the median a pair of order statistics (no assumption; from 6 values on at
95 %), of the standard deviation chi-square (normal values only). Distrust them for other shapes: simulated
coverage at n = 3, 5 and 10 is 89, 88 and 90 % for the mean and 88, 81 and 77 % for the deviation of exponential
values, and 91, 85 and 76 % for the deviation of heavy-tailed ones (t with 3 degrees of freedom). One value alone has no
spread: everything but mean, median, min and max is then empty. Values without any spread have an interval of width 0.

Reference case: 1, 2, 3 gives mean 2, sd 1, interval -0.484 to 4.484.
Source: Student (1908), doi:10.1093/biomet/6.1.1; median: Thompson (1936), doi:10.1214/aoms/1177732502.
"""

from __future__ import annotations

import math

import numpy as np
from scipy import special

from .. import effects
from ..table import Array, Sample, at_least
from ..tails import t_quantile

REVISION = 1
RANDOM = False
COLUMNS = {
    "mean": {"unit": "same", "range": [None, None], "axes": [], "headline": True, "interval": ["low", "high"]},
    "median": {"unit": "same", "range": [None, None], "axes": [], "interval": ["median_low", "median_high"]},
    "sd": {"unit": "same", "range": [0, None], "axes": [], "interval": ["sd_low", "sd_high"]},
    "se": {"unit": "same", "range": [0, None], "axes": []},
    "low": {"unit": "same", "range": [None, None], "axes": []},
    "high": {"unit": "same", "range": [None, None], "axes": []},
    "min": {"unit": "same", "range": [None, None], "axes": []},
    "max": {"unit": "same", "range": [None, None], "axes": []},
    "n": {"unit": "count", "range": [0, None], "axes": []},
    "n_planned": {"unit": "count", "range": [0, None], "axes": []},
    "median_low": {"unit": "same", "range": [None, None], "axes": []},
    "median_high": {"unit": "same", "range": [None, None], "axes": []},
    "sd_low": {"unit": "same", "range": [0, None], "axes": []},
    "sd_high": {"unit": "same", "range": [0, None], "axes": []},
}
LIMITS = {"confidence": "(0, 1)"}


def _median_interval(x: Array, confidence: float) -> tuple[float | None, float | None]:
    """The narrowest symmetric pair of order statistics with at least the wanted coverage."""
    n, ordered = len(x), np.sort(x)
    depth = 0
    while depth < n // 2 and 2.0 * float(special.bdtr(depth, n, 0.5)) <= 1.0 - confidence:
        depth += 1
    return (float(ordered[depth - 1]), float(ordered[n - depth])) if depth else (None, None)


def estimate(table: Sample, *, confidence: float = 0.95) -> dict[str, float | None]:
    """Location and spread of a sample with intervals.

    Args:
        confidence: of every interval, in (0, 1).

    Returns:
        the columns without `n_planned`, which the study adds; None for what one value cannot say.

    Raises:
        Refusal: no value at all.

    Cost: below a millisecond.
    """
    x = table.x
    at_least(len(x), 1, "values")
    n, mean = len(x), float(x.mean())
    out: dict[str, float | None] = dict.fromkeys(COLUMNS)
    del out["n_planned"]
    out |= {"mean": mean, "median": float(np.median(x)), "min": float(x.min()), "max": float(x.max()), "n": n}
    if n < 2:
        return out
    sd = effects.spread_of(x, float(np.abs(x).max()))
    se, tail = sd / math.sqrt(n), 0.5 * (1.0 - confidence)
    reach = t_quantile(1.0 - tail, n - 1) * se
    median_low, median_high = _median_interval(x, confidence)
    return out | {
        "sd": sd,
        "se": se,
        "low": mean - reach,
        "high": mean + reach,
        "median_low": median_low,
        "median_high": median_high,
        "sd_low": sd * math.sqrt((n - 1) / float(special.chdtri(n - 1, tail))),
        "sd_high": sd * math.sqrt((n - 1) / float(special.chdtri(n - 1, 1.0 - tail))),
    }
