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
#: Parameters that are views, and for each fact about one its steps and their options (`-`: all but this one).
VIEWS = ("augment", "second", "small")
_JITTER = ("color_jitter",)
ABOUT: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "aug.crop": (("resized_crop",), ()), "aug.crop_scale": (("resized_crop",), ()),
    "aug.global_crops": (("resized_crop",), ()), "aug.local_crops": (("resized_crop",), ()),
    "aug.hflip_p": (("flip",), ()), "aug.color_jitter": (_JITTER, ("-probability",)),
    "aug.color_jitter_strength": (_JITTER, ("-probability",)), "aug.color_p": (_JITTER, ("probability",)),
    "aug.grayscale_p": (("grayscale",), ()), "aug.blur": (("blur",), ()), "aug.blur_p": (("blur",), ()),
    "aug.solarize_p": (("solarize",), ()),
}  # fmt: skip


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
        if name in VIEWS and {fact.key for fact in made.facts.get(name, ())} <= ABOUT.keys():
            for rest in made.facts[name]:
                mine = _about(used, *_scope(rest))
                yield f"{rest.key} ({name})", name, _about(theirs, *_scope(rest)), mine, rest
            continue
        both = _views(theirs), _views(used)
        facts: list[Fact | None] = [*made.facts.get(name, ())]
        for fact in facts or [None]:
            key = name if fact is None else f"{fact.key} ({name})"
            yield key, name, *both, fact


def silent(made: Translation, ours: Mapping[str, Any], ran: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """Parameters of the protocol alone that the recipe does not give, where they are not the defaults: name, default,
    used; of views the steps that no fact is about, and the order of all."""
    seen = _seen(made, ran.get("views") or [])
    for name in VIEWS:
        if name in made.params and {fact.key for fact in made.facts.get(name, ())} <= ABOUT.keys():
            yield from _rest(made, name, seen.get(name, ours.get(name)))
    shared = shelf.leaf("train", "supervised").params
    for name, param in shelf.leaf("train", made.protocol).params.items():
        used = (ran.get("objective") or {}).get(name, ours.get(name, param.default))
        if name not in shared and name not in made.params and name not in made.open and used != param.default:
            yield name, param.default, used


def _scope(fact: Fact) -> tuple[tuple[str, ...], tuple[str, ...]]:
    steps, options = ABOUT[fact.key]
    return (*steps, *(["flip"] if str(fact.value).endswith("with flip") else [])), options


def _about(view: Any, steps: tuple[str, ...], options: tuple[str, ...] = ()) -> str:
    """What some steps of a view do, or some of their options; with `-` before it all options but one."""
    found = [choice(one, "augment") for one in view or ()]
    told = [_step(one, options) for one in found if one.name in steps]
    return "; ".join(told) or "not applied"


def _rest(made: Translation, name: str, used: Any) -> Iterator[tuple[str, Any, Any]]:
    facts = made.facts.get(name, ())
    covered = {step for fact in facts for step in _scope(fact)[0]}
    wanted, mine = ([choice(one, "augment").name for one in view or ()] for view in (made.params[name], used))
    for step in dict.fromkeys([*wanted, *mine]):
        both = [_about(view, (step,)) for view in (made.params[name], used)]
        if step not in covered and both[0] != both[1]:
            yield f"{name} {step}", None if both[0] == "not applied" else both[0], both[1]
    shares = [_about(view, _JITTER, ("probability",)) for view in (made.params[name], used)]
    if "aug.color_p" not in {fact.key for fact in facts} and "not applied" not in shares and shares[0] != shares[1]:
        yield f"{name} color_jitter", shares[0], shares[1]
    if sorted(wanted) == sorted(mine) and wanted != mine:
        yield f"{name} order", ", ".join(wanted), ", ".join(mine)


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


def _step(chosen: Choice, options: tuple[str, ...] = ()) -> str:
    full = {**{name: param.default for name, param in _own(chosen.name).items()}, **chosen.params}
    without = {name[1:] for name in options if name.startswith("-")}
    some = [name for name in full if name not in without and (without or not options or name in options)]
    given = ", ".join(f"{name} {said(full[name])}" for name in some if full[name] is not None)
    return f"{chosen.name} {given}".strip()
