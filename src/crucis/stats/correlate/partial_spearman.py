"""Partial Spearman correlation: the rank association of x and y that the given variables do not explain.

x, y and every given variable are ranked (midranks), the ranks of x and y are regressed on those of the given ones, and
rho is Pearson's correlation of the residuals. p by Student's t with n - 2 - k degrees of freedom, interval on Fisher's
scale with the variance (1 + rho^2 / 2) / (n - 3 - k); k is the number of given variables. Neither is exact: simulated
false alarms at 0.05 are 4 to 6 % for n >= 8 and k = 1.

Reference case: with one given variable it equals (r_xy - r_xz r_yz) / sqrt((1 - r_xz^2) (1 - r_yz^2)) of the ranks.
Source: Kim (2015), doi:10.5351/CSAM.2015.22.6.665; interval: Bonett and Wright (2000), doi:10.1007/BF02294183.
"""

from __future__ import annotations

from ...errors import Refusal
from .. import power, ranks
from ..table import Points, at_least

REVISION = 1
RANDOM = False
TRUTH = "spearman"  # what it estimates in a bivariate normal, for the conformance suite
GIVEN = True  # needs `given`
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
    """Spearman's rho of x and y with `given` held constant, with its interval and p.

    Args:
        confidence: of the interval, in (0, 1).

    Returns:
        the columns without `p` corrected and `n_planned`, which the study adds. `ties` counts the units whose x or y
        equals that of another; `smallest_significant` is the smallest |rho| (no ties) that reaches the level
        (1 - confidence) / family with n units, None if none can; `low` and `high` are None with too few units for an
        interval.

    Raises:
        Refusal: nothing given; fewer than 4 + k units; a variable that does not vary; given variables that determine
            one another's ranks, or those of x or y.

    Cost: n k^2.
    """
    x, y, given, n = table.x, table.y, table.given, len(table.x)
    if given is None or given.shape[1] == 0:
        raise Refusal("not_applicable", "a partial correlation needs at least one given variable")
    k = given.shape[1]
    at_least(n, 4 + k, "units")
    for name, values in (("x", x), ("y", y), *((f"given {i + 1}", given[:, i]) for i in range(k))):
        ranks.varied(values, name)
    rho = ranks.correlation(ranks.residual(x, given, "x"), ranks.residual(y, given, "y"))
    p = ranks.p_student(rho, n - 2 - k)
    low, high = ranks.fisher_interval(rho, n, "spearman", confidence, k)
    smallest = power.significant_correlation(n, (1.0 - confidence) / table.family, "spearman", k)
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
