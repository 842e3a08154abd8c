"""A decay by a factor per interval, as the factor of one epoch or of one iteration."""

from __future__ import annotations

from . import references
from .facts import Fact, Recipe, said
from .quantities import TIME, Reading, readings, unit_of
from .scaling import pick


def interval(recipe: Recipe, gamma: Fact) -> Fact | None:
    """How often the rate falls by a factor: as the factor's own reference says, else the highest-ranking one."""
    every = pick(recipe, "schedule.decay_every", gamma.role) or pick(recipe, "schedule.decay_every", None)
    numeric = every is not None and isinstance(every.value, (int, float)) and unit_of(every.unit) in TIME
    return every if numeric else None


def per(recipe: Recipe, gamma: Fact, unit: str, batch: float | None = None) -> Reading | None:
    """The factor `per epoch` or `per iteration`: gamma ^ (1 / n) for an interval of n; None if no source gives both.

    Args:
        batch: that of the iterations; without it the one that belongs to the interval's reference.

    0.97 every 2.4 epochs is 0.97 ^ (1 / 2.4) = 0.98739 per epoch.
    """
    every = interval(recipe, gamma)
    if every is None or isinstance(gamma.value, bool) or not isinstance(gamma.value, (int, float)):
        return None
    wanted = "epochs" if unit == "per epoch" else "iterations"
    batch = batch or references.batch(recipe, every.role, every.key)
    found = readings(every.value, every.unit, wanted, batch, recipe.images)[:1]
    if not found:
        return None
    value = gamma.value ** (1 / found[0].value)
    words = f"{said(gamma.value)} ^ (1 / {found[0].value:,.6g}) = {value:.8f} {unit}, without stairs"
    return Reading(value, "; ".join(part for part in (found[0].arithmetic, words) if part))
