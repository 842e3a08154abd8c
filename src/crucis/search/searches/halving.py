"""Successive halving: many short trainings, the best share of them longer, until few are trained in full.

With n configurations, reduction r and full length L the rungs are L / r^k down to `minimum`; of each rung the best
n / r (rounded down, at least one) are trained at the next length, from new and in full, as an ordinary training of
that length with its own schedule. Jamieson and Talwalkar 2016, arXiv:1502.07943. Ties go to the earlier trial; a
trial without a score never goes on.
"""

from __future__ import annotations

from collections.abc import Sequence

from ...types import Length
from ..space import Ask, Space, Told, best_first, drawn, scores, started

REVISION = 1
COLUMNS: dict[str, dict[str, object]] = {}
LIMITS = {"trials": "[1, 100000]", "reduction": "[2, 100]"}


def propose(
    space: Space, told: Sequence[Told], rungs: int, seed: int, *, trials: int, reduction: int = 3,
    minimum: Length = "1 epochs",  # noqa: ARG001 - decides how many rungs there are
) -> list[Ask]:  # fmt: skip
    """What to evaluate next; nothing when the search is over.

    Args:
        space: the dimensions.
        told: every evaluation so far.
        rungs: how many lengths there are.
        seed: of the random draws.
        trials: how many configurations are tried at the shortest length.
        reduction: of so many trials one goes on.
        minimum: the shortest training.

    Cost: linear in `trials`.
    """
    values = started(told)
    if not values:
        return [Ask(trial, 0, drawn(space, seed, trial)) for trial in range(trials)]
    for rung in range(rungs - 1):
        found, above = scores(told, rung), scores(told, rung + 1)
        chosen = best_first(found)[: max(1, len(found) // reduction)]
        if chosen and not above:
            return [Ask(trial, rung + 1, values[trial]) for trial in sorted(chosen)]
    return []
