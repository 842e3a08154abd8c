"""How much an addition to a prediction must explain to be found: a small simulation with a fixed stream, kept.

Units are drawn with standard normal columns; the base explains half of y, and of what it leaves the first added column
(uncorrelated with the base) explains a share f, all else normal. The gain in R^2 of nested ridge is worked out for many
y at f = 0, whose upper quantile is where the permutation test rejects, and at growing f. What it announces agrees with
the permutation test itself within 5 points (`tests/stats/test_stats_foresight.py`).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from .. import seeds
from . import nested
from .table import Array

#: Shares at which power is worked out.
SHARES: Array = np.array([0.0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.97])
#: More units than this are not simulated before a run: the folds grow with their square.
MOST = 24
_DESIGNS, _TARGETS, _NULLS = 16, 30, 200


@lru_cache(maxsize=256)
def powers(groups: tuple[int, ...], shared: int, added: int, alpha: float) -> tuple[float, ...]:
    """Power of the gain in R^2 at each of `SHARES` (the first is the false-alarm rate, alpha by construction).

    Args:
        groups: units in each group that is left out, for instance (1,) * 19.
        shared, added: columns of the base in the model, and beside them.
        alpha: level of one test after correction.

    Cost: 0.2 s for 8 units, 0.8 s for 19.
    """
    stream = seeds.rng(0, "foresight", *groups, shared, added)
    where = nested.folds(tuple(str(g) for g, size in enumerate(groups) for _ in range(size)))
    n = sum(groups)
    gains: list[Array] = []
    for _ in range(_DESIGNS):
        base, extra = stream.standard_normal((n, shared)), stream.standard_normal((n, added))
        rest = stream.standard_normal((_NULLS, n))
        signal = base.sum(axis=1) / np.sqrt(shared) if shared else np.zeros(n)
        ys = [signal + rest]
        ys += [signal + np.sqrt(f) * extra[:, 0] + np.sqrt(1.0 - f) * rest[:_TARGETS] for f in SHARES[1:]]
        gains.append(_gains(base, np.column_stack([base, extra]), np.concatenate(ys), where))
    null = np.concatenate([gain[:_NULLS] for gain in gains])
    edge = float(np.quantile(null, 1.0 - alpha, method="higher"))
    found = np.stack([gain[_NULLS:].reshape(len(SHARES) - 1, _TARGETS) for gain in gains])
    return (float((null > edge).mean()), *(float(share) for share in (found > edge).mean(axis=(0, 2))))


def _gains(base: Array, full: Array, ys: Array, where: nested.Folds) -> Array:
    squares = [
        ((ys - nested.predictions(nested.operators(one, where), where, ys)) ** 2).sum(axis=1) for one in (base, full)
    ]
    means = (ys @ where.train.T) / where.train.sum(axis=1)
    return np.asarray((squares[0] - squares[1]) / ((ys - means[:, where.of]) ** 2).sum(axis=1))


def detectable(groups: tuple[int, ...], shared: int, added: int, alpha: float, power: float = 0.8) -> float | None:
    """Share of what the base leaves that an addition must explain to be found with this probability; None if none is
    enough (as tried up to 97 %)."""
    found = np.maximum.accumulate(powers(groups, shared, added, alpha))
    if found[-1] < power:
        return None
    k = int(np.argmax(found >= power))
    if k == 0:
        return 0.0
    step = (power - found[k - 1]) / (found[k] - found[k - 1])
    return float(SHARES[k - 1] + step * (SHARES[k] - SHARES[k - 1]))
