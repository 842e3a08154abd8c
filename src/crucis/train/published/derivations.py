"""What follows from the facts of a recipe by arithmetic: other units of time, rates at a batch, decay a step."""

from __future__ import annotations

from collections.abc import Iterator

from . import references
from .decaying import interval, per
from .facts import Fact, Recipe
from .quantities import PER, readings, unit_of
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
    batch = references.batch(recipe, fact.role, fact.key)
    if other is None or batch is None:
        return
    for value in fact.value if isinstance(fact.value, list) else [fact.value]:
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            for reading in readings(value, fact.unit, other, batch, recipe.images_of(fact.key))[:2]:
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
    gamma = pick(recipe, "schedule.gamma", None)
    every = interval(recipe, gamma) if gamma is not None else None
    if gamma is None or every is None:
        return
    batches: list[float | None] = [references.batch(recipe, every.role, every.key)]
    if batches == [None]:
        batches = [fact.value for fact in recipe.of("batch_size") if isinstance(fact.value, int)]
    found = [("", per(recipe, gamma, PER[0])) if every.value != 1 or every.unit != "epochs" else ("", None)]
    found += [(f"at batch {batch:g}: " if len(batches) > 1 else "", per(recipe, gamma, PER[1], batch))
              for batch in dict.fromkeys(batches)]  # fmt: skip
    for where, reading in found:
        if reading is not None:
            yield "schedule.gamma", gamma.reference, f"{where}{reading.arithmetic}"
