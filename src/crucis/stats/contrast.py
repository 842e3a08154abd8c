"""Student's t on one contrast per block (seed): effect, interval, p and the verdict on a component."""

from __future__ import annotations

import math

import numpy as np

from ..errors import Refusal
from . import effects, power, verdicts
from .table import Array, Design, at_least
from .tails import t_quantile, t_two_sided


def student(
    table: Design, weights: Array, *, confidence: float, margin: float | None, higher: bool
) -> dict[str, float | None]:
    """Mean of the contrast over blocks with its t interval; blocks are paired by construction.

    The verdict is the recommendation on a component: `better` keep it; `worse` or `equivalent` (its whole effect is
    smaller than the margin) drop it; `inconclusive` undecided, with the blocks that would decide in `more_pairs`.

    Raises:
        Refusal: fewer than two blocks; the contrast is the same in all of them.
    """
    at_least(len(table.y), 2, "blocks (seeds)")
    d = table.y @ weights
    n, mean = len(d), float(d.mean())
    sd = effects.spread_of(d, float(np.abs(table.y).max()))
    if sd == 0.0:
        raise Refusal("degenerate", f"all {n} contrasts equal {mean:.6g}: without spread there is no t-test")
    se = sd / math.sqrt(n)
    reach = t_quantile(0.5 + 0.5 * confidence, n - 1) * se
    alpha = (1.0 - confidence) / table.family
    smallest = power.detectable_pairs(n, alpha)
    p = t_two_sided(mean / se, n - 1)
    return {
        "effect": mean, "low": mean - reach, "high": mean + reach, "p": p, "p_raw": p, "n": n, "se": se,
        "smallest_detectable": None if smallest is None else smallest * sd,
        **verdicts.judge(mean, sd, n, alpha=alpha, margin=margin, higher=higher).columns(),
    }  # fmt: skip


def reach(table: Design, weights: Array, confidence: float) -> tuple[float, float, float]:
    """(mean, low, high) of a contrast over at least two blocks, by Student's t; without spread a point."""
    d = table.y @ weights
    mean, n = float(d.mean()), len(d)
    half = t_quantile(0.5 + 0.5 * confidence, n - 1) * float(d.std(ddof=1)) / math.sqrt(n)
    return mean, mean - half, mean + half
