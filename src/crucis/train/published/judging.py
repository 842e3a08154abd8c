"""One claim about a recipe held against its facts.

Outcomes: `right`; `wrong`; `not published` (another reference has the key, the named one does not); `unknown` (the
primary paper leaves the key open, or no reference has it). A claim that names no reference is held against the
highest-ranking one that has the key: paper, cited paper, authors' code, reimplementation. Given values must be met
exactly; converted and derived ones must round to the digits that the claim has. Where a conversion needs a batch that
the reference does not give, the claim is `unknown`.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import Any

from ...errors import did_you_mean
from . import references
from .decaying import per
from .facts import Fact, Recipe, get, recipes, said, sentence, sources
from .formulas import evaluate
from .quantities import PER, Reading, readings
from .scaling import rate_at
from .wording import numbers, truth

_WHO = {"paper": "the paper", "cited-paper": "the cited paper", "authors-code": "the authors' code",
        "reimplementation": "the reimplementation"}  # fmt: skip
_RATES = ("lr.base", "lr.peak")
OUTCOMES = ("right", "wrong", "not published", "unknown")


@dataclass(frozen=True)
class Claim:
    """A statement about one key of a recipe. `batch`: the batch at which a learning rate is claimed."""

    recipe: str
    key: str
    claimed: Any
    unit: str | None = None
    reference: str | None = None
    batch: int | None = None
    line: int = 0

    def says(self) -> str:
        """The claimed value as people read it."""
        at = f" at batch {self.batch}" if self.batch else ""
        return said(self.claimed, self.unit) + at


@dataclass(frozen=True)
class Judgement:
    """What came of a claim.

    Attributes:
        correct: the values of the reference that it was held against; arithmetic: where units or rules were applied.
        source: the place; elsewhere: what else has the claimed value; text: one sentence.
    """

    claim: Claim
    outcome: str
    text: str
    correct: tuple[str, ...] = ()
    arithmetic: tuple[str, ...] = ()
    source: tuple[str, ...] = ()
    elsewhere: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """For `--format json`."""
        claim = self.claim
        head = {name: getattr(claim, name) for name in ("recipe", "key", "claimed", "unit", "reference", "batch")}
        tail = {name: list(getattr(self, name)) for name in ("correct", "arithmetic", "source", "elsewhere")}
        return {**head, "line": claim.line, "outcome": self.outcome, "text": self.text, **tail}


@dataclass(frozen=True)
class _Comparison:
    fact: Fact
    met: bool
    shown: str
    arithmetic: tuple[str, ...] = ()
    comparable: bool = True
    remark: str = field(default="")


def judge(claim: Claim) -> Judgement:
    """Hold a claim against the facts.

    Raises:
        NoSuchRecipe: with the nearest name.
    """
    recipe = get(claim.recipe)
    facts = candidates(recipe, claim.key)
    if claim.batch is not None and claim.key in _RATES:
        return _at_batch(claim, recipe)
    own = any(references.says(recipe, fact, claim.reference) for fact in facts) if claim.reference else False
    attributed = claim.reference in (None, "paper") or (_is_paper(claim.reference) and not own)
    if references.left_open(recipe, claim.key) and attributed:
        return _open(claim, recipe, facts)
    if not facts:
        return _nowhere(claim, recipe)
    reference = claim.reference or references.primary(recipe, facts) or ""
    held = [fact for fact in facts if not reference or references.says(recipe, fact, reference)]
    others = [fact for fact in facts if fact not in held]
    if not held:
        have = "; ".join(f"{fact.reference}: {fact.says()}" for fact in others)
        text = f"{_WHO.get(reference, reference)} does not publish {claim.key} of {recipe.id}; {have}"
        return Judgement(
            claim, "not published", text, source=_sources(others), elsewhere=_matching(claim, recipe, others)
        )
    return _held(claim, recipe, held, others, reference)


def _is_paper(reference: str | None) -> bool:
    return reference is not None and sources().get(reference, {}).get("type") == "paper"


def candidates(recipe: Recipe, key: str) -> list[Fact]:
    """The facts of a key, in each of its spellings; of `schedule.milestone_N` also the Nth written milestone."""
    found = [fact for fact in recipe.facts if fact.key in references.spellings(key)]
    if number := re.fullmatch(r"schedule\.milestone_(\d+)", key):
        at = int(number[1]) - 1
        for fact in recipe.of("schedule.milestones"):
            if isinstance(fact.value, list) and 0 <= at < len(fact.value):
                found.insert(0, Fact(key, fact.value[at], fact.source, fact.role, fact.verified, fact.unit))
    return [fact for fact in found if fact.key == key] or found


def _held(claim: Claim, recipe: Recipe, held: list[Fact], others: list[Fact], reference: str) -> Judgement:
    compared = [compare(claim, fact, recipe, references.batch(recipe, reference, fact.key)) for fact in held]
    met = [one for one in compared if one.met]
    # What the claim's own unit says is the plainer correction; a value that cannot be brought there is shown as it is.
    plain = [one for one in compared if one.comparable] or compared
    plain = [one for one in plain if one.fact.role != "derived"] or plain
    elsewhere = () if met else _matching(claim, recipe, others) + _at_batches(claim, recipe) + _siblings(claim, recipe)
    best = next((one for one in met if not one.arithmetic), met[0] if met else None)
    shown = (best,) if best else tuple(plain)
    correct = tuple(dict.fromkeys(one.shown for one in shown))
    arithmetic = tuple(dict.fromkeys(line for one in shown for line in one.arithmetic))
    source = _sources([one.fact for one in shown])
    who = _WHO.get(reference, reference) or "the source"
    if best:
        text = f"{claim.says()} is what {who} has" + (f" ({best.remark})" if best.remark else "")
        return Judgement(claim, "right", text, correct, arithmetic, source)
    if not any(one.comparable for one in compared):
        text = f"{who} has {' or '.join(correct)}, and nothing that turns this into {claim.unit}"
        return Judgement(claim, "unknown", text, correct, arithmetic, source, elsewhere)
    text = f"{claim.says()} is not what {who} has: {' or '.join(correct)}"
    return Judgement(claim, "wrong", text, correct, arithmetic, source, elsewhere)


def compare(claim: Claim, fact: Fact, recipe: Recipe, batch: float | None) -> _Comparison:
    """A claimed value beside one fact, number by number."""
    if _numeric(fact.value) and _numeric(claim.claimed):
        return _numbers(claim, fact, recipe, batch)
    if isinstance(fact.value, str) and isinstance(claim.claimed, str):
        return _texts(claim.claimed, fact)
    if isinstance(fact.value, str) and _numeric(claim.claimed):
        return _worded(claim.claimed, fact)
    if isinstance(fact.value, list) and isinstance(claim.claimed, list):
        alike = [str(a).casefold() for a in fact.value] == [str(b).casefold() for b in claim.claimed]
        return _Comparison(fact, alike and not _numeric(fact.value), fact.says())
    whether = truth(fact.value), truth(claim.claimed)
    return _Comparison(fact, whether[0] is not None and whether[0] is whether[1], fact.says())


def _number(value: Any) -> bool:
    return _numeric(value) and not isinstance(value, list)


def _numeric(value: Any) -> bool:
    if isinstance(value, list):
        return bool(value) and all(_numeric(item) and not isinstance(item, list) for item in value)
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _texts(claimed: str, fact: Fact) -> _Comparison:
    want, have = _plain(claimed), _plain(fact.value)
    partly = have.startswith(want + " ") and bool(want)
    remark = f"as far as it goes; the source says: {fact.value}" if partly and want != have else ""
    return _Comparison(fact, want == have or partly, fact.says(), remark=remark)


def _worded(claimed: Any, fact: Fact) -> _Comparison:
    """Numbers beside a sentence that gives them, as one of several values or as a range."""
    remark = f"as far as it goes; the source says: {fact.value}"
    return _Comparison(fact, claimed in numbers(fact.value), fact.says(), remark=remark)


def _plain(text: str) -> str:
    return " ".join(re.sub(r"[^\w.*=+<>/-]+", " ", text.casefold()).split())


def _numbers(claim: Claim, fact: Fact, recipe: Recipe, batch: float | None) -> _Comparison:
    claimed = claim.claimed if isinstance(claim.claimed, list) else [claim.claimed]
    values = fact.value if isinstance(fact.value, list) else [fact.value]
    each: list[list[Reading]] = [_readings(fact, value, claim.unit, batch, recipe) for value in values]
    if not all(each):
        return _Comparison(fact, False, fact.says(), comparable=False)
    alike = len(claimed) == len(values) and isinstance(claim.claimed, list) == isinstance(fact.value, list)
    # Each way to count iterations is right, and a mixture of several is none of them.
    ways = [list(way) for way in zip(*each, strict=False)] if alike else []
    hits = (way for way in ways if all(one.met_by(number) for one, number in zip(way, claimed, strict=True)))
    hit = next(hits, None)
    met, chosen = hit is not None, hit or [found[0] for found in each]
    arithmetic = tuple(one.arithmetic for one in chosen if one.arithmetic)
    return _Comparison(fact, met, _shown(chosen, fact, claim.unit), arithmetic)


def _readings(fact: Fact, value: float, unit: str | None, batch: float | None, recipe: Recipe) -> list[Reading]:
    if unit in PER:
        return [one for one in [per(recipe, fact, unit)] if one is not None]
    if fact.formula is None:
        return readings(value, fact.unit, unit, batch, recipe.images_of(fact.key))
    exact = evaluate(fact.formula)
    found = readings(exact, fact.unit, unit, batch, recipe.images_of(fact.key))
    words = f"{fact.formula.replace('**', '^').replace('*', ' x ').replace('/', ' / ')} = {said(fact.value, fact.unit)}"
    found = [Reading(one.value, one.arithmetic or words) for one in found]
    if fact.key.startswith("schedule.iterations_per_epoch") and not exact.is_integer():
        whole = ((math.floor(exact), "dropped"), (math.ceil(exact), "kept"))
        found += [Reading(number, f"{words}; {number:,} with the last partial batch {how}") for number, how in whole]
    return found


def _shown(chosen: list[Reading], fact: Fact, unit: str | None) -> str:
    if not any(one.arithmetic for one in chosen):
        return fact.says()
    numbers = [
        f"{one.value:,.2f}".rstrip("0").rstrip(".") if abs(one.value) >= 1 else f"{one.value:.4g}" for one in chosen
    ]
    text = f"[{', '.join(numbers)}]" if isinstance(fact.value, list) else numbers[0]
    return f"{text} {unit}" if unit else text


def _open(claim: Claim, recipe: Recipe, facts: list[Fact]) -> Judgement:
    have = "; ".join(dict.fromkeys(f"{one.reference} has {fact.says()}" for fact in facts
                                   for one in references.roles_of(recipe, fact)))  # fmt: skip
    text = f"the paper does not report {claim.key}, so that no value may be attributed to it"
    offered = f"; {have} (name that reference to have the claim judged)" if have else ""
    return Judgement(
        claim, "unknown", text + offered, source=_sources(facts), elsewhere=_matching(claim, recipe, facts)
    )


def _nowhere(claim: Claim, recipe: Recipe) -> Judgement:
    alias = references.ALIASES.get(claim.key.lower().replace("-", "_"))
    names = [*recipe.keys, *recipe.not_reported]
    hint = f" Did you mean '{alias}'?" if alias in names else did_you_mean(claim.key, names)
    text = f"no reference of {recipe.id} has {claim.key}.{hint}"
    return Judgement(claim, "unknown", text, elsewhere=_siblings(claim, recipe))


def _matching(claim: Claim, recipe: Recipe, facts: list[Fact]) -> tuple[str, ...]:
    found = []
    for fact in facts:
        batch = references.batch(recipe, fact.role, fact.key)
        if compare(claim, fact, recipe, batch).met:
            found.append(f"this is the value of {fact.reference} ({sentence(fact)})")
    return tuple(dict.fromkeys(found))


def _siblings(claim: Claim, recipe: Recipe) -> tuple[str, ...]:
    """Where else the claimed value stands: keys whose names begin alike, recipes of the same models and data."""
    found = []
    for fact in recipe.facts:
        alike = fact.key != claim.key and fact.key.startswith(claim.key.partition("_")[0].rstrip("."))
        same_unit = fact.unit is not None or isinstance(fact.value, str)
        if alike and same_unit and compare(claim, fact, recipe, references.batch(recipe, fact.role, fact.key)).met:
            found.append(f"this is the value of {fact.key} ({fact.reference})")
    for other in recipes().values():
        if other is recipe or other.dataset != recipe.dataset or not set(other.models) & set(recipe.models):
            continue
        for fact in other.of(claim.key):
            batch = references.batch(other, fact.role, fact.key)
            if fact.role != "derived" and compare(claim, fact, other, batch).met:
                source = fact.source.partition(":")[0]
                found.append(f"this is the value of {source} ({fact.role} of recipe {other.id}: {sentence(fact)})")
    return tuple(dict.fromkeys(found))


def _at_batches(claim: Claim, recipe: Recipe) -> tuple[str, ...]:
    """At which of the recipe's batches a claimed rate is the one that its rule gives."""
    found = []
    batches = [fact.value for fact in recipe.of("batch_size") if isinstance(fact.value, int)]
    for batch in dict.fromkeys(batches) if claim.key in _RATES and _number(claim.claimed) else ():
        rate = rate_at(recipe, batch)
        if not isinstance(rate, str) and Reading(rate.value, "").met_by(claim.claimed):
            found.append(f"this is the rate at batch {batch}: {rate.arithmetic}; a claim says so by batch: {batch}")
    return tuple(found)


def _sources(facts: list[Fact]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(sentence(fact) + ("" if fact.verified else " (not verified)") for fact in facts))


def _at_batch(claim: Claim, recipe: Recipe) -> Judgement:
    assert claim.batch is not None
    found = rate_at(recipe, claim.batch, claim.reference, strict=claim.reference is not None)
    if isinstance(found, str):
        none = not any(recipe.of(key) for key in _RATES)
        return Judgement(claim, "unknown" if none else "not published", found)
    reading = Reading(found.value, found.arithmetic)
    met = _number(claim.claimed) and (
        reading.met_by(claim.claimed) if not float(claim.claimed).is_integer() else claim.claimed == found.value
    )  # fmt: skip
    shown = (f"{found.value:.6g} at batch {claim.batch}",)
    text = f"{claim.says()} is {'' if met else 'not '}what {_WHO.get(found.reference, found.reference)} gives"
    return Judgement(claim, "right" if met else "wrong", text, shown, (found.arithmetic,), found.sources)
