"""Main effect of each component: what it adds, averaged over the other components' states that were run.

Per block (seed) the values with the component minus those without it, over pairs of runs that differ in nothing else;
then Student's t over blocks. In a full factorial this is the main effect of the factorial model; among leave-one-out
runs it is full minus without-X. In a balanced fraction it is the mean of one half of the runs minus that of the other,
and `aliased` counts the interactions of two components that the runs cannot tell from it (the notes name them).
Verdict: keep if better; drop if worse, or equivalent within `margin`; else undecided, with `more_pairs` seeds to add.

Reference case: blocks (0, 1, 2, 5) and (0, 1, 2, 7) of none, first, second, both: effect of the first 2.5, p = 0.126.
Source: Yates (1937); Montgomery (2017), Design and Analysis of Experiments, 9th edition, chapter 6.
"""

from __future__ import annotations

from .. import contrast, factorial
from ..table import Design

REVISION = 1
RANDOM = False
CONTRAST = True
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
}
LIMITS = {"confidence": "(0, 1)", "margin": "(0, inf)"}


def estimate(
    table: Design, *, confidence: float = 0.95, margin: float | None = None, higher: bool = True
) -> dict[str, float | None]:
    """The effect of one component with its interval, p and verdict; `contexts` is the number of pairs averaged.

    Args:
        table: blocks of runs, `focus` on one component.
        confidence: of the interval, in (0, 1).
        margin: the largest effect that does not matter, in the column's unit; without it nothing is ever equivalent.
        higher: whether larger values of the column are better.

    Raises:
        Refusal: fewer than two blocks; no spread; no pair of runs differs in the component alone.

    Cost: below a millisecond.
    """
    weights = factorial.weights(table.coded, table.focus, table.names)
    return {
        **contrast.student(table, weights, confidence=confidence, margin=margin, higher=higher),
        "contexts": factorial.contexts(table.coded, table.focus),
        "aliased": len(factorial.aliases(table.coded, table.focus, table.names)),
    }
