"""The parameters of a training filled in: what is written, its recipe, its defaults; and what contradicts itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .. import shelf
from ..train import recipes, settings
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
        params = {name: _typed(bound.leaf, name, value) for name, value in params.items()}
    return params, origin, {**_defaults(shelf.leaf("train", "supervised")), **_defaults(bound.leaf), **params}


def contradictions(bound: Bound) -> tuple[SettingsError, ...]:
    """Which parameters of a training cannot be together, whatever its data are; all of them."""
    try:
        return settings.contradictions(filled(bound)[2])
    except SettingsError:
        return ()  # a recipe's own, which is told where it stands, or a value that only the plan refuses


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
