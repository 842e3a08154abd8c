"""Friedman ranks of all levels within each row, and for each pair of levels how far apart their mean ranks are.

For many methods on many data sets (or seeds): only the order within a row counts. `p` of a pair is exact for any number
of rows and any ties under the hypothesis that all orders of the levels are as likely, and is corrected with the family
like any other p; `nemenyi` is the classical alternative, corrected in itself for all pairs of levels but not by the
study, which goes with `critical_difference` (mean ranks further apart than it differ) and is normal: with n below 10 it
is rough. `omnibus` is the p of no difference at all (chi-squared). Mean ranks of two levels depend on which other
levels stand beside them, so adding a weak method can change a verdict: where two methods are the question ask
`wilcoxon` (Benavoli, Corani and Mangili 2016, JMLR 17:5). Rows lacking a level are not left out: the leaf refuses.
Rank 1 is the smallest value. Effect and interval are those of `wilcoxon` for the pair.

Reference case: rows (1, 2, 3) four times: omnibus 0.0183, p of first against last 2 / 6^4, critical difference 1.657.
Source: Friedman (1937), doi:10.1080/01621459.1937.10503522; Demsar (2006), JMLR 7:1; exact p: Eisinga et al. (2017),
doi:10.1186/s12859-017-1486-2.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from ...errors import Refusal
from .. import friedman_ranks, verdicts
from ..differences import back, of_pairs
from ..signed_ranks import centre
from ..table import Blocks, Pairs

REVISION = 1
RANDOM = False
#: The table holds all levels, not two of them.
BLOCKS = True
COLUMNS = {
    "effect": {"unit": "same", "range": [None, None], "axes": [], "headline": True, "interval": ["low", "high"]},
    "low": {"unit": "same", "range": [None, None], "axes": []},
    "high": {"unit": "same", "range": [None, None], "axes": []},
    "p": {"unit": "probability", "range": [0, 1], "axes": [], "headline": True},
    "p_raw": {"unit": "probability", "range": [0, 1], "axes": []},
    "n": {"unit": "count", "range": [0, None], "axes": []},
    "n_planned": {"unit": "count", "range": [0, None], "axes": []},
    "rank_a": {"unit": "1", "range": [1, None], "axes": []},
    "rank_b": {"unit": "1", "range": [1, None], "axes": []},
    "levels": {"unit": "count", "range": [2, None], "axes": []},
    "chi2": {"unit": "1", "range": [0, None], "axes": []},
    "omnibus": {"unit": "probability", "range": [0, 1], "axes": []},
    "nemenyi": {"unit": "probability", "range": [0, 1], "axes": []},
    "critical_difference": {"unit": "1", "range": [0, None], "axes": []},
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
    """Mean ranks of two levels among all, their p, and the p of no difference among the levels.

    Args:
        confidence: of the interval; 1 - confidence is the level of the critical difference, in (0, 1).
        scale: `difference` or `ratio`, of the effect; ranks do not change with it.
        higher: whether larger values are better, for the words `better` and `worse`.

    Returns:
        the columns without `p` corrected and `n_planned`, which the study adds.

    Raises:
        Refusal: fewer than two rows; a planned row that lacks a level; every row one tie; ratios of values <= 0.

    Cost: (rows * levels)^2; 1 ms for 20 rows of 5 levels.
    """
    d, _ = of_pairs(table, scale)
    blocks = table.blocks or Blocks(np.column_stack([table.a, table.b]), 0, 1)
    n, k = blocks.values.shape
    if blocks.torn:
        raise Refusal(
            "not_applicable", f"{blocks.torn} rows lack one of the {k} levels; ranks need every level in a row"
        )
    if n < 2:
        raise Refusal("too_few", f"{n} rows hold all {k} levels, at least 2 are needed")
    ranks = friedman_ranks.within_rows(blocks.values)
    if float(np.ptp(ranks)) == 0.0:
        raise Refusal("degenerate", f"in all {n} rows all {k} levels are equal, so nothing has a rank")
    (middle, low, high), to = centre(d, confidence), back(scale)
    p = friedman_ranks.p_pair(ranks, blocks.a, blocks.b)
    rank_a, rank_b = float(ranks[:, blocks.a].mean()), float(ranks[:, blocks.b].mean())

    def decided(rows: int, level: float) -> bool:
        return friedman_ranks.expected_pair(rank_a - rank_b, rows, k, level)

    alpha = (1.0 - confidence) / table.family
    verdict = verdicts.of_test(p, rank_a - rank_b, n, decided, alpha=alpha, higher=higher)
    return {
        "effect": to(middle),
        "low": to(low),
        "high": to(high),
        "p": p,
        "p_raw": p,
        "n": len(d),
        "rank_a": rank_a,
        "rank_b": rank_b,
        "levels": k,
        "chi2": friedman_ranks.chi_squared(ranks),
        "omnibus": friedman_ranks.p_omnibus(ranks),
        "nemenyi": friedman_ranks.p_nemenyi(ranks, blocks.a, blocks.b),
        "critical_difference": friedman_ranks.critical_difference(n, k, round(1.0 - confidence, 12)),
        "smallest_p": friedman_ranks.smallest_p(n, k),
        **verdict.columns(),
    }
