"""Successive halving that promotes as results come in, in generations (after Li et al. 2020, arXiv:1810.05934).

At each generation every trial that is among the best 1 / `reduction` of its rung so far, and has not gone on, is
trained at the next length; what is left of the generation are new random configurations, until `trials` have begun.
The published algorithm promotes whenever a worker is free, so that its trials depend on how fast each machine is.
Here a generation is complete before the next is decided: a search that was killed, or ran on other workers, ends with
exactly the trials of an undisturbed one.
"""

from __future__ import annotations

from collections.abc import Sequence

from ...types import Length
from ..space import Ask, Space, Told, best_first, drawn, scores, started

REVISION = 1
COLUMNS: dict[str, dict[str, object]] = {}
LIMITS = {"trials": "[1, 100000]", "reduction": "[2, 100]", "generation": "[1, 10000]"}


def propose(
    space: Space, told: Sequence[Told], rungs: int, seed: int, *, trials: int, reduction: int = 3,
    minimum: Length = "1 epochs",  # noqa: ARG001 - decides how many rungs there are
    generation: int = 8,
) -> list[Ask]:  # fmt: skip
    """What to evaluate next; nothing when the search is over.

    Args:
        space: the dimensions.
        told: every evaluation so far.
        rungs: how many lengths there are.
        seed: of the random draws.
        trials: how many configurations are begun.
        reduction: of so many trials one goes on.
        minimum: the shortest training.
        generation: evaluations that are decided together.

    Cost: linear in the evaluations.
    """
    values = started(told)
    asks: list[Ask] = []
    for rung in reversed(range(rungs - 1)):
        found, above = scores(told, rung), scores(told, rung + 1)
        best = best_first(found)[: len(found) // reduction]
        asks += [Ask(trial, rung + 1, values[trial]) for trial in sorted(best) if trial not in above]
    asks = asks[:generation]
    new = range(len(values), min(trials, len(values) + generation - len(asks)))
    asks += [Ask(trial, 0, drawn(space, seed, trial)) for trial in new]
    return asks or _last(told, rungs, values)


def _last(told: Sequence[Told], rungs: int, values: dict[int, dict[int, float | int]]) -> list[Ask]:
    """With so few trials that no rung promotes one, the best still goes up, so that something is trained in full."""
    for rung in reversed(range(rungs - 1)):
        if scores(told, rungs - 1):
            return []
        best = best_first(scores(told, rung))
        if best:
            return [Ask(best[0], rung + 1, values[best[0]])]
    return []
