"""The learning rate of a recipe at a batch size, by the recipe's own rule."""

from __future__ import annotations

from dataclasses import dataclass

from . import references
from .facts import Fact, Recipe, said, sentence

EXPONENTS = {"linear": 1.0, "square root": 0.5, "square_root": 0.5, "sqrt": 0.5}


@dataclass(frozen=True)
class Rate:
    """A learning rate at a batch: its value, the arithmetic, who gives it, where that stands."""

    value: float
    arithmetic: str
    reference: str
    sources: tuple[str, ...]


def pick(recipe: Recipe, key: str, reference: str | None) -> Fact | None:
    """The fact of a key that a reference gives, or the highest-ranking given one."""
    given = [fact for fact in recipe.of(key) if fact.role != "derived"]
    if reference is not None:
        return next((fact for fact in given if references.matches(fact, reference)), None)
    return min(given, key=lambda fact: references.RANK.index(fact.role), default=None)


def rule(recipe: Recipe) -> str:
    """`linear`, `square root` or `none`: the first word of the recipe's rule."""
    fact = pick(recipe, "lr.scaling_rule", None)
    text = str(fact.value) if fact else "none"
    return next((name for name in EXPONENTS if text.startswith(name)), "none")


def rate_at(recipe: Recipe, batch: int, reference: str | None = None, *, strict: bool = False) -> Rate | str:
    """The rate at `batch`, or a sentence that says why the sources give none.

    With `strict`, another reference's rate or batch is never used in place of the named one's.
    A recipe with a rule states its rate at a reference batch: deit-ti-s has 5e-4 at 512, thus 0.001 at 1024.
    """
    base, peak = pick(recipe, "lr.base", reference), pick(recipe, "lr.peak", reference)
    name, lenient = rule(recipe), None if not strict else reference
    if base is None and name != "none" and not strict:
        base = pick(recipe, "lr.base", None)
    at = pick(recipe, "lr.reference_batch_size", lenient)
    stated = base or peak
    if stated is None or isinstance(stated.value, (str, list)):
        return f"{reference or recipe.id} gives no single learning rate"
    own = pick(recipe, "batch_size", reference) if strict and reference else None
    start = float(at.value) if base and at else references.batch(recipe, reference or stated.role)
    if start is None or (strict and reference and not (base and at) and own is None):
        return f"{reference or recipe.id} gives no batch for its learning rate"
    sources = tuple(dict.fromkeys(sentence(fact) for fact in (stated, at) if fact))
    if batch == start:
        return Rate(stated.value, f"{said(stated.value)} at batch {start:g}, as given", stated.reference, sources)
    if name == "none":
        return (
            f"{recipe.id} gives the learning rate {said(stated.value)} at batch {start:g} and no rule for another; "
            "scaling it is an adaptation"
        )
    power = EXPONENTS[name]
    value = stated.value * (batch / start) ** power
    factor = f"{batch} / {start:g}" if power == 1.0 else f"({batch} / {start:g})^0.5"
    return Rate(value, f"{said(stated.value)} x {factor} = {value:.6g} ({name} rule)", stated.reference, sources)
