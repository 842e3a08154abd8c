"""The shipped facts of published recipes, read from `recipes.json` beside this file (one fact a line; 5 ms).

A fact has a role: `paper`; `cited-paper` (the paper defers to it); `authors-code`; `reimplementation`; `derived`
(arithmetic over the facts above it, with its formula). The same key may occur twice in a recipe: sources disagree, or
one quantity is given in two units. Keys in `not_reported` are left open by the primary paper, so that no value of
another source may be called the paper's. `lr.scaling_rule: none`: the source gives one batch size and no rule.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from ...errors import CrucisError, did_you_mean

ROLES = ("paper", "cited-paper", "authors-code", "reimplementation", "derived")
#: Sources of facts that are no publication and no code.
BARE_SOURCES = ("arithmetic", "interpretation", "third-party")
#: Training images of ImageNet-1k.
IMAGENET = 1281167
_FILE = Path(__file__).parent / "recipes.json"


class NoSuchRecipe(CrucisError, ValueError):
    """A recipe that is not published here."""


@dataclass(frozen=True)
class Fact:
    """One value of one source.

    Attributes:
        key: such as `lr.base`; value: number, text, truth value or list; unit: None for plain numbers and texts.
        source: key of a source, a colon and the place in it.
        role: one of `ROLES`; verified: whether the value was read in the source.
        formula: of a derived value.
    """

    key: str
    value: Any
    source: str
    role: str
    verified: bool
    unit: str | None = None
    formula: str | None = None

    @property
    def reference(self) -> str:
        """Who says so: the role, and for code also which (`authors-code`, `reimplementation tv-ref`)."""
        return f"{self.role} {self.source.partition(':')[0]}" if self.role == "reimplementation" else self.role

    def says(self) -> str:
        """Value and unit."""
        return said(self.value, self.unit)


@dataclass(frozen=True)
class Recipe:
    """What is known of how some models were trained.

    Attributes:
        facts: in the order of the file; not_reported: keys that the primary paper leaves open.
        images: training images of the data set, None where the recipe names none.
    """

    id: str
    family: str
    models: tuple[str, ...]
    dataset: str
    task: str
    facts: tuple[Fact, ...]
    not_reported: tuple[str, ...]
    images: float | None

    def of(self, key: str) -> tuple[Fact, ...]:
        """The facts of a key."""
        return tuple(fact for fact in self.facts if fact.key == key)

    def images_of(self, key: str) -> float | None:
        """Training images of an epoch: of the data set that a key names (`finetune.total_imagenet`), else of the
        recipe's."""
        return IMAGENET if key.endswith("_imagenet") else self.images

    @property
    def keys(self) -> tuple[str, ...]:
        """Every key that has a fact, in order."""
        return tuple(dict.fromkeys(fact.key for fact in self.facts))


def said(value: Any, unit: str | None = None) -> str:
    """A value as people read it: 600,000 iterations; 27.88 %; [30, 60] epochs; true."""
    if isinstance(value, bool):
        text = "true" if value else "false"
    elif isinstance(value, list):
        text = "[" + ", ".join(said(item) for item in value) + "]"
    elif isinstance(value, int) or (isinstance(value, float) and value.is_integer() and abs(value) >= 1000):
        text = f"{int(value):,}"
    else:
        text = f"{value:g}" if isinstance(value, float) and abs(value) < 1000 else str(value)
    return f"{text} {unit}" if unit else text


@cache
def _body() -> Mapping[str, Any]:
    body: dict[str, Any] = json.loads(_FILE.read_text(encoding="utf-8"))
    return body


@cache
def recipes() -> Mapping[str, Recipe]:
    """Every published recipe by name, in the order of the file."""
    sets = _body()["datasets"]
    found = {}
    for entry in _body()["recipes"]:
        first = str(entry["dataset"]).split(",")[0].strip()
        found[entry["id"]] = Recipe(
            id=entry["id"], family=entry["family"], models=tuple(entry["models"]), dataset=entry["dataset"],
            task=entry["task"], facts=tuple(Fact(**fact) for fact in entry["facts"]),
            not_reported=tuple(entry["not_reported"]), images=sets.get(first, {}).get("train_images"),
        )  # fmt: skip
    return found


def names() -> tuple[str, ...]:
    """Published recipes, in the order of the file."""
    return tuple(recipes())


def get(name: str) -> Recipe:
    """A published recipe.

    Raises:
        NoSuchRecipe: with the nearest name.
    """
    known = recipes()
    if name not in known:
        raise NoSuchRecipe(f"no published recipe '{name}'.{did_you_mean(name, known)} There are {', '.join(known)}.")
    return known[name]


def sources() -> Mapping[str, Mapping[str, Any]]:
    """Key of a source -> type (paper, repository, documentation), `ref`, and for code its `revision`."""
    return _body()["sources"]


def sentence(fact: Fact) -> str:
    """Where a fact stands, written out: the publication or repository, and the place in it."""
    key, _, place = fact.source.partition(":")
    if fact.formula is not None:
        return f"computed: {fact.formula.replace('*', ' x ').replace(' x  x ', '**')} = {fact.says()}"
    about = sources().get(key)
    if about is None:
        return fact.source
    revision = str(about.get("revision", ""))
    at = f" at {revision[:10]}" if len(revision) == 40 else ""
    return f"{about['ref']}{at}{', ' + place if place else ''}"
