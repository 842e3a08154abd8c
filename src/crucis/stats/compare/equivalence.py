"""Equivalence of pairs: two one-sided t-tests against the smallest difference that matters, and a verdict.

p is small if the difference certainly lies inside +- margin: the larger of the two one-sided p (Schuirmann 1987). A
large p of an ordinary test is no evidence of equivalence; a small p of this one is. The margin is fixed before the
data, in the unit of the column. Exact for normal differences: at a true difference of one margin it alarms in 4.9 to
5.2 % of data while the deviation is at most half a margin, and in fewer if it is larger (1 to 5 % at two margins;
n = 3 to 20, simulated). Distrust it for skewed differences whose long tail points away from zero: 16, 16, 13 and 11 %
for exponential ones at n = 3, 5, 10 and 20, where the interval covers 87, 89 and 90 % (n = 3, 5, 10).
Exactly one of `better`, `worse`, `equivalent`, `inconclusive` is 1, judged at (1 - confidence) / tests in the family,
so no verdict outruns the correction; a difference that is certainly there and certainly inside the margin is
equivalent. `more_pairs` says how many more pairs decide if mean and deviation stay as they are.

Reference case: a - b = 1, 2, 3 with margin 6 gives p = 0.0101 (t = -6.928 on 2 df).
Source: Schuirmann (1987), doi:10.1007/BF01068419; Lakens (2017), doi:10.1177/1948550617697177.
"""

from __future__ import annotations

import math
from typing import Literal

from ...errors import Refusal
from .. import effects, verdicts
from ..differences import back, of_pairs, reach_of
from ..table import Pairs
from ..tails import t_below, t_quantile

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
    "inner_low": {"unit": "same", "range": [None, None], "axes": []},
    "inner_high": {"unit": "same", "range": [None, None], "axes": []},
    "better": {"unit": "1", "range": [0, 1], "axes": []},
    "worse": {"unit": "1", "range": [0, 1], "axes": []},
    "equivalent": {"unit": "1", "range": [0, 1], "axes": [], "headline": True},
    "inconclusive": {"unit": "1", "range": [0, 1], "axes": []},
    "more_pairs": {"unit": "count", "range": [0, None], "axes": []},
}
LIMITS = {"confidence": "(0.5, 1)", "margin": "(0, inf)"}
#: For the conformance suite: a margin, and the true difference at which p must keep its level.
EXAMPLE = {"margin": 1.0}
NULL = 1.0
#: What a small p means; everywhere else: a difference.
P_SAYS = "equivalent"


def estimate(
    table: Pairs,
    *,
    margin: float,
    confidence: float = 0.95,
    scale: Literal["difference", "ratio"] = "difference",
    higher: bool = True,
) -> dict[str, float | None]:
    """Whether pairs differ by less than a margin.

    Args:
        margin: the smallest difference that matters, in the column's unit; for `ratio` a factor above 1.
        confidence: of the interval, in (0.5, 1); alpha is 1 - confidence.
        scale: `difference` (a - b) or `ratio` (a / b, geometric mean; values above 0).
        higher: whether larger values are better, for the words `better` and `worse`.

    Returns:
        the columns without `p` corrected and `n_planned`, which the study adds. `inner_low`, `inner_high` is the
        1 - 2 alpha interval, which lies inside +- margin exactly if the uncorrected p is below alpha.

    Raises:
        Refusal: fewer than two pairs; all differences equal; a ratio margin of at most 1; ratios of values <= 0.

    Cost: below a millisecond.
    """
    d, size = of_pairs(table, scale)
    n, mean, alpha = len(d), float(d.mean()), 1.0 - confidence
    reach = reach_of(margin, scale)
    sd = effects.spread_of(d, size)
    if sd == 0.0:
        raise Refusal("degenerate", f"all {n} differences equal {mean:.6g}: without spread there is no t-test")
    se, to = sd / math.sqrt(n), back(scale)
    outer, inner = t_quantile(1.0 - 0.5 * alpha, n - 1) * se, t_quantile(1.0 - alpha, n - 1) * se
    p = t_below((abs(mean) - reach) / se, n - 1)
    verdict = verdicts.judge(mean, sd, n, alpha=alpha / table.family, margin=reach, higher=higher)
    return {
        "effect": to(mean),
        "low": to(mean - outer),
        "high": to(mean + outer),
        "p": p,
        "p_raw": p,
        "n": n,
        "inner_low": to(mean - inner),
        "inner_high": to(mean + inner),
        **verdict.columns(),
    }
