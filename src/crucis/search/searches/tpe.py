"""Tree-structured Parzen estimator: trials are drawn where good ones were dense and bad ones were not.

Bergstra et al. 2011 (NeurIPS 24), as Optuna implements it (arXiv:1907.10902): the best trials and the others are each
described by a density per parameter, and the candidate with the highest ratio is tried. The first `startup` trials are
random. Within a generation, trials that are not finished count as bad ones (constant liar), so that its members
differ. A trial that failed counts as the worst. With pruning (the default), each trial is first trained for a quarter
of the length, as a training of its own, and in full only if it is not worse there than the median of the trials before.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from ..pruning import promotions
from ..space import Ask, Space, Told, started

REVISION = 1
COLUMNS: dict[str, dict[str, object]] = {}
LIMITS = {
    "trials": "[1, 100000]", "generation": "[1, 10000]", "startup": "[0, 10000]", "candidates": "[1, 10000]",
}  # fmt: skip


def propose(
    space: Space, told: Sequence[Told], rungs: int, seed: int, *, trials: int,
    prune: Literal["median", "none"] = "median", generation: int = 8, startup: int = 10, candidates: int = 24,
) -> list[Ask]:  # fmt: skip
    """What to evaluate next; nothing when the search is over.

    Args:
        space: the dimensions.
        told: every evaluation so far.
        rungs: lengths of training, 1 or 2.
        seed: of the draws.
        trials: how many configurations are tried.
        prune: `median`: a quarter of the length first, and on only if not worse than the median before; or `none`.
        generation: trials that are proposed together.
        startup: random trials before the densities are used.
        candidates: draws among which the best ratio is looked for.

    Cost: the number of finished trials times `candidates`, per trial.
    """
    going_on = promotions(told, rungs, prune)
    known = len(started(told))
    if going_on or known >= trials:
        return going_on
    from ..optuna_sampling import sample

    count = min(generation, trials - known)
    return sample("tpe", space, told, rungs, seed, count, startup=startup, candidates=candidates)
