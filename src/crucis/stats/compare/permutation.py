"""Sign-flip permutation test: exact for few pairs, without any assumption but symmetry of each difference.

Under the null hypothesis the sign of every difference a - b is a coin. All 2^n flips are tried up to 16 pairs; above,
9,999 random ones, p = (1 + count) / (10,000). Effect = mean of a - b (or the geometric mean of a / b); the interval
holds the means that the same test would not reject, so that interval and p always agree. With fewer than 6 pairs no
95 % interval is finite and no two-sided p reaches 0.05 (smallest: 0.25, 0.125, 0.0625 for n = 3, 4, 5): the bounds are
then left empty, and the plan says so beforehand. Symmetry is what it rests on: with exponential differences of mean 0
p alarms in 9 % at n = 10 and the interval covers 90 % (simulated): distrust it there.

Reference case: a - b = 1, 2, 3, 4, 5, 6 gives effect 3.5, p = 2 / 64, interval 1 to 6.
Source: Fisher (1935), The Design of Experiments; interval: Hartigan (1969), doi:10.1080/01621459.1969.10501057.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np

from ...errors import Refusal
from .. import effects, power, verdicts
from ..differences import back, of_pairs
from ..flips import flip
from ..table import Pairs

REVISION = 1
RANDOM = True
COLUMNS = {
    "effect": {"unit": "same", "range": [None, None], "axes": [], "headline": True, "interval": ["low", "high"]},
    "low": {"unit": "same", "range": [None, None], "axes": []},
    "high": {"unit": "same", "range": [None, None], "axes": []},
    "p": {"unit": "probability", "range": [0, 1], "axes": [], "headline": True},
    "p_raw": {"unit": "probability", "range": [0, 1], "axes": []},
    "n": {"unit": "count", "range": [0, None], "axes": []},
    "n_planned": {"unit": "count", "range": [0, None], "axes": []},
    "se": {"unit": "same", "range": [0, None], "axes": []},
    "dz": {"unit": "sd", "range": [None, None], "axes": [], "interval": ["dz_low", "dz_high"]},
    "dz_low": {"unit": "sd", "range": [None, None], "axes": []},
    "dz_high": {"unit": "sd", "range": [None, None], "axes": []},
    "g": {"unit": "sd", "range": [None, None], "axes": []},
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
    stream: np.random.Generator | None = None,
    *,
    confidence: float = 0.95,
    scale: Literal["difference", "ratio"] = "difference",
    higher: bool = True,
) -> dict[str, float | None]:
    """The mean difference of pairs with its exact p and interval.

    Args:
        stream: random numbers for more than 16 pairs; unused below.
        confidence: of every interval, in (0, 1).
        scale: `difference` (a - b, in the column's unit) or `ratio` (a / b, geometric mean; values above 0).
        higher: whether larger values are better, for the words `better` and `worse`.

    Returns:
        as `paired_t` (nothing is called equivalent), and `smallest_p`, the smallest p that this test can give with n
        pairs. The interval of dz is that of normal differences; dz and its interval are empty if all differences are
        equal.

    Raises:
        Refusal: fewer than two pairs; all differences zero; ratios of values <= 0.

    Cost: 2^n sums, below 10 ms at n = 16.
    """
    d, size = of_pairs(table, scale)
    n, mean = len(d), float(d.mean())
    sd, to = effects.spread_of(d, size), back(scale)
    if sd == 0.0 and abs(mean) <= 16.0 * np.finfo(float).eps * size:
        raise Refusal("degenerate", f"all {n} differences are zero, so every sign flip gives the same mean")
    p, low, high = flip(d, confidence, stream)
    alpha = (1.0 - confidence) / table.family
    smallest = power.detectable_pairs(n, alpha, exact=True)

    def decided(pairs: int, level: float) -> bool:
        return power.expected_flip(mean, sd, pairs, level)

    verdict = verdicts.of_test(p, mean, n, decided, alpha=alpha, higher=higher)
    return {
        "effect": to(mean),
        "low": to(low),
        "high": to(high),
        "p": p,
        "p_raw": p,
        "n": n,
        "se": sd / math.sqrt(n),
        **effects.paired(mean, sd, n, confidence),
        "smallest_detectable": None if smallest is None or sd == 0.0 else to(smallest * sd),
        "smallest_p": power.attainable_flip(n),
        **verdict.columns(),
    }
