"""The lines of an audit that are about a self-supervised protocol's own parameters: views, losses, teachers, masks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ... import shelf
from ..settings import Choice, choice
from .facts import Fact, said
from .translate import Translation

#: Lines of a fact: key, parameter, the recipe's value, the training's value, the fact.
Line = tuple[str, str, Any, Any, Fact | None]


def values(made: Translation, ours: Mapping[str, Any], ran: Mapping[str, Any]) -> Iterator[Line]:
    """Every parameter of the protocol that the recipe gives, once per fact that it rests on, or once if on none.

    Args:
        ours: the training's parameters, with the protocol's defaults; ran: the notes of what ran, with what the
            objective said of itself and the augmentations of its views.
    """
    leaf = shelf.leaf("train", made.protocol)
    shared = shelf.leaf("train", "supervised").params
    said_of_it = {**(ran.get("objective") or {}), **_seen(made, ran.get("views") or [])}
    for name, theirs in made.params.items():
        if name not in leaf.params or (name in shared and name != "augment"):
            continue
        used = said_of_it.get(name, ours.get(name))
        both = _views(theirs), _views(used)
        facts: list[Fact | None] = [*made.facts.get(name, ())]
        for fact in facts or [None]:
            key = name if fact is None else f"{fact.key} ({name})"
            yield key, name, *both, fact


def _seen(made: Translation, views: list[list[dict[str, Any]]]) -> dict[str, list[Choice]]:
    """The parameters that hold the augmentations of views, as they ran."""
    names = [name for name in ("augment", "second", "small") if name in made.params]
    found: dict[str, list[Choice]] = {}
    for name, steps in zip(names, views, strict=False):
        derived = {"size"} if name == "small" else set()  # small_size has a line of its own
        found[name] = [
            Choice(step["name"], {k: v for k, v in step.items() if k in _own(step["name"]) and k not in derived})
            for step in steps
        ]
    return found


def _own(name: str) -> Mapping[str, Any]:
    return shelf.leaf("augment", name).params if name in shelf.names("augment") else {}


def _views(value: Any) -> Any:
    """A parameter in a form in which two spellings of the same are equal: steps as text, numbers as they are."""
    if isinstance(value, list) and any(not isinstance(one, (int, float)) for one in value):
        return "; ".join(_step(choice(one, "augment")) for one in value)
    return list(map(float, value)) if isinstance(value, list) else value


def _step(chosen: Choice) -> str:
    full = {**{name: param.default for name, param in _own(chosen.name).items()}, **chosen.params}
    given = ", ".join(f"{name} {said(value)}" for name, value in full.items() if value is not None)
    return f"{chosen.name} {given}".strip()
