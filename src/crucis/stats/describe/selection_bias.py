"""Selection bias of a search: what it reported of its winner, minus what the winner reaches with fresh seeds.

The best of many noisy trials is partly lucky, so its own score is too good; the more trials and the fewer seeds each,
the more. `bias` is found minus confirmed: above 0 for a search that maximises and was too hopeful, below 0 for one that
minimises. `of` names two columns: the search's `best` (one number per search, so `pool: seed`) and the same metric of
its winner trained again with seeds that the search never used. The interval is Student's t over the fresh seeds, for
this winner of this search; how other searches would have fared it does not say. Report `confirmed`, not `found`.

Reference case: found 5, confirmed 1, 2, 3 gives bias 3 with the interval 0.516 to 5.484.
Source: Cawley and Talbot (2010), JMLR 11:2079; Student (1908), doi:10.1093/biomet/6.1.1.
"""

from __future__ import annotations

import math

from ..panel import Selection
from ..table import at_least
from ..tails import t_quantile

REVISION = 1
RANDOM = False
#: The table holds what a search found and what its winner reaches again.
TABLE = "selection"
COLUMNS = {
    "bias": {"unit": "same", "range": [None, None], "axes": [], "headline": True, "interval": ["low", "high"]},
    "low": {"unit": "same", "range": [None, None], "axes": []},
    "high": {"unit": "same", "range": [None, None], "axes": []},
    "found": {"unit": "same", "range": [None, None], "axes": []},
    "confirmed": {"unit": "same", "range": [None, None], "axes": [], "estimate": True},
    "se": {"unit": "same", "range": [0, None], "axes": []},
    "n": {"unit": "count", "range": [0, None], "axes": []},
    "n_planned": {"unit": "count", "range": [0, None], "axes": []},
}
LIMITS = {"confidence": "(0, 1)"}


def estimate(table: Selection, *, confidence: float = 0.95) -> dict[str, float | None]:
    """Found minus confirmed, with its interval over the fresh seeds.

    Args:
        confidence: of the interval, in (0, 1).

    Returns:
        the columns without `n_planned`, which the study adds; `n` counts fresh seeds.

    Raises:
        Refusal: fewer than two fresh seeds.

    Cost: below a millisecond.
    """
    x = table.confirmed
    at_least(len(x), 2, "fresh seeds")
    confirmed = float(x.mean())
    se = float(x.std(ddof=1)) / math.sqrt(len(x))
    bias, reach = table.found - confirmed, t_quantile(0.5 + 0.5 * confidence, len(x) - 1) * se
    return {
        "bias": bias,
        "low": bias - reach,
        "high": bias + reach,
        "found": table.found,
        "confirmed": confirmed,
        "se": se,
        "n": len(x),
    }
