"""Proposals by samplers of the package `optuna`, which only this file of the room imports."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

from ..errors import CrucisError
from ..seeds import derive
from .space import Ask, Dimension, Space, Told, Values, exists, scores, started


def sample(
    kind: str, space: Space, told: Sequence[Told], rungs: int, seed: int, count: int, *, startup: int,
    candidates: int = 24,
) -> list[Ask]:  # fmt: skip
    """The next `count` new trials of a sampler, `tpe` or `gp`, after everything that was told.

    A pure function of its arguments: the sampler is made anew, with a seed that depends on how many trials there are.

    Raises:
        CrucisError: the package is not installed.
    """
    optuna = _optuna()
    first = len(started(told))
    stream = derive(seed, "search", kind, first) % 2**32
    if kind == "tpe":
        sampler = optuna.samplers.TPESampler(
            n_startup_trials=startup, n_ei_candidates=candidates, constant_liar=True, seed=stream
        )
    else:
        sampler = optuna.samplers.GPSampler(n_startup_trials=startup, seed=stream)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the sampler's remarks on its own interface
        study = optuna.create_study(sampler=sampler, direction="maximize")
        worst = _history(optuna, study, space, told, rungs, liar=kind == "gp")
        asks = []
        for trial in range(first, first + count):
            asked = study.ask()
            values = _suggested(asked, space)
            asks.append(Ask(trial, 0, values))
            if kind == "gp" and worst is not None:
                study.tell(asked, worst)
    return asks


def _optuna() -> Any:
    try:
        import optuna
    except ImportError as error:
        raise CrucisError("this search needs the package optuna: pip install 'crucis[search]'") from error
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna


def _suggested(asked: Any, space: Space) -> Values:
    out: Values = {}
    for position, dimension in enumerate(space):
        if not exists(dimension, out):
            continue
        name = str(position)
        if dimension.choices:
            out[position] = asked.suggest_categorical(name, list(range(dimension.choices)))
        elif dimension.whole:
            out[position] = asked.suggest_int(name, int(dimension.low), int(dimension.high), log=dimension.log)
        else:
            value = asked.suggest_float(name, dimension.low, dimension.high, log=dimension.log)
            out[position] = dimension.rounded(value)
    return out


def _distribution(optuna: Any, dimension: Dimension) -> Any:
    if dimension.choices:
        return optuna.distributions.CategoricalDistribution(list(range(dimension.choices)))
    if dimension.whole:
        return optuna.distributions.IntDistribution(int(dimension.low), int(dimension.high), log=dimension.log)
    return optuna.distributions.FloatDistribution(dimension.low, dimension.high, log=dimension.log)


def _history(
    optuna: Any, study: Any, space: Space, told: Sequence[Told], rungs: int, *, liar: bool
) -> float | None:  # fmt: skip
    """Tell the sampler every trial that began; the worst score, or None without any.

    Trials that stopped at a short length are told as pruned, those without a score as pruned before the first report,
    which ranks them last. A Gaussian process knows no pruned trials and is told the worst score for what failed.
    """
    complete = scores(told, rungs - 1)
    short = {trial: (rung, found[trial]) for rung in range(rungs - 1) for found in [scores(told, rung)]
             for trial in found}  # fmt: skip
    known = [score for score in complete.values() if score is not None]
    worst = min(known) if known else None
    for trial, values in started(told).items():
        distributions = {str(position): _distribution(optuna, space[position]) for position in values}
        params = {str(position): value for position, value in values.items()}
        score = complete.get(trial)
        if score is None and liar and worst is not None:
            score = worst
        if score is not None:
            made = optuna.trial.create_trial(params=params, distributions=distributions, value=score)
        else:
            rung, reported = short.get(trial, (0, None))
            made = optuna.trial.create_trial(
                params=params, distributions=distributions, state=optuna.trial.TrialState.PRUNED,
                intermediate_values={} if reported is None or trial in complete else {rung: reported},
            )  # fmt: skip
        study.add_trial(made)
    return worst
