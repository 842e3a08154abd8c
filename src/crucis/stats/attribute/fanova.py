"""Importance of a parameter of a search: its share of the variance of the objective, by functional ANOVA.

A random forest is fitted to the trials, and the variance of its prediction over the whole space is split: the
importance of a parameter is the share that it explains alone, averaged over all others (Hutter, Hoos and
Leyton-Brown 2014, PMLR 32, 754-762), in shares of the sum over parameters. Beside it stands PED-ANOVA (Watanabe,
Bansal and Hutter 2023, arXiv:2304.10255): how much the distribution of a parameter among the best
tenth of the trials differs from that among all, in shares. Both as Optuna computes them.

The interval is a percentile bootstrap over trials. Trials were placed by a search, not at random: an importance says
what varied in this search, and is no effect size. A parameter that exists only beside some choice is judged among the
trials that have it.

Reference case: y = 3 x1 + x2 over the unit square has the shares 0.9 and 0.1.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from ...errors import CrucisError, Refusal
from ..table import at_least
from ..trials import Trials

REVISION = 1
RANDOM = True
TABLE = "trials"
COLUMNS = {
    "importance": {"unit": "fraction", "range": [0, 1], "axes": [], "headline": True, "interval": ["low", "high"]},
    "low": {"unit": "fraction", "range": [0, 1], "axes": []},
    "high": {"unit": "fraction", "range": [0, 1], "axes": []},
    "ped_anova": {"unit": "fraction", "range": [0, 1], "axes": []},
    "n": {"unit": "count", "range": [0, None], "axes": []},
}
LIMITS = {"confidence": "(0, 1)", "trees": "[2, 1000]", "resamples": "[0, 1000]"}
_LEAST = 8  # trials below which a forest has nothing to split


def estimate(
    table: Trials, rng: np.random.Generator, *, confidence: float = 0.95, trees: int = 64, resamples: int = 20
) -> dict[str, float | None]:
    """Share of the variance that the target parameter explains alone.

    Args:
        table: complete trials; only those that have the target take part.
        rng: for the bootstrap.
        confidence: of the interval, in (0, 1).
        trees: of the forest.
        resamples: of the bootstrap; 0 gives no interval.

    Raises:
        Refusal: fewer than 8 trials, no variation of the objective or of the target.
        CrucisError: the package optuna is missing.

    Cost: resamples + 1 forests; about 50 ms each for 60 trials.
    """
    here = table.having(table.target)
    at_least(len(here.objective), _LEAST, "complete trials")
    columns = here.always()
    place = columns.index(table.target)
    if np.ptp(here.objective) == 0.0:
        raise Refusal("degenerate", "the objective is the same in every trial, so there is nothing to attribute")
    if np.ptp(here.shares[:, table.target]) == 0.0:
        raise Refusal("degenerate", "the parameter has the same value in every trial")
    out: dict[str, float | None] = {
        "importance": _fanova(here, columns, trees)[place], "low": None, "high": None,
        "ped_anova": _ped_anova(here, columns)[place], "n": len(here.objective),
    }  # fmt: skip
    found = []
    for _ in range(resamples):
        rows = rng.integers(0, len(here.objective), len(here.objective))
        again = here.taken(rows.tolist())
        if np.ptp(again.objective) > 0.0:
            found.append(_fanova(again, columns, trees)[place])
    if len(found) > 1:
        tail = 0.5 * (1.0 - confidence)
        out["low"], out["high"] = (float(end) for end in np.quantile(found, [tail, 1.0 - tail]))
    return out


def _study(table: Trials, columns: Sequence[int]) -> tuple[Any, Any]:
    try:
        import optuna
    except ImportError as error:
        raise CrucisError("fanova needs the package optuna: pip install 'crucis[search]'") from error
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    distributions: dict[str, Any] = {
        str(j): optuna.distributions.CategoricalDistribution(list(range(table.choices[j]))) if table.choices[j]
        else optuna.distributions.FloatDistribution(0.0, 1.0)
        for j in columns
    }  # fmt: skip
    study = optuna.create_study(direction="maximize")
    for row, value in zip(table.shares, table.objective, strict=True):
        params = {str(j): int(row[j]) if table.choices[j] else float(min(max(row[j], 0.0), 1.0)) for j in columns}
        study.add_trial(optuna.trial.create_trial(params=params, distributions=distributions, value=float(value)))
    return optuna, study


def _shares(found: dict[str, float], columns: Sequence[int]) -> list[float]:
    values = [max(0.0, float(found.get(str(j), 0.0))) for j in columns]
    total = sum(values)
    if not np.isfinite(total) or total <= 0.0:
        raise Refusal("degenerate", "no parameter explains anything by itself")
    return [value / total for value in values]


def _fanova(table: Trials, columns: Sequence[int], trees: int) -> list[float]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # remarks on its own interface
        optuna, study = _study(table, columns)
        evaluator = optuna.importance.FanovaImportanceEvaluator(n_trees=trees, seed=0)
        return _shares(evaluator.evaluate(study, params=[str(j) for j in columns]), columns)


def _ped_anova(table: Trials, columns: Sequence[int]) -> list[Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        optuna, study = _study(table, columns)
        evaluator = optuna.importance.PedAnovaImportanceEvaluator()
        found = evaluator.evaluate(study, params=[str(j) for j in columns])
    if sum(found.values()) <= 0.0:
        return [None] * len(columns)
    return _shares(found, columns)
