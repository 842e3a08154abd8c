"""Wilcoxon signed-rank test: exact for paired differences that are symmetric, robust against a few wild seeds.

Under the null hypothesis the sign of every difference a - b is a coin; the null distribution is counted exactly up to
100 pairs, whatever ties there are, and normal above. Zeros are ranked and then left out (Pratt 1959), `zeros` says how
many; differences that agree up to rounding share their rank. Two-sided always: the side is not chosen from the data.
Effect = Hodges-Lehmann estimate (median of the averages of two differences), interval from the order statistics of
these averages. With fewer than 6 pairs no 95 % interval is finite and no two-sided p reaches 0.05 (smallest: 0.25,
0.125, 0.0625 for n = 3, 4, 5): the bounds are then empty, and the plan says so beforehand.
Asymmetric differences move the estimate away from the mean: it is then the centre of the averages, and p, which asks
for symmetry about 0, alarms in 9 % of exponential differences of mean 0 at n = 10 (simulated).

Reference case: a - b = 1, 2, 3, 4, 5, 6 gives effect 3.5, p = 2 / 64, interval 1 to 6, rank_biserial 1.
Source: Wilcoxon (1945), doi:10.2307/3001968; rank_biserial: Kerby (2014), doi:10.2466/11.IT.3.1.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from ...errors import Refusal
from .. import effects, power, verdicts
from ..differences import back, of_pairs
from ..signed_ranks import centre, p_two_sided, signed_ranks
from ..table import Pairs

REVISION = 1
RANDOM = False
COLUMNS = {
    "effect": {"unit": "same", "range": [None, None], "axes": [], "headline": True, "interval": ["low", "high"]},
    "low": {"unit": "same", "range": [None, None], "axes": []},
    "high": {"unit": "same", "range": [None, None], "axes": []},
    "p": {"unit": "probability", "range": [0, 1], "axes": [], "headline": True},
    "p_raw": {"unit": "probability", "range": [0, 1], "axes": []},
    "n": {"unit": "count", "range": [0, None], "axes": []},
    "n_planned": {"unit": "count", "range": [0, None], "axes": []},
    "zeros": {"unit": "count", "range": [0, None], "axes": []},
    "rank_biserial": {"unit": "1", "range": [-1, 1], "axes": []},
    "smallest_detectable": {"unit": "same", "range": [0, None], "axes": []},
    "smallest_p": {"unit": "probability", "range": [0, 1], "axes": []},
    "better": {"unit": "1", "range": [0, 1], "axes": []},
    "worse": {"unit": "1", "range": [0, 1], "axes": []},
    "equivalent": {"unit": "1", "range": [0, 1], "axes": []},
    "inconclusive": {"unit": "1", "range": [0, 1], "axes": []},
    "more_pairs": {"unit": "count", "range": [0, None], "axes": []},
}
LIMITS = {"confidence": "(0, 1)"}


def estimate(
    table: Pairs,
    *,
    confidence: float = 0.95,
    scale: Literal["difference", "ratio"] = "difference",
    higher: bool = True,
) -> dict[str, float | None]:
    """The Hodges-Lehmann difference of pairs with its exact p and interval.

    Args:
        confidence: of the interval, in (0, 1).
        scale: `difference` (a - b, in the column's unit) or `ratio` (a / b, via logarithms; values above 0).
        higher: whether larger values are better, for the words `better` and `worse`.

    Returns:
        the columns without `p` corrected and `n_planned`, which the study adds. `rank_biserial` is the share of rank
        weight in favour of a minus that against it; `smallest_p` the smallest p with n pairs and no zeros;
        `smallest_detectable` the mean difference found with 80 % power at the level (1 - confidence) / family if
        differences are normal with the deviation observed here (None if nothing can be, or without spread).

    Raises:
        Refusal: fewer than two pairs; all differences zero; ratios of values <= 0.

    Cost: n^2 / 2 averages and n^3 / 2 additions; 0.2 ms at n = 20, 10 ms at n = 100.
    """
    d, size = of_pairs(table, scale)
    n, tolerance = len(d), 16.0 * float(np.finfo(float).eps) * size
    ranks, signs = signed_ranks(d, tolerance)
    if not len(ranks):
        raise Refusal("degenerate", f"all {n} differences are zero, so there is no sign to count")
    sd, to = effects.spread_of(d, size), back(scale)
    middle, low, high = centre(d, confidence)
    p = p_two_sided(ranks, signs)
    alpha = (1.0 - confidence) / table.family
    smallest = power.detectable_ranks(n, alpha)

    def decided(pairs: int, level: float) -> bool:
        return power.expected_ranks(middle, sd, pairs, level)

    verdict = verdicts.of_test(p, float(ranks @ signs), n, decided, alpha=alpha, higher=higher)
    return {
        "effect": to(middle),
        "low": to(low),
        "high": to(high),
        "p": p,
        "p_raw": p,
        "n": n,
        "zeros": n - len(ranks),
        "rank_biserial": float(ranks @ signs / ranks.sum()),
        "smallest_detectable": None if smallest is None or sd == 0.0 else to(smallest * sd),
        "smallest_p": 2.0 ** (1 - n),
        **verdict.columns(),
    }
