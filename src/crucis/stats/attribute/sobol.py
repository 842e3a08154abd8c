"""Sobol indices of the parameters of a search, on a Gaussian-process surrogate whose error is reported.

The first-order index is the share of the variance of the objective that a parameter explains alone, the total index
the share that would be left if all others were fixed, interactions included (Sobol 2001,
doi:10.1016/S0378-4754(00)00270-6; estimators of Saltelli et al. 2010, doi:10.1016/j.cpc.2009.09.018, as in SALib). Both
need a design that a search does not make, so they are computed on a surrogate: a Gaussian process with one length scale
per parameter, fitted to the complete trials. Its error is that of a 5-fold cross-validation: `error` is the root mean
square, `q2` the share of the variance that it predicts for trials that it has not seen. A surrogate with `q2` below
`least` is refused: indices of a wrong model are no indices.

The intervals are those of the sampling of the surrogate (bootstrap), and do not hold its error. Parameters count as
uniform over their distributions, each on its own scale. A parameter that exists only beside some choice has no index.

Reference case: the Ishigami function (a = 7, b = 0.1) has first-order indices 0.3139, 0.4424, 0 and totals 0.5576,
0.4424, 0.2437.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from ...errors import CrucisError, Refusal
from ..table import Array, at_least
from ..trials import Trials

REVISION = 1
RANDOM = False
TABLE = "trials"
COLUMNS = {
    "first": {"unit": "fraction", "range": [None, None], "axes": [], "headline": True,
              "interval": ["first_low", "first_high"]},
    "first_low": {"unit": "fraction", "range": [None, None], "axes": []},
    "first_high": {"unit": "fraction", "range": [None, None], "axes": []},
    "total": {"unit": "fraction", "range": [None, None], "axes": [], "headline": True,
              "interval": ["total_low", "total_high"]},
    "total_low": {"unit": "fraction", "range": [None, None], "axes": []},
    "total_high": {"unit": "fraction", "range": [None, None], "axes": []},
    "q2": {"unit": "fraction", "range": [None, 1], "axes": []},
    "error": {"unit": "same", "range": [0, None], "axes": []},
    "n": {"unit": "count", "range": [0, None], "axes": []},
}  # fmt: skip
LIMITS = {"confidence": "(0, 1)", "samples": "[64, 65536]", "least": "[0, 1)"}
_FOLDS = 5
_SEED = 20_260_101  # of the sampling sequence and its bootstrap: the same table gives the same indices


def estimate(
    table: Trials, *, confidence: float = 0.95, samples: int = 1024, least: float = 0.3
) -> dict[str, float | None]:  # fmt: skip
    """First-order and total index of the target parameter.

    Args:
        table: complete trials.
        confidence: of the intervals, in (0, 1).
        samples: base samples, a power of two; the surrogate is evaluated samples * (k + 2) times.
        least: smallest q2 with which indices are given.

    Raises:
        Refusal: too few trials (2 k + 8), a conditional target, an objective without variation, a poor surrogate.
        CrucisError: the package SALib is missing.

    Cost: cubic in the number of trials; about a second for 100.
    """
    columns = table.always()
    if table.target not in columns:
        raise Refusal("not_applicable", "the parameter exists only beside some choice, so its variance is not defined")
    at_least(len(table.objective), 2 * len(columns) + 8, "complete trials")
    if np.ptp(table.objective) == 0.0:
        raise Refusal("degenerate", "the objective is the same in every trial, so there is nothing to attribute")
    if samples & (samples - 1):
        raise Refusal("not_applicable", f"samples: {samples} is no power of two")
    shares = np.ascontiguousarray(table.shares[:, columns])
    choices = tuple(table.choices[j] for j in columns)
    q2, error = _quality(shares.tobytes(), table.objective.tobytes(), choices)
    if q2 < least:
        raise Refusal("out_of_range", f"the surrogate predicts {max(q2, 0.0):.0%} of the variance of unseen trials, "
                      f"less than the {least:.0%} that indices need; more trials may help")  # fmt: skip
    found = _indices(shares.tobytes(), table.objective.tobytes(), choices, samples, confidence)
    place = columns.index(table.target)
    first, total = float(found["S1"][place]), float(found["ST"][place])
    out: dict[str, float | None] = {"first": first, "total": total, "q2": q2, "error": error, "n": len(table.objective)}
    for name, value, half in (("first", first, found["S1_conf"][place]), ("total", total, found["ST_conf"][place])):
        out[f"{name}_low"], out[f"{name}_high"] = value - float(half), value + float(half)
    return out


def _encoded(shares: Array, choices: Sequence[int]) -> Array:
    """Intervals as they are, a choice as one column per alternative."""
    parts = []
    for j, count in enumerate(choices):
        column = shares[:, j]
        parts.append(np.eye(count)[column.astype(int)] if count else column[:, None])
    return np.concatenate(parts, axis=1)


def _fitted(x: Array, y: Array) -> Any:
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel

    kernel = ConstantKernel(1.0, (1e-3, 1e3)) * RBF(np.full(x.shape[1], 0.5), (0.03, 100.0)) + WhiteKernel(
        1e-3, (1e-8, 1.0)
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a length scale at its bound is an answer: the parameter does not matter
        return GaussianProcessRegressor(kernel, normalize_y=True, n_restarts_optimizer=1, random_state=0).fit(x, y)


def _validated(x: Array, y: Array) -> tuple[float, float]:
    """Predicted share of the variance and root mean square error, of trials left out in turn by their order."""
    fold = np.arange(len(y)) % _FOLDS
    guess = np.empty(len(y))
    for k in range(_FOLDS):
        model = _fitted(x[fold != k], y[fold != k])
        guess[fold == k] = model.predict(x[fold == k])
    squared = float(np.mean((guess - y) ** 2))
    return 1.0 - squared / float(np.var(y)), squared**0.5


@lru_cache(maxsize=64)
def _quality(shares: bytes, objective: bytes, choices: tuple[int, ...]) -> tuple[float, float]:
    """`_validated`, once for all parameters of a search."""
    x, y = _table(shares, objective, choices)
    return _validated(_encoded(x, choices), y)


def _table(shares: bytes, objective: bytes, choices: tuple[int, ...]) -> tuple[Array, Array]:
    return np.frombuffer(shares).reshape(-1, len(choices)), np.frombuffer(objective)


@lru_cache(maxsize=64)
def _indices(shares: bytes, objective: bytes, choices: tuple[int, ...], samples: int, confidence: float) -> Any:
    """What SALib makes of the surrogate, for all parameters at once."""
    try:
        from SALib.analyze import sobol
        from SALib.sample import sobol as sampling
    except ImportError as error:
        raise CrucisError("sobol needs the package SALib: pip install 'crucis[search]'") from error
    x, y = _table(shares, objective, choices)
    names = [str(j) for j in range(len(choices))]
    problem = {"num_vars": len(choices), "names": names, "bounds": [[0.0, 1.0]] * len(choices)}
    points = np.asarray(sampling.sample(problem, samples, calc_second_order=False, seed=_SEED))
    for j, count in enumerate(choices):
        if count:
            points[:, j] = np.minimum(np.floor(points[:, j] * count), count - 1)
    values = _fitted(_encoded(x, choices), y).predict(_encoded(points, choices))
    if not np.isfinite(values).all() or np.ptp(values) == 0.0:  # SALib would answer with zeros, and say nothing
        raise Refusal("degenerate", "the surrogate is constant or not finite somewhere, so it has no variance to split")
    return sobol.analyze(problem, values, calc_second_order=False, conf_level=confidence, seed=_SEED)
