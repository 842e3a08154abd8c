"""Kruskal-Wallis test: whether several independent groups of values come from one distribution, by ranks.

One test for all levels at once: it says that some level differs, not which, so it takes no `against`; ask `friedman`
where rows are paired. `effect_size` is epsilon-squared, H / (n - 1): the share of the spread of ranks that lies between
levels, from 0 to 1, and above 0 by chance alone: (levels - 1) / (n - 1) on average. `share` is the share of
the variance of the values themselves between the levels; its interval (noncentral F) holds for normal values of one
variance, so distrust it for others; groups closer than chance lets them be have the interval 0 to 0. `p` is by
permutation where a group has fewer than 5 values and by chi-squared otherwise (`p_by` forces one); both are corrected
for ties.

With `unit: slice` the values are the slices of each network. They are no independent replicates: all lie in the same
landscape, so the test asks whether networks differ beyond the noise of drawing directions, and nothing about
other trainings of the same architecture. Distrust it as evidence about architectures; for that the seeds must be the
replicates (leave `unit` out).

Reference case: groups 1, 2, 3 and 4, 5, 6 and 7, 8, 9 give H = 7.2, chi-squared p = 0.0273, exact p = 6 / 1680.
Source: Kruskal and Wallis (1952), doi:10.1080/01621459.1952.10483441; epsilon-squared: Tomczak and Tomczak (2014),
Trends in Sport Sciences 21:19.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from scipy import special

from ...errors import Refusal
from .. import explained
from ..panel import Groups
from ..ranks import midranks
from ..table import at_least

REVISION = 1
RANDOM = True
#: The table holds independent groups, one per level, not pairs.
TABLE = "groups"
COLUMNS = {
    "h": {"unit": "1", "range": [0, None], "axes": [], "headline": True, "estimate": True},
    "p": {"unit": "probability", "range": [0, 1], "axes": [], "headline": True},
    "p_raw": {"unit": "probability", "range": [0, 1], "axes": []},
    "p_chi2": {"unit": "probability", "range": [0, 1], "axes": []},
    "effect_size": {"unit": "1", "range": [0, 1], "axes": [], "headline": True, "estimate": True},
    "share": {"unit": "1", "range": [0, 1], "axes": [], "interval": ["share_low", "share_high"]},
    "share_low": {"unit": "1", "range": [0, 1], "axes": []},
    "share_high": {"unit": "1", "range": [0, 1], "axes": []},
    "df": {"unit": "1", "range": [1, None], "axes": []},
    "levels": {"unit": "count", "range": [2, None], "axes": []},
    "n": {"unit": "count", "range": [0, None], "axes": []},
    "n_planned": {"unit": "count", "range": [0, None], "axes": []},
}
LIMITS = {"confidence": "(0, 1)", "draws": "[99, 1000000]"}
#: For the conformance suite: fewer permutations.
EXAMPLE = {"draws": 199}
#: Smallest group for which chi-squared is used (Kruskal and Wallis 1952).
FEW = 5


def _spread(sums: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """What H rises with: the squared rank sum of each group over its size, summed."""
    return np.asarray((sums**2 / sizes).sum(axis=-1))


def _permuted(ranks: np.ndarray, sizes: np.ndarray, stream: np.random.Generator, draws: int) -> float:
    """(1 + draws with an H at least as large) / (1 + draws) when values are dealt to the groups at random."""
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    seen = float(_spread(np.add.reduceat(ranks, starts), sizes))
    dealt = stream.permuted(np.broadcast_to(ranks, (draws, len(ranks))), axis=1)
    found = _spread(np.add.reduceat(dealt, starts, axis=1), sizes)
    return (1.0 + float((found >= seen * (1.0 - 1e-12)).sum())) / (1.0 + draws)


def estimate(
    table: Groups,
    stream: np.random.Generator,
    *,
    confidence: float = 0.95,
    draws: int = 9_999,
    p_by: Literal["auto", "permutation", "chi2"] = "auto",
) -> dict[str, float | None]:
    """Rank test of several independent groups, with the share of spread between them.

    Args:
        stream: random numbers of the permutations.
        confidence: of the interval of `share`, in (0, 1).
        draws: permutations; the smallest p is 1 / (draws + 1).
        p_by: `permutation`, `chi2`, or `auto`: permutation where a group has fewer than 5 values.

    Returns:
        the columns without `p` corrected and `n_planned`, which the study adds; `n` counts values.

    Raises:
        Refusal: fewer than two groups with a value, as many values as groups, or all values equal.

    Cost: draws * n; 0.05 s for 10,000 permutations of 60 values.
    """
    groups = [one for one in table.values if len(one)]
    at_least(len(groups), 2, "groups with values")
    n = sum(map(len, groups))
    if n == len(groups):
        raise Refusal("too_few", f"one value in each of {n} groups: nothing says how far values of a group differ")
    ranks, sizes = midranks(np.concatenate(groups)), np.array([len(one) for one in groups])
    whole = float(((ranks - 0.5 * (n + 1)) ** 2).sum())
    if whole == 0.0:
        raise Refusal("degenerate", f"all {n} values are equal, so nothing has a rank")
    sums = np.add.reduceat(ranks, np.concatenate([[0], np.cumsum(sizes)[:-1]]))
    h = max(0.0, (n - 1) * (float(_spread(sums, sizes)) - n * (0.5 * (n + 1)) ** 2) / whole)
    p_chi2 = float(special.chdtrc(len(groups) - 1, h))
    shuffled = p_by == "permutation" or (p_by == "auto" and int(sizes.min()) < FEW)
    p = _permuted(ranks, sizes, stream, draws) if shuffled else p_chi2
    share, low, high = explained.between(groups, confidence)
    return {
        "h": h,
        "p": p,
        "p_raw": p,
        "p_chi2": p_chi2,
        "effect_size": min(1.0, h / (n - 1)),
        "share": share,
        "share_low": low,
        "share_high": high,
        "df": len(groups) - 1,
        "levels": len(groups),
        "n": n,
    }
