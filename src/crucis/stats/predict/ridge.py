"""Ridge regression on left-out groups: whether columns predict y beyond a base model, and beyond noise.

Every unit is predicted from units of other groups alone (leave one architecture or one family out). The penalty is
chosen from 13 values, 0.001 to 1000, by squared error on inner left-out groups; columns are standardised inside every
fold. Beside each model stands a control in which standard normal noise of the same dimension takes the place of what
the model adds to the base (the mean over `noise_draws` draws).

    gain            = MAE of the base - MAE of the model          (of the left-out means, where no base is named)
    gain_over_noise = MAE of the control - MAE of the model
    p               : Freedman-Lane permutation of the gain in R^2 over the columns that are shared with the base
    p_letter        = (1 + #{MAE of shuffled added rows <= MAE}) / (1 + permutations)

*Intervals* of both gains: Student's t on the differences of absolute errors, groups as clusters, with the variance
corrected for folds that share their training units (factor 1 + G / (G - 1) for G groups) and never below the spread of
the gain under permutation. Simulated coverage of 95 % intervals (two added columns, correlation 0.7 with the base,
normal noise; 250 to 300 data sets) is 88 to 100 % at 8, 12 and 19 units, lowest for a medium addition at 19 units; the
naive interval covers 75 to 95 %. A whole interval above 0 is harder to reach than p < 0.05: at 19 units with an added
slope of 1, 2, 4 residual deviations in 3, 30, 92 % of data sets, p in 56, 94, 100 %. The spread over seeds is part of
the spread over units, whose values are means over seeds.

*What it cannot show.* With 8 to 19 units only a large addition is found: see the power that the plan prints. p treats
units as exchangeable beyond the base columns: siblings of one family that resemble one another make it too small, and
leaving out families (`leave_out: arch.family`) mends the errors of prediction, not p. No p refutes an addition. Under
pure noise `rho` of left-out predictions is strongly negative (median about -0.6), -1 for a model without columns: judge
by `r2`, which is against the mean of the other groups.

Reference case: y = x without noise and x as the model has mae < 1e-3 of the spread of y and p = 1 / 1001 at n = 9.
Source: the nested loops as `crucis.stats.nested`, the permutations as `crucis.stats.incremental`; corrected
variance: Nadeau and Bengio (2003), doi:10.1023/A:1024068626366 (ours never falls below the permutation's).
"""

from __future__ import annotations

import numpy as np

from ...errors import Refusal
from .. import incremental, nested, ranks
from ..table import Array, Regression, at_least
from ..tails import t_quantile

REVISION = 1
RANDOM = True
COLUMNS = {
    "mae": {"unit": "same", "range": [0, None], "axes": [], "headline": True, "estimate": True},
    "rmse": {"unit": "same", "range": [0, None], "axes": [], "estimate": True},
    "r2": {"unit": "1", "range": [None, 1], "axes": [], "headline": True, "estimate": True},
    "rho": {"unit": "1", "range": [-1, 1], "axes": [], "estimate": True},
    "gain": {"unit": "same", "range": [None, None], "axes": [], "interval": ["gain_low", "gain_high"]},
    "gain_low": {"unit": "same", "range": [None, None], "axes": []},
    "gain_high": {"unit": "same", "range": [None, None], "axes": []},
    "gain_over_noise": {
        "unit": "same", "range": [None, None], "axes": [], "headline": True, "interval": ["noise_low", "noise_high"],
    },
    "noise_low": {"unit": "same", "range": [None, None], "axes": []},
    "noise_high": {"unit": "same", "range": [None, None], "axes": []},
    "p": {"unit": "probability", "range": [0, 1], "axes": [], "headline": True},
    "p_raw": {"unit": "probability", "range": [0, 1], "axes": []},
    "p_letter": {"unit": "probability", "range": [0, 1], "axes": []},
    "n": {"unit": "count", "range": [0, None], "axes": []},
    "n_planned": {"unit": "count", "range": [0, None], "axes": []},
    "groups": {"unit": "count", "range": [0, None], "axes": []},
    "constant": {"unit": "count", "range": [0, None], "axes": []},
}  # fmt: skip
LIMITS = {"permutations": "[19, 100000]", "noise_draws": "[1, 1000]", "confidence": "(0, 1)"}


def estimate(
    table: Regression,
    stream: np.random.Generator,
    *,
    permutations: int = 1000,
    noise_draws: int = 20,
    confidence: float = 0.95,
) -> dict[str, float | Array | None]:
    """One model of the table, or its control of noise.

    Args:
        permutations: random orders of the units; all n! orders where those are not more.
        noise_draws: draws of the noise that stands in for the added columns.
        confidence: of the intervals, in (0, 1).

    Returns:
        the columns without `p` corrected and `n_planned`, which the study adds; errors and gains in the unit of y.
        A base model and a control have no gain over noise and no p. `told` (n,) are the left-out predictions and
        `null` (permutations,) the gains in R^2 of the permutations after the observed one, for figures.

    Raises:
        Refusal: fewer than five units, fewer than three groups, all y equal, no added column that varies.
            Columns that are equal for all units tell nothing and are left out; `constant` counts them.

    Cost: 0.1 s for p and 1 s for p_letter with 1,000 permutations of 19 units.
    """
    at_least(len(table.y), 5, "units")
    ranks.varied(table.y, "y")
    flat = {name for name in table.models[table.model] if np.ptp(table.columns[name]) == 0.0}
    _some_varies(table, flat)
    where = nested.folds(table.groups)
    noise, shuffles = stream.spawn(2)
    shared, added = _split(table, flat)
    design, y = np.column_stack([shared, added]), table.y
    fakes = incremental.controls(shared, added.shape[1], noise_draws, noise) if added.shape[1] else None
    own = nested.for_designs(design[None], where, y)
    told = nested.for_designs(fakes, where, y) if table.control and fakes is not None else own
    out: dict[str, float | Array | None] = {
        **incremental.scores(told, y, where), "n": len(y), "groups": where.groups, "constant": len(flat),
        "told": told.mean(axis=0),
    }  # fmt: skip
    for name in (
        "gain",
        "gain_low",
        "gain_high",
        "gain_over_noise",
        "noise_low",
        "noise_high",
        "p",
        "p_raw",
        "p_letter",
    ):
        out[name] = None
    if table.control or fakes is None:
        return out
    rows, exact = incremental.orders(len(y), permutations, shuffles)
    null = incremental.freedman_lane(shared, design, y, where, rows, exact)
    letter = incremental.shuffled(shared, added, y, where, rows, exact)
    errors = [np.abs(y - one) for one in (_base(table, where), nested.for_designs(fakes, where, y), own[0])]
    out |= _gain("gain", ("gain_low", "gain_high"), errors[0], errors[2], null.spread, table, confidence)
    noise_errors = errors[1].mean(axis=0)
    out |= _gain(
        "gain_over_noise", ("noise_low", "noise_high"), noise_errors, errors[2], null.spread, table, confidence
    )
    return {**out, "p": null.p, "p_raw": null.p, "p_letter": letter.p, "null": np.append(null.observed, null.drawn)}


def _some_varies(table: Regression, flat: set[str]) -> None:
    """Raise if nothing is left to predict from, or of what the model adds to the base."""
    base = set(table.models[table.base]) if table.base else set()
    added = set(table.models[table.model]) - base or set(table.models[table.model])
    if added <= flat:
        names = ", ".join(sorted(added))
        raise Refusal(
            "degenerate", f"all {len(table.y)} values of {names} are equal, so nothing can be predicted from them"
        )


def _split(table: Regression, flat: set[str]) -> tuple[Array, Array]:
    """(columns that the base has too, what the model adds), each (n, k)."""
    base = set(table.models[table.base]) if table.base else set()
    names = [name for name in table.models[table.model] if name not in flat]
    sides = [[name for name in names if name in base], [name for name in names if name not in base]]
    empty = np.empty((len(table.y), 0))
    shared, added = (np.column_stack([empty, *(table.columns[name] for name in side)]) for side in sides)
    return shared, added


def _base(table: Regression, where: nested.Folds) -> Array:
    """Left-out predictions of the base, or the left-out means."""
    names = table.models[table.base] if table.base else ()
    base = np.column_stack([np.empty((len(table.y), 0)), *(table.columns[name] for name in names)])
    return nested.predictions(nested.operators(base, where), where, table.y[None])[0]


def _gain(name: str, ends: tuple[str, str], against: Array, own: Array, floor: float, table: Regression, level: float
          ) -> dict[str, float | Array | None]:  # fmt: skip
    """Mean of the differences of absolute errors (n,), groups as clusters, with the corrected interval."""
    differences = against - own
    groups = np.unique(np.array(table.groups), return_inverse=True)[1]
    sums = np.bincount(groups, weights=differences - differences.mean())
    g = len(sums)
    variance = g / (g - 1) * float((sums**2).sum()) / len(differences) ** 2
    reach = float(t_quantile(0.5 + 0.5 * level, g - 1)) * max(np.sqrt(variance * (1.0 + g / (g - 1))), floor)
    mean = float(differences.mean())
    return {name: mean, ends[0]: mean - reach, ends[1]: mean + reach}
