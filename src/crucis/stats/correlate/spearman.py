"""Spearman's rank correlation: whether y rises with x, in whatever shape.

rho = Pearson's correlation of midranks. p is exact over all n! orders up to 8 units, ties included; above, Student's t
with n - 2 degrees of freedom. Interval on Fisher's scale with the variance (1 + rho^2 / 2) / (n - 3).
Simulated coverage of 95 % intervals (bivariate normal): 93.5 to 97 % for n >= 10 and true rho up to 0.95, up to 99 %
below. Many ties make the interval too short: distrust it when more than half the units are tied.

Reference case: x = 1, 2, 3, 4, 5 and y = 2, 1, 4, 3, 5 gives rho = 0.8, p = 16 / 120.
Source: Spearman (1904), doi:10.2307/1412159; interval: Bonett and Wright (2000), doi:10.1007/BF02294183.
"""

from __future__ import annotations

from .. import power, ranks
from ..table import Points, at_least

REVISION = 1
RANDOM = False
TRUTH = "spearman"  # what it estimates in a bivariate normal, for the conformance suite
COLUMNS = {
    "rho": {"unit": "1", "range": [-1, 1], "axes": [], "headline": True, "interval": ["low", "high"]},
    "low": {"unit": "1", "range": [-1, 1], "axes": []},
    "high": {"unit": "1", "range": [-1, 1], "axes": []},
    "p": {"unit": "probability", "range": [0, 1], "axes": [], "headline": True},
    "p_raw": {"unit": "probability", "range": [0, 1], "axes": []},
    "n": {"unit": "count", "range": [0, None], "axes": []},
    "n_planned": {"unit": "count", "range": [0, None], "axes": []},
    "ties": {"unit": "count", "range": [0, None], "axes": []},
    "smallest_significant": {"unit": "1", "range": [0, 1], "axes": []},
}
LIMITS = {"confidence": "(0, 1)"}


def estimate(table: Points, *, confidence: float = 0.95) -> dict[str, float | None]:
    """Spearman's rho of x and y with its interval and p.

    Args:
        confidence: of the interval, in (0, 1).

    Returns:
        the columns without `p` corrected and `n_planned`, which the study adds. `ties` counts the units whose x or y
        equals that of another; `smallest_significant` is the smallest |rho| (no ties) that reaches the level
        (1 - confidence) / family with n units, None if none can; `low` and `high` are None with too few units for an
        interval.

    Raises:
        Refusal: fewer than three units; all x or all y equal.

    Cost: n! * n up to 8 units (4 ms at 8), n log n above.
    """
    x, y, n = table.x, table.y, len(table.x)
    at_least(n, 3, "units")
    ranks.varied(x, "x")
    ranks.varied(y, "y")
    rx, ry = ranks.midranks(x), ranks.midranks(y)
    rho = ranks.correlation(rx, ry)
    p = ranks.p_spearman(rx, ry) if n <= ranks.EXACT else ranks.p_student(rho, n - 2)
    low, high = ranks.fisher_interval(rho, n, "spearman", confidence)
    smallest = power.significant_correlation(n, (1.0 - confidence) / table.family, "spearman")
    return {
        "rho": rho,
        "low": low,
        "high": high,
        "p": p,
        "p_raw": p,
        "n": n,
        "ties": ranks.ties(x, y),
        "smallest_significant": smallest,
    }
