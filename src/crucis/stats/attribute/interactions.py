"""Interaction of two components: how much the effect of the one depends on the other.

Per block (seed): (both - only the one) - (only the other - neither), averaged over the states of all other components,
then Student's t over blocks. Above 0: together they give more than the sum of what each gives alone. `excess` answers
the ablation's question at the whole method: the loss from removing both, less the sum of the two single losses; above
0, removing both hurts more than the sum (each stands in for the other). In a balanced fraction the product of the two
signs takes the place of squares; `aliased` counts what cannot be told from it. The classical effect of textbooks is
half of this.

Reference case: blocks (0, 1, 2, 5) and (0, 1, 2, 7) of none, first, second, both: effect 3, excess -3.
Source: Montgomery (2017), Design and Analysis of Experiments, 9th edition, chapter 6.
"""

from __future__ import annotations

from .. import contrast, factorial
from ..table import Design

REVISION = 1
RANDOM = False
CONTRAST = True
PAIR = True
COLUMNS = {
    "effect": {"unit": "same", "range": [None, None], "axes": [], "headline": True, "interval": ["low", "high"]},
    "low": {"unit": "same", "range": [None, None], "axes": []},
    "high": {"unit": "same", "range": [None, None], "axes": []},
    "p": {"unit": "probability", "range": [0, 1], "axes": [], "headline": True},
    "p_raw": {"unit": "probability", "range": [0, 1], "axes": []},
    "n": {"unit": "count", "range": [0, None], "axes": []},
    "n_planned": {"unit": "count", "range": [0, None], "axes": []},
    "se": {"unit": "same", "range": [0, None], "axes": []},
    "smallest_detectable": {"unit": "same", "range": [0, None], "axes": []},
    "better": {"unit": "1", "range": [0, 1], "axes": []},
    "worse": {"unit": "1", "range": [0, 1], "axes": []},
    "equivalent": {"unit": "1", "range": [0, 1], "axes": []},
    "inconclusive": {"unit": "1", "range": [0, 1], "axes": []},
    "more_pairs": {"unit": "count", "range": [0, None], "axes": []},
    "contexts": {"unit": "count", "range": [0, None], "axes": []},
    "aliased": {"unit": "count", "range": [0, None], "axes": []},
    "excess": {"unit": "same", "range": [None, None], "axes": [], "interval": ["excess_low", "excess_high"]},
    "excess_low": {"unit": "same", "range": [None, None], "axes": []},
    "excess_high": {"unit": "same", "range": [None, None], "axes": []},
}
LIMITS = {"confidence": "(0, 1)", "margin": "(0, inf)"}


def estimate(
    table: Design, *, confidence: float = 0.95, margin: float | None = None, higher: bool = True
) -> dict[str, float | None]:
    """The interaction of two components with its interval, p and verdict; `excess` is None without the runs it needs.

    Args:
        table: blocks of runs, `focus` on two components.
        confidence: of the interval, in (0, 1).
        margin: the largest effect that does not matter, in the column's unit; without it nothing is ever equivalent.
        higher: whether larger values of the column are better.

    Raises:
        Refusal: fewer than two blocks; no spread; no four runs differ in the two components alone.

    Cost: below a millisecond.
    """
    weights = factorial.weights(table.coded, table.focus, table.names)
    out = contrast.student(table, weights, confidence=confidence, margin=margin, higher=higher)
    extra = factorial.excess(table.coded, table.focus)
    both = None if extra is None else contrast.reach(table, extra, confidence)
    middle, low, high = (None, None, None) if both is None else both
    return {
        **out,
        "contexts": factorial.contexts(table.coded, table.focus),
        "aliased": len(factorial.aliases(table.coded, table.focus, table.names)),
        "excess": middle,
        "excess_low": low,
        "excess_high": high,
    }
