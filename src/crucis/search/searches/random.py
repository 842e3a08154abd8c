"""Random search: every trial is drawn independently (Bergstra and Bengio 2012, JMLR 13, 281-305).

Uniform over each distribution; integers and choices with equal chances. All trials are proposed at once, each from its
own stream, so that more `trials` later keep the ones that were made.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from ..pruning import promotions
from ..space import Ask, Space, Told, drawn, started

REVISION = 1
COLUMNS: dict[str, dict[str, object]] = {}
LIMITS = {"trials": "[1, 100000]"}


def propose(
    space: Space, told: Sequence[Told], rungs: int, seed: int, *, trials: int, prune: Literal["none", "median"] = "none"
) -> list[Ask]:
    """What to evaluate next; nothing when the search is over.

    Args:
        space: the dimensions.
        told: every evaluation so far.
        rungs: lengths of training, 1 or 2.
        seed: of the random draws.
        trials: how many configurations are tried.
        prune: `median`: a quarter of the length first, and on only if not worse than the median before.

    Cost: linear in `trials`.
    """
    known = started(told)
    fresh = [Ask(trial, 0, drawn(space, seed, trial)) for trial in range(trials) if trial not in known]
    return fresh or promotions(told, rungs, prune)
