"""Kendall's tau-b: how much likelier two units stand in the same order in x and y than in opposite order.

tau-b = S / sqrt((pairs - ties in x) (pairs - ties in y)). p is exact over all orders up to 8 units, ties included; up
to 33 units without ties by the distribution of inversions; else the normal approximation with tie-corrected variance.
Interval on Fisher's scale with the variance 0.437 / (n - 4).
Simulated coverage of 95 % intervals (bivariate normal): 93 to 97 % for n >= 8 and a true tau up to 0.6; 91 to 93 % at a
true tau of 0.8 and n from 8 to 19: distrust the interval of so strong an association with so few units.

Reference case: x = 1, 2, 3, 4 and y = 1, 2, 4, 3 gives tau = 2 / 3, p = 8 / 24.
Source: Kendall (1938), doi:10.1093/biomet/30.1-2.81; interval: Fieller, Hartley and Pearson (1957),
doi:10.1093/biomet/44.3-4.470.
"""

from __future__ import annotations

import math

from .. import power, ranks
from ..table import Points, at_least

REVISION = 1
RANDOM = False
TRUTH = "kendall"  # what it estimates in a bivariate normal, for the conformance suite
COLUMNS = {
    "tau": {"unit": "1", "range": [-1, 1], "axes": [], "headline": True, "interval": ["low", "high"]},
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
    """Kendall's tau-b of x and y with its interval and p.

    Args:
        confidence: of the interval, in (0, 1).

    Returns:
        the columns without `p` corrected and `n_planned`, which the study adds. `ties` counts the units whose x or y
        equals that of another; `smallest_significant` is the smallest |tau| (no ties) that reaches the level
        (1 - confidence) / family with n units, None if none can; `low` and `high` are None with too few units for an
        interval.

    Raises:
        Refusal: fewer than three units; all x or all y equal.

    Cost: n! * n^2 / 2 up to 8 units (10 ms at 8), n^2 above.
    """
    x, y, n = table.x, table.y, len(table.x)
    at_least(n, 3, "units")
    ranks.varied(x, "x")
    ranks.varied(y, "y")
    s, x_ties, y_ties, pairs = ranks.concordance(x, y)
    tau = max(-1.0, min(1.0, s / math.sqrt((pairs - x_ties) * (pairs - y_ties))))
    p = ranks.p_kendall(x, y)
    low, high = ranks.fisher_interval(tau, n, "kendall", confidence)
    smallest = power.significant_correlation(n, (1.0 - confidence) / table.family, "kendall")
    return {
        "tau": tau,
        "low": low,
        "high": high,
        "p": p,
        "p_raw": p,
        "n": n,
        "ties": ranks.ties(x, y),
        "smallest_significant": smallest,
    }
