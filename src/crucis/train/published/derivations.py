"""What follows from the facts of a recipe by arithmetic: other units of time, rates at a batch, decay a step."""

from __future__ import annotations

from collections.abc import Iterator

from . import references
from .facts import Fact, Recipe, said
from .quantities import readings, unit_of
from .scaling import EXPONENTS, pick, rate_at, rule

_OTHER = {"iterations": "epochs", "epochs": "iterations"}


def derivations(recipe: Recipe) -> Iterator[tuple[str, str, str]]:
    """(key, reference, arithmetic) of each: iterations <-> epochs with the reference's batch, the learning rate at
    each batch that the recipe names, and a decay per interval as one per step."""
    for fact in recipe.facts:
        if fact.role != "derived":
            yield from _time(recipe, fact)
    yield from _rates(recipe)
    yield from _decay(recipe)


def _time(recipe: Recipe, fact: Fact) -> Iterator[tuple[str, str, str]]:
    other = _OTHER.get(unit_of(fact.unit) or "")
    batch = references.batch(recipe, fact.role)
    if other is None or batch is None or fact.key.startswith("finetune"):
        return
    for value in fact.value if isinstance(fact.value, list) else [fact.value]:
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            for reading in readings(value, fact.unit, other, batch, recipe)[:2]:
                yield fact.key, fact.reference, reading.arithmetic


def _rates(recipe: Recipe) -> Iterator[tuple[str, str, str]]:
    base = pick(recipe, "lr.base", None)
    if base is None or rule(recipe) not in EXPONENTS:
        return
    for value in dict.fromkeys(fact.value for fact in recipe.of("batch_size")):
        found = rate_at(recipe, value) if isinstance(value, int) else ""
        if not isinstance(found, str):
            yield "lr.base", found.reference, f"at batch {value}: {found.arithmetic}"


def _decay(recipe: Recipe) -> Iterator[tuple[str, str, str]]:
    gamma, every = pick(recipe, "schedule.gamma", None), pick(recipe, "schedule.decay_every", None)
    if gamma is None or every is None or not isinstance(every.value, (int, float)):
        return
    batch = references.batch(recipe, every.role)
    for reading in readings(every.value, every.unit, "iterations", batch, recipe)[:1]:
        step = gamma.value ** (1 / reading.value)
        words = f"{said(gamma.value)} ^ (1 / {reading.value:,.2f}) = {step:.8f} a step, without stairs"
        yield "schedule.gamma", gamma.reference, f"{reading.arithmetic}; {words}"
