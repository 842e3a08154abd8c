"""Recipes that a study names: sets of training parameters and the rule that fits the learning rate to another batch.

House recipes are files beside this one; published ones are translated from facts. `NAME@REFERENCE` takes a published
recipe from one of its references first (`resnet-cifar@fb-resnet-torch`). Imports no torch. What is
written beside a recipe wins; where each value came from is kept for the record.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from ..errors import did_you_mean
from ..lengths import Length
from .published import facts, scaling
from .published.references import known
from .published.translate import Translation, translate
from .settings import SettingsError

_FOLDER = Path(__file__).parent / "recipes"
_RULES = {"linear": 1.0, "square_root": 0.5}


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
        raise SettingsError(
            "recipe", f"no recipe '{bare}'; there are {', '.join(names())}.{did_you_mean(bare, names())}"
        )
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
    if body.get("scaling", "none") not in (*_RULES, "none"):
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

    If `batch` is written and `lr` is not, the recipe's learning rate is scaled by the recipe's own rule.

    Returns:
        parameters (the recipe's, replaced by what is written), and per parameter `recipe: NAME`, `written`,
        `adapted from VALUE` (written over a differing value of the recipe) or `scaled from ...`.
    """
    made = published(name)
    base = recipe(name) if made is None else made.params
    params, origin = {**base, **written}, dict.fromkeys(base, f"recipe: {name}")
    if made is not None:
        origin |= made.origin
    for key, value in written.items():
        differs = key in base and base[key] != value
        origin[key] = f"adapted from {base[key]} (recipe: {name})" if differs else "written"
    if made is not None:
        _fit_length(made, params, origin, written)
    rule = _read(name).get("scaling", "none") if made is None else scaling.rule(made.recipe).replace(" ", "_")
    if rule == "none" and "batch" in written and "lr" not in written and params["batch"] != base["batch"]:
        origin["lr"] += f"; unchanged at batch {params['batch']}, since the recipe gives no rule for it"
    if rule in _RULES and "lr" not in written and params["batch"] != base["batch"]:
        ratio = params["batch"] / base["batch"]
        params["lr"] = base["lr"] * ratio ** _RULES[rule]
        origin["lr"] = f"scaled from {base['lr']} at batch {base['batch']} ({rule.replace('_', ' ')} rule)"
    return params, origin


def _fit_length(made: Translation, params: dict[str, Any], origin: dict[str, str], written: Mapping[str, Any]) -> None:
    """Under another length, milestones and warm-up stay where they are as shares of the training."""
    own = made.params["length"]
    if "length" not in written or str(written["length"]) == own:
        return
    schedule = made.params["schedule"]
    if "schedule" not in written and isinstance(schedule, Mapping) and "multi_step" in schedule:
        at = schedule["multi_step"]["at"]  # facts give milestones in the unit of the length
        shares = [_share(moment, own) for moment in at]
        params["schedule"] = {"multi_step": {**schedule["multi_step"], "at": shares}}
        origin["schedule"] = f"adapted from {', '.join(at)} of {own}: the same shares of {written['length']}"
    if "warmup" not in written and not made.params["warmup"].startswith("0 "):
        warmup = made.params["warmup"]
        if Length.parse(warmup).unit == Length.parse(own).unit:
            params["warmup"] = _share(warmup, own)
            origin["warmup"] = f"adapted from {warmup} of {own}: the same share of {written['length']}"
        else:
            origin["warmup"] += f"; unchanged under a length of {written['length']}"


def _share(moment: str, whole: str) -> str:
    """`32000 steps` of `64000 steps` is `50%`."""
    return f"{100 * Length.parse(moment).count / Length.parse(whole).count:.10g}%"
