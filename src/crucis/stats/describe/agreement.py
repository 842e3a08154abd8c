"""Agreement of rankings: whether the levels of an axis (data sets, schemes, slices) put the units in the same order.

`concordance` is Kendall's W, corrected for ties: 1 if all levels rank alike, about 1 / levels if they are unrelated. It
needs every unit at every level and is empty with fewer than two such units; `spearman` (mean over pairs of levels) and
`alike` (share of pairs of units that two levels order alike, 0.5 for no relation) use for each pair of levels the units
that both have. `p` is that of random orders by permutation, `p_chi2` the chi-squared approximation, too cautious with
few units. `icc` compares the values themselves, not their order: the share of all variance that lies between units
(Shrout and Fleiss, one-way); its interval holds for normal values and levels without a shift of their own, so distrust
it where a level lifts every unit. The levels are taken as they are: nothing here says how other levels would rank.

Reference case: three equal orders of 4 units give W = 1, chi-squared 9.
Source: Kendall and Babington Smith (1939), doi:10.1214/aoms/1177732186; ICC: Shrout and Fleiss (1979),
doi:10.1037/0033-2909.86.2.420.
"""

from __future__ import annotations

import numpy as np
from scipy import special

from ...errors import Refusal
from .. import concordance
from ..panel import Panel
from ..table import at_least

REVISION = 1
RANDOM = True
#: The table holds units over the levels of `along`.
TABLE = "panel"
COLUMNS = {
    "concordance": {"unit": "1", "range": [0, 1], "axes": [], "headline": True, "estimate": True},
    "p": {"unit": "probability", "range": [0, 1], "axes": [], "headline": True},
    "p_raw": {"unit": "probability", "range": [0, 1], "axes": []},
    "chi2": {"unit": "1", "range": [0, None], "axes": []},
    "p_chi2": {"unit": "probability", "range": [0, 1], "axes": []},
    "spearman": {"unit": "1", "range": [-1, 1], "axes": [], "estimate": True},
    "alike": {"unit": "1", "range": [0, 1], "axes": [], "estimate": True},
    "icc": {"unit": "1", "range": [-1, 1], "axes": [], "interval": ["icc_low", "icc_high"]},
    "icc_low": {"unit": "1", "range": [-1, 1], "axes": []},
    "icc_high": {"unit": "1", "range": [-1, 1], "axes": []},
    "levels": {"unit": "count", "range": [2, None], "axes": []},
    "n": {"unit": "count", "range": [0, None], "axes": []},
    "n_planned": {"unit": "count", "range": [0, None], "axes": []},
}
LIMITS = {"confidence": "(0, 1)", "draws": "[99, 1000000]"}
#: For the conformance suite: fewer permutations.
EXAMPLE = {"draws": 199}


def estimate(
    table: Panel, stream: np.random.Generator, *, confidence: float = 0.95, draws: int = 9_999
) -> dict[str, float | None]:
    """Concordance of rankings, rank correlations of pairs of levels, and the intraclass correlation.

    Args:
        stream: random numbers of the permutations.
        confidence: of the interval of `icc`, in (0, 1).
        draws: permutations.

    Returns:
        the columns without `p` corrected and `n_planned`, which the study adds. What needs every level is None with
        fewer than two units that have them all.

    Raises:
        Refusal: fewer than two levels or two units; no pair of levels with two units in common and an order in both.

    Cost: draws * units * levels; 0.05 s for 10,000 permutations of 12 units over 3 levels.
    """
    at_least(table.values.shape[1], 2, "levels")
    at_least(table.values.shape[0], 2, "units")
    pairs, share = concordance.spearman_pairs(table.values), concordance.alike(table.values)
    if not pairs or share is None:
        raise Refusal("degenerate", "no two levels have two units in common and an order of them, so nothing agrees")
    whole = table.whole
    n, levels = whole.shape
    out: dict[str, float | None] = dict.fromkeys(COLUMNS)
    del out["n_planned"]
    out |= {"spearman": float(np.mean(pairs)), "alike": share, "levels": levels, "n": len(table.values)}
    if n < 2:
        return out
    found = concordance.kendall_w(whole)
    if found is not None:
        p = concordance.p_permuted(whole, stream, draws)
        out |= {"concordance": found[0], "p": p, "p_raw": p, "chi2": found[1]}
        out["p_chi2"] = float(special.chdtrc(n - 1, found[1]))
    inside = concordance.icc(whole, confidence)
    if inside is not None:
        out["icc"], out["icc_low"], out["icc_high"] = inside
    return out
