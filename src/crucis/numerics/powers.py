"""How a quantity grows with another: the exponent of a power law, fitted on logarithms, with its interval."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import stats


@dataclass(frozen=True)
class Exponent:
    """`value`, its standard error `se`, and the ends `low` and `high` of the confidence interval."""

    value: float
    se: float
    low: float
    high: float


def exponent(x: np.ndarray, y: np.ndarray, *, confidence: float = 0.95) -> Exponent:
    """The slope of log y against log x by least squares.

    Args:
        x, y: (n,) positive, n >= 3, x not all equal.
        confidence: of the interval (Student's t with n - 2 degrees of freedom).

    Source: N. Draper, H. Smith, Applied Regression Analysis, 1998, section 1.4.
    Reference case: y = x ** 2 has the exponent 2 with the standard error 0.
    """
    u, v = np.log(np.asarray(x, dtype=np.float64)), np.log(np.asarray(y, dtype=np.float64))
    spread = float(((u - u.mean()) ** 2).sum())
    slope = float(((u - u.mean()) * (v - v.mean())).sum()) / spread
    rest = v - v.mean() - slope * (u - u.mean())
    se = math.sqrt(float((rest**2).sum()) / (len(u) - 2) / spread)
    half = float(stats.t.ppf(0.5 + confidence / 2, len(u) - 2)) * se
    return Exponent(slope, se, slope - half, slope + half)
