"""The components that a net file declares: which parts of a method have a name, and what may stand in their place.

A net with components says so beside its `build`, in a literal that is read without running the file:

    COMPONENTS = {
        "gating": {"replace": ["remove", "identity"], "says": "weighs the channels by a summary of the image"},
        "shortcut": "remove",
    }

    def build(input, classes, *, without: dict[str, str] = {}): ...

`without` maps each component that is left out to its replacement: `remove` (nothing stands there), `identity` (what
comes in goes out) or `baseline` (the baseline's part). The first replacement listed is the default.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from ..errors import CrucisError, did_you_mean
from ..shelf import Leaf

REPLACEMENTS = ("remove", "identity", "baseline")
PARAMETER = "without"
_NAME = re.compile(r"[a-z][a-z0-9_]*")
_TAKEN = ("net", "group", "missing", "run", "full", "baseline", "seed", "at", "split")
_FORM = 'COMPONENTS = {"gating": "remove"} or {"gating": {"replace": ["remove", "identity"], "says": "..."}}'


class ComponentsError(CrucisError):
    """A declaration that cannot be used, or a name or replacement that was not declared; in one sentence."""


@dataclass(frozen=True)
class Component:
    """A named part of a method."""

    name: str
    replacements: tuple[str, ...]  # what may stand in its place; the first is the default
    says: str = ""


def declared(leaf: Leaf) -> dict[str, Component]:
    """The components of a net in the order of its file.

    Raises:
        ComponentsError: nothing is declared, the declaration has another form, or `build` has no `without`.
    """
    found = read(leaf.name, leaf.constants.get("COMPONENTS"))
    if PARAMETER not in leaf.params:
        raise ComponentsError(
            f"{leaf.name} declares COMPONENTS, but its build cannot leave any out. "
            f"Write def build(input, classes, *, {PARAMETER}: dict[str, str] = {{}})."
        )
    return found


def read(file: str, raw: object) -> dict[str, Component]:
    """The components that a literal `COMPONENTS` declares.

    Raises:
        ComponentsError: nothing is declared, or in another form.
    """
    if not isinstance(raw, Mapping) or not raw:
        what = "declares no COMPONENTS" if raw is None else "declares COMPONENTS in a form that cannot be read"
        raise ComponentsError(f"{file} {what}. Write beside 'build', as a literal: {_FORM}.")
    return {name: _component(file, name, about) for name, about in raw.items()}


def _component(file: str, name: object, about: object) -> Component:
    if not isinstance(name, str) or not _NAME.fullmatch(name) or name in _TAKEN:
        raise ComponentsError(
            f"{file}: {name!r} cannot name a component: small letters, digits and _, beginning with a letter, "
            f"and none of {', '.join(_TAKEN)}."
        )
    parts = about if isinstance(about, Mapping) else {"replace": about}
    replace, says = parts.get("replace", "baseline"), parts.get("says", "")
    listed = (replace,) if isinstance(replace, str) else tuple(replace) if isinstance(replace, (list, tuple)) else ()
    if not listed or set(parts) - {"replace", "says"} or not isinstance(says, str):
        raise ComponentsError(f"{file}: component '{name}' is declared in a form that cannot be read. Write {_FORM}.")
    for word in listed:
        if word not in REPLACEMENTS:
            hint = did_you_mean(str(word), REPLACEMENTS)
            raise ComponentsError(
                f"{file}: component '{name}' cannot be replaced by {word!r}.{hint} All: {', '.join(REPLACEMENTS)}."
            )
    return Component(name, listed, says)


def check_without(file: str, components: Mapping[str, Component], without: Mapping[str, str]) -> None:
    """Hold what is left out against what is declared.

    Raises:
        ComponentsError: an unknown component or a replacement that it does not offer, with the nearest name.
    """
    for name, word in without.items():
        if name not in components:
            raise ComponentsError(
                f"{file} has no component '{name}'.{did_you_mean(str(name), components)} "
                f"Components: {', '.join(components)}."
            )
        offered = components[name].replacements
        if word not in offered:
            raise ComponentsError(
                f"'{name}' of {file} cannot be replaced by '{word}'.{did_you_mean(str(word), offered)} "
                f"It offers: {', '.join(offered)}."
            )
