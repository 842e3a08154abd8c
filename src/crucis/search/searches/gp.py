"""Bayesian optimisation with a Gaussian process (Matern 5/2 kernel, one length scale per parameter).

As Optuna's `GPSampler` implements it: the next trial maximises log expected improvement (Ament et al. 2023,
arXiv:2310.20708). The first `startup` trials are random. Members of a generation are proposed one after another, each
told the worst score so far for those before it (constant liar). A trial that failed counts as the worst. Parameters
that exist only beside some choice are drawn at random.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from ..pruning import promotions
from ..space import Ask, Space, Told, started

REVISION = 1
COLUMNS: dict[str, dict[str, object]] = {}
LIMITS = {"trials": "[1, 10000]", "generation": "[1, 1000]", "startup": "[1, 10000]"}


def propose(
    space: Space, told: Sequence[Told], rungs: int, seed: int, *, trials: int,
    prune: Literal["none", "median"] = "none", generation: int = 4, startup: int = 10,
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
        startup: random trials before the process is fitted.

    Cost: cubic in the number of finished trials, per trial.
    """
    going_on = promotions(told, rungs, prune)
    known = len(started(told))
    if going_on or known >= trials:
        return going_on
    from ..optuna_sampling import sample

    return sample("gp", space, told, rungs, seed, min(generation, trials - known), startup=startup)
