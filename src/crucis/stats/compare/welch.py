"""Welch's t-test: the two sides as independent samples, for values that share nothing but their label.

A study pairs by seed, and this test throws that away: with 5 seeds of deviation 1, noise of 0.3 within a run and a true
difference of 0.5 it finds the difference in 2 % of studies, `paired_t` in 51 % (simulated). Use it only where the
two sides really have nothing in common, or beside `paired_t` to see what pairing was worth: `pairing` is the
correlation of the two sides over the pairs. At 0 both agree; below 0 this interval is too narrow: distrust it.
Rows without a partner are listed as missing and not used.

Reference case: a = 1, 2, 3 and b = 2, 4, 9 gives effect -3, df = 2.306, p = 0.2838.
Source: Welch (1947), doi:10.1093/biomet/34.1-2.28; cliff: Cliff (1993),
doi:10.1037/0033-2909.114.3.494; g: Hedges (1981), doi:10.2307/1164588.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np

from .. import effects, verdicts
from ..differences import back, of_pairs
from ..independent import welch
from ..table import Pairs
from ..tails import t_quantile

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
    "se": {"unit": "same", "range": [0, None], "axes": []},
    "df": {"unit": "1", "range": [0, None], "axes": []},
    "g": {"unit": "sd", "range": [None, None], "axes": [], "interval": ["g_low", "g_high"]},
    "g_low": {"unit": "sd", "range": [None, None], "axes": []},
    "g_high": {"unit": "sd", "range": [None, None], "axes": []},
    "cliff": {"unit": "1", "range": [-1, 1], "axes": [], "interval": ["cliff_low", "cliff_high"]},
    "cliff_low": {"unit": "1", "range": [-1, 1], "axes": []},
    "cliff_high": {"unit": "1", "range": [-1, 1], "axes": []},
    "pairing": {"unit": "1", "range": [-1, 1], "axes": []},
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
    """The difference of two means as if rows were not paired.

    Args:
        confidence: of every interval, in (0, 1).
        scale: `difference` (a - b, in the column's unit) or `ratio` (a / b, geometric means; values above 0).
        higher: whether larger values are better, for the words `better` and `worse`.

    Returns:
        the columns without `p` corrected and `n_planned`, which the study adds; `n` counts rows, that is, values per
        side. `pairing` is None if one side has no spread.

    Raises:
        Refusal: fewer than two rows; no spread on either side; ratios of values <= 0.

    Cost: below a millisecond.
    """
    _, size = of_pairs(table, scale)
    a, b = (np.log(table.a), np.log(table.b)) if scale == "ratio" else (table.a, table.b)
    found, to = welch(a, b, confidence, size), back(scale)
    spread = float(a.std()) * float(b.std())
    together = float(np.mean((a - a.mean()) * (b - b.mean()))) / spread if spread > 0.0 else None
    delta = effects.cliff(a, b, confidence)
    n = len(a)

    def decided(rows: int, level: float) -> bool:
        edge = t_quantile(1.0 - 0.5 * level, found.df * (rows - 1) / (n - 1))
        return abs(found.mean) > edge * found.se * math.sqrt(n / rows)

    alpha = (1.0 - confidence) / table.family
    verdict = verdicts.of_test(found.p, found.mean, n, decided, alpha=alpha, higher=higher)
    return {
        "effect": to(found.mean),
        "low": to(found.low),
        "high": to(found.high),
        "p": found.p,
        "p_raw": found.p,
        "n": n,
        "se": found.se,
        "df": found.df,
        **effects.hedges(a, b, confidence),
        **{name: delta[name] for name in ("cliff", "cliff_low", "cliff_high")},
        "pairing": together if together is None or not math.isfinite(together) else max(-1.0, min(1.0, together)),
        **verdict.columns(),
    }
