"""Whether columns add to a prediction: permutations of two kinds, and controls made of noise.

*Freedman-Lane* asks whether a model predicts better than the columns that it shares with the base model: y is replaced
by what those explain plus a permutation of what they leave, and the gain in R^2 is worked out again from the beginning,
penalties included. *The letter's shuffle* (of PERSIST) permutes the rows of the added columns against everything else
and counts mean absolute errors. The shuffle also breaks the association of the added columns with the base, so it
answers a slightly different question; permuting y itself and looking at the full model's error, which is common, is
wrong: where only the base predicts it finds "topology" in most data sets, and it is not offered.

Source: Freedman and Lane (1983), doi:10.1080/07350015.1983.10509354; Winkler et al. (2014),
doi:10.1016/j.neuroimage.2014.01.060.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ..errors import Refusal
from . import nested, ranks
from .nested import Folds, Index
from .table import Array


@dataclass(frozen=True)
class Null:
    """A permutation distribution: the observed statistic, that of the permutations, and how p is counted.

    `exact`: the permutations are all orders, the given one among them; else it is added to the count. `spread`:
    standard deviation of the gain in mean absolute error over the permutations, 0 where it is not worked out.
    """

    observed: float
    drawn: Array
    exact: bool
    spread: float = 0.0

    @property
    def p(self) -> float:
        """Share of statistics at least as large as the observed one."""
        edge = self.observed - 1e-12 * max(1.0, abs(self.observed))
        hits = int((self.drawn >= edge).sum())
        return hits / len(self.drawn) if self.exact else (1 + hits) / (1 + len(self.drawn))


def orders(n: int, permutations: int, stream: np.random.Generator) -> tuple[Index, bool]:
    """Rows of orders of 0..n-1 and whether they are all of them; random ones if n! exceeds `permutations`."""
    if n <= ranks.EXACT and math.factorial(n) <= permutations:
        return ranks.orders(n).astype(np.intp), True
    return stream.permuted(np.tile(np.arange(n), (permutations, 1)), axis=1), False


def smallest_p(n: int, permutations: int) -> float:
    """Smallest p that so many permutations of n units can give."""
    if n <= ranks.EXACT and math.factorial(n) <= permutations:
        return 1.0 / math.factorial(n)
    return 1.0 / (1 + permutations)


def freedman_lane(shared: Array, design: Array, y: Array, where: Folds, rows: Index, exact: bool) -> Null:
    """The gain in R^2 of `design` (n, p) over its columns `shared` (n, k), against permuted residuals.

    Args:
        shared: columns that the base has as well; none, (n, 0), tests the whole design.
        rows: orders of the units, (m, n), from `orders`; exact: they are all of them.

    Cost: two calls of `nested.predictions` with m targets: 60 ms for 1,000 orders of 19 units.
    """
    full = np.column_stack([np.ones(len(y)), shared])
    fitted = full @ np.linalg.lstsq(full, y, rcond=None)[0]
    ys = np.vstack([y, fitted + (y - fitted)[rows]])
    without, with_ = (ys - nested.predictions(nested.operators(one, where), where, ys) for one in (shared, design))
    total = _totals(ys, where)
    share = ((without**2).sum(axis=1) - (with_**2).sum(axis=1)) / np.where(total > 0, total, 1.0)
    absolute = np.abs(without[1:]).mean(axis=1) - np.abs(with_[1:]).mean(axis=1)
    return Null(float(share[0]), share[1:], exact, float(absolute.std()))


def _totals(ys: Array, where: Folds) -> Array:
    means = (ys @ where.train.T) / where.train.sum(axis=1)
    return np.asarray(((ys - means[:, where.of]) ** 2).sum(axis=1))


def shuffled(shared: Array, added: Array, y: Array, where: Folds, rows: Index, exact: bool) -> Null:
    """The letter's test: the negative mean absolute error with the rows of `added` (n, k) permuted.

    Cost: one call of `nested.for_designs` with m designs: about 1 s for 1,000 orders of 19 units.
    """
    designs = np.concatenate([np.broadcast_to(shared, (len(rows), *shared.shape)), added[rows]], axis=2)
    own = np.column_stack([shared, added])[None]
    errors = np.abs(y - nested.for_designs(np.concatenate([own, designs]), where, y)).mean(axis=1)
    return Null(-float(errors[0]), -errors[1:], exact)


def controls(shared: Array, dimension: int, draws: int, stream: np.random.Generator) -> Array:
    """Designs in which standard normal noise stands in for the added columns, (draws, n, k + dimension)."""
    n = len(shared)
    noise = stream.standard_normal((draws, n, dimension))
    return np.concatenate([np.broadcast_to(shared, (draws, *shared.shape)), noise], axis=2)


# --- how good predictions are --------------------------------------------------------------------------------


def scores(told: Array, y: Array, where: Folds) -> dict[str, float | None]:
    """`mae`, `rmse`, `r2` and `rho` of predictions (n,), or their means over rows of predictions (b, n).

    r2 is against the mean of the other groups, not of all rows: a model that learns nothing has 0. rho is Spearman's
    with the truth, None if the predictions are constant.
    """
    told = np.atleast_2d(told)
    wrong = y - told
    total = float(((y - nested.left_out_means(where, y)) ** 2).sum())
    squares = (wrong**2).sum(axis=1)
    rho = [_rho(one, y) for one in told]
    known = [one for one in rho if one is not None]
    return {
        "mae": float(np.abs(wrong).mean()),
        "rmse": float(np.sqrt(squares / len(y)).mean()),
        "r2": float(1.0 - (squares / total).mean()),
        "rho": float(np.mean(known)) if len(known) == len(rho) else None,
    }


def _rho(told: Array, y: Array) -> float | None:
    try:
        ranks.varied(told, "the predictions")
    except Refusal:
        return None
    return ranks.correlation(ranks.midranks(told), ranks.midranks(y))
