"""The parameters of a training filled in: what is written, its recipe, its defaults; and what contradicts itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .. import shelf
from ..train import recipes, settings
from ..train.qlearning import settings as games
from ..train.settings import SettingsError
from .binding import GRAMMAR, Bound
from .spec import LeafRef


def filled(bound: Bound) -> tuple[dict[str, Any], dict[str, str], dict[str, Any]]:
    """Parameters as written and by the recipe, where each came from, and the same with all defaults.

    Raises:
        SettingsError: a recipe that cannot be trained, or that leaves open what is not written.
    """
    given = bound.params
    written = {name: value for name, value in given.items() if name not in GRAMMAR}
    params, origin = written, dict.fromkeys(written, "written")
    if "recipe" in given:
        params, origin = recipes.with_recipe(given["recipe"], written)
        if text := unheard(bound.leaf, given["recipe"], params):
            raise SettingsError("recipe", text)
        params = {name: _typed(bound.leaf, name, value) for name, value in params.items()}
    return params, origin, {**_defaults(shelf.leaf("train", "supervised")), **_defaults(bound.leaf), **params}


def contradictions(bound: Bound) -> tuple[SettingsError, ...]:
    """Which parameters of a training cannot be together, whatever its data are; all of them."""
    try:
        full = filled(bound)[2]
        if str(full["length"]).strip() == "plateau" and "at_most" not in bound.leaf.params:
            text = f"'{bound.leaf.name}' cannot train to a plateau; write a length such as '30 epochs'"
            return (SettingsError("length", text),)
        if bound.leaf.name == "q_learning" and not bound.leaf.own:
            data = bound.params.get("data")
            known = data.name if isinstance(data, LeafRef) and not data.own and ":" not in data.name else None
            shown = data.params.get("games", ()) if isinstance(data, LeafRef) and known == "atari" else ()
            return games.contradictions(full, known, bound.params.get("view"), shown)
        return settings.contradictions(full)
    except SettingsError:
        return ()  # a recipe's own, which is told where it stands, or a value that only the plan refuses


def unheard(leaf: shelf.Leaf, recipe: str, params: Mapping[str, Any]) -> str | None:
    """What a recipe says and a user's own protocol has no parameter for, in a sentence; None if it takes everything.
    What is the default of `supervised` need not be said."""
    usual = settings.defaults()
    lost = [recipes.as_written(name) for name in params if name not in leaf.params and params[name] != usual.get(name)]
    if not lost:
        return None
    return (f"'{leaf.name}' has no parameter for {', '.join(lost)} of the recipe {recipe}, which would be passed over. "
            "Declare what it should follow behind '*,', or leave out the recipe")  # fmt: skip


def passed_over(leaf: shelf.Leaf, recipe: str, written: Mapping[str, Any]) -> str | None:
    """As `unheard`, for a recipe beside what is written; None if the recipe has another fault, which is told first."""
    try:
        return unheard(leaf, recipe, recipes.with_recipe(recipe, written)[0])
    except SettingsError:
        return None


def _defaults(leaf: shelf.Leaf) -> dict[str, Any]:
    return {name: param.default for name, param in leaf.params.items() if not param.required}


def _typed(leaf: shelf.Leaf, name: str, value: Any) -> Any:
    """A recipe's value in the form that binding gives to written ones."""
    param = leaf.params.get(name)
    if param is None or param.shelf is None or isinstance(value, LeafRef):
        return value
    if isinstance(value, str):
        return LeafRef(param.shelf, value)
    if isinstance(value, Mapping):
        inner, params = next(iter(value.items()))
        return LeafRef(param.shelf, inner, params or {})
    return [_typed(leaf, name, item) for item in value] if isinstance(value, list) else value
