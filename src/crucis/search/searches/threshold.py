"""Threshold search: the largest integer at which a training still succeeds, for instance how many labels it memorises.

One integer parameter (`find`) is bracketed: it is doubled from its smallest value until a size fails, then the bracket
is halved on a logarithmic scale until its ends differ by less than `tolerance` (or by one). At every size all
combinations of the other distributions are tried, and one that succeeds is enough for a seed; the size counts as
reached if at least `level` of the seeds succeed. The answer is the lower end of the bracket. If the largest size is
reached as well, the answer is only a lower bound (`censored` is 1, and `bits` stays empty).

Bracketing by doubling, then bisection, as for finding an edge; the success rate one half as the definition of capacity
follows the effective model complexity of Nakkiran et al. 2020 (arXiv:1912.02292).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..space import Ask, Dimension, Space, Told, Values, lattice

REVISION = 1
COLUMNS = {
    "low": {"unit": "count", "range": [0, None], "axes": [], "headline": True},
    "high": {"unit": "count", "range": [0, None], "axes": []},
    "censored": {"unit": "count", "range": [0, 1], "axes": []},
    "bits": {"unit": "bits", "range": [0, None], "axes": []},
}
LIMITS = {"level": "(0, 1]", "tolerance": "(0, 1]"}


def propose(
    space: Space, told: Sequence[Told], rungs: int, seed: int, *, find: str, success: str, level: float = 0.5,  # noqa: ARG001
    tolerance: float = 0.05,
) -> list[Ask]:  # fmt: skip
    """What to evaluate next; nothing when the bracket is narrow enough.

    Args:
        space: the dimensions.
        told: every evaluation so far, with the success of each seed.
        rungs: lengths of training; there is one.
        seed: not used; nothing is drawn.
        find: the integer distribution whose largest value is looked for, such as view.n.
        success: what a training must reach, such as train_accuracy >= 100%.
        level: share of seeds that must succeed.
        tolerance: the ends of the bracket may differ by this share.

    Cost: the combinations of the other distributions, times log2(high / low) + log2(0.7 / tolerance) sizes.
    """
    size = bracket(space, told, int(find), level, tolerance)[2]
    if size is None:
        return []
    first = len({one.ask.trial for one in told})
    return [Ask(first + i, 0, {**row, int(find): size}) for i, row in enumerate(others(space, int(find)))]


def others(space: Space, find: int) -> list[Values]:
    """All combinations of the distributions beside the one that is looked for."""
    flat = [Dimension(choices=1) if i == find else dimension for i, dimension in enumerate(space)]
    return [{i: value for i, value in row.items() if i != find} for row in lattice(flat)]


def shares(told: Sequence[Told], find: int) -> dict[int, float]:
    """Size -> share of seeds for which some combination succeeded."""
    best: dict[int, list[float]] = {}
    for one in told:
        size, parts = int(one.ask.values[find]), [part or 0.0 for part in one.parts]
        best[size] = [max(pair) for pair in zip(best.get(size, parts), parts, strict=True)]
    return {size: math.fsum(parts) / len(parts) for size, parts in best.items()}


def bracket(
    space: Space, told: Sequence[Told], find: int, level: float, tolerance: float
) -> tuple[int | None, int | None, int | None]:  # fmt: skip
    """The largest size known to succeed, the smallest known to fail, and the size to try next (each may be None)."""
    known, least, most = shares(told, find), int(space[find].low), int(space[find].high)
    low: int | None = None
    high: int | None = None
    size: int | None = least
    while size is not None and size in known:
        if known[size] >= level:
            low = size
        else:
            high = size
        size = _next(low, high, most, tolerance)
    return low, high, size


def _next(low: int | None, high: int | None, most: int, tolerance: float) -> int | None:
    if low is None:
        return None  # the smallest size failed
    if high is None:
        return None if low == most else min(2 * low, most)
    if high - low <= 1 or high <= low * (1 + tolerance):
        return None
    return min(max(round(math.sqrt(low * high)), low + 1), high - 1)


def sizes(dimension: Dimension, tolerance: float) -> int:
    """How many sizes are tried at most."""
    return math.ceil(math.log2(dimension.high / dimension.low)) + 1 + math.ceil(
        math.log2(math.log(2) / math.log1p(tolerance))
    )  # fmt: skip


def won(told: Sequence[Told], find: int, low: int) -> int:
    """The trial of a size with most seeds that succeed; ties go to the earlier one."""
    here = [one for one in told if one.ask.values[find] == low]
    return max(here, key=lambda one: (math.fsum(part or 0.0 for part in one.parts), -one.ask.trial)).ask.trial
