"""Recipes that a study names: sets of training parameters and the rule that fits the learning rate to another batch.

House recipes are files beside this one; published ones are translated from facts. `NAME@REFERENCE` takes a published
recipe from one of its references first (`resnet-cifar@fb-resnet-torch`). Imports no torch. What is
written beside a recipe wins; where each value came from is kept for the record.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from ..errors import did_you_mean
from . import refit
from .published import facts
from .published.references import known
from .published.translate import Translation, translate
from .settings import SettingsError

_FOLDER = Path(__file__).parent / "recipes"
#: What a study calls a parameter.
_WRITTEN = {"length": "for"}


def house_names() -> tuple[str, ...]:
    """House recipes, sorted."""
    return tuple(sorted(path.stem for path in _FOLDER.glob("*.yaml")))


def names() -> tuple[str, ...]:
    """Recipes that a study can name: the house's, then the published ones."""
    return (*house_names(), *facts.names())


def published(name: str) -> Translation | None:
    """The translation of a published recipe `NAME` or `NAME@REFERENCE`; None for a house recipe.

    Raises:
        SettingsError: no such recipe or reference, or a part of it that the trainer cannot express.
    """
    made = translated(name)
    if made is not None and made.missing:
        raise SettingsError("recipe", f"{name} cannot be trained as published: {'; '.join(made.missing)}. Write the "
                                      "parameters yourself, or take a house recipe")  # fmt: skip
    return made


@cache
def translated(name: str) -> Translation | None:
    """As `published`, also where parts are missing: what an audit holds a training against.

    Raises:
        SettingsError: no such recipe or reference.
    """
    bare, _, reference = name.partition("@")
    if bare in house_names() and not reference:
        return None
    if bare not in facts.names():
        trains = [one for one in facts.names() if bare in facts.get(one).models]
        near = f" {' and '.join(trains)} train{'s' * (len(trains) == 1)} it." if trains else did_you_mean(bare, names())
        raise SettingsError("recipe", f"no recipe '{bare}'; there are {', '.join(names())}.{near}")
    recipe = facts.get(bare)
    if reference and reference not in known(recipe):
        raise SettingsError("recipe", f"{bare} has no reference '{reference}'.{did_you_mean(reference, known(recipe))} "
                                      f"There are {', '.join(known(recipe))}")  # fmt: skip
    return translate(recipe, reference or None)


@cache
def _read(name: str) -> Mapping[str, Any]:
    import yaml

    if name not in house_names():
        raise SettingsError("recipe", f"no house recipe '{name}'; there are {', '.join(house_names())}")
    body = yaml.safe_load((_FOLDER / f"{name}.yaml").read_text(encoding="utf-8"))
    if body.get("scaling", "none") not in (*refit.RULES, "none"):
        raise SettingsError("recipe", f"{name} names an unknown scaling rule {body['scaling']!r}")
    return body


def recipe(name: str) -> Mapping[str, Any]:
    """Parameter -> value, as the recipe has them at its own batch size.

    Raises:
        SettingsError: no such recipe, with the nearest name.
    """
    return dict(_read(name)["parameters"])


def about(name: str) -> Mapping[str, Any]:
    """Everything a recipe says of itself: `kind` (house), `says`, `scaling`, `parameters`, `sources`."""
    return _read(name)


def line(name: str) -> str:
    """What a recipe is, in one line."""
    if name in house_names():
        return f"house: {_read(name).get('says', '')}"
    recipe = facts.get(name)
    return f"{', '.join(recipe.models)} on {recipe.dataset}, {recipe.task}; {len(recipe.facts)} facts"


def with_recipe(name: str, written: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """Parameters of a run that names a recipe, and where each came from.

    If `batch` is written and `lr` is not, the recipe's learning rate is scaled by the recipe's own rule. At another
    length, batch or rate, the other parameters of a published recipe are fitted as `refit` says.

    Raises:
        SettingsError: no such recipe; a part that the trainer cannot express; a parameter that the sources leave open
            and that is not written.

    Returns:
        parameters (the recipe's, replaced by what is written), and per parameter `recipe: NAME`, `written`,
        `adapted from VALUE` (written over a differing value of the recipe) or `scaled from ...`.
    """
    made = published(name)
    lost = asked(name, written)
    if lost:
        raise SettingsError("recipe", lost)
    if made is not None:
        return refit.fitted(made, written)
    base = recipe(name)
    params, origin = refit.replaced(name, base, dict.fromkeys(base, f"recipe: {name}"), written)
    refit.scale(base, _read(name).get("scaling", "none"), params, origin, written)
    return params, origin


def as_written(parameter: str) -> str:
    """What a study calls a parameter: `for` for the length."""
    return _WRITTEN.get(parameter, parameter)


def misplaced(name: str, protocol: str) -> str | None:
    """Why a recipe does not belong to a training protocol of this house, in a sentence; None if it does. A house recipe
    belongs to each.

    Raises:
        SettingsError: no such recipe or reference.
    """
    made = translated(name)
    if made is None or made.protocol == protocol:
        return None
    return f"{name} is a recipe of the protocol {made.protocol}, and this stage trains by {protocol}"


def asked(name: str, written: Collection[str]) -> str | None:
    """What a study must write beside a recipe, since no source gives it, in a sentence; None if nothing is left open.

    Raises:
        SettingsError: no such recipe or reference.
    """
    made = translated(name)
    lost = {} if made is None else {as_written(k): why for k, why in made.open.items() if k not in written}
    if not lost:
        return None
    listed = "; ".join(f"{key} ({why})" for key, why in lost.items())
    keys = [f"{key}:" for key in lost]
    together = f"{', '.join(keys[:-1])} and {keys[-1]}" if len(keys) > 1 else keys[0]
    return f"{name} leaves open what a training needs: {listed}. Write {together} beside it"
