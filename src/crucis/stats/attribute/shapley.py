"""Shapley value of each component: its mean gain over all orders of adding the components, exact over the lattice.

Per block (seed) from all 2^n subsets, then Student's t over blocks. The values of all components sum to full - none in
every block. An incomplete lattice is refused with the subsets that are lacking; nothing is filled in.

Reference case: none 0, first 1, second 2, both 5: values 2 and 3.
Source: Shapley (1953), A value for n-person games; Lundberg and Lee (2017), arXiv:1705.07874.
"""

from __future__ import annotations

from .. import contrast, factorial
from ..table import Design

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
    "smallest_detectable": {"unit": "same", "range": [0, None], "axes": []},
    "better": {"unit": "1", "range": [0, 1], "axes": []},
    "worse": {"unit": "1", "range": [0, 1], "axes": []},
    "equivalent": {"unit": "1", "range": [0, 1], "axes": []},
    "inconclusive": {"unit": "1", "range": [0, 1], "axes": []},
    "more_pairs": {"unit": "count", "range": [0, None], "axes": []},
}
LIMITS = {"confidence": "(0, 1)", "margin": "(0, inf)"}


def estimate(
    table: Design, *, confidence: float = 0.95, margin: float | None = None, higher: bool = True
) -> dict[str, float | None]:
    """The Shapley value of one component with its interval, p and verdict.

    Args:
        table: blocks of runs, `focus` on one component.
        confidence: of the interval, in (0, 1).
        margin: the largest effect that does not matter, in the column's unit; without it nothing is ever equivalent.
        higher: whether larger values of the column are better.

    Raises:
        Refusal: fewer than two blocks; no spread; a subset that was not run.

    Cost: 2^n per block; below 10 ms for 10 components.
    """
    weights = factorial.shapley(table.coded, table.focus[0], table.names)
    return contrast.student(table, weights, confidence=confidence, margin=margin, higher=higher)
