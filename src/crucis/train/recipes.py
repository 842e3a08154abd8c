"""House recipes: named sets of training parameters and the rule that fits the learning rate to another batch size.

Imports no torch. What is written beside a recipe wins; where each value came from is kept for the record.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from ..errors import did_you_mean
from .settings import SettingsError

_FOLDER = Path(__file__).parent / "recipes"
_RULES = {"linear": 1.0, "square_root": 0.5}


def house_names() -> tuple[str, ...]:
    """House recipes, sorted."""
    return tuple(sorted(path.stem for path in _FOLDER.glob("*.yaml")))


def names() -> tuple[str, ...]:
    """Recipes that a study can name, sorted."""
    return house_names()


@cache
def _read(name: str) -> Mapping[str, Any]:
    import yaml

    if name not in names():
        raise SettingsError(
            "recipe", f"no recipe '{name}'; there are {', '.join(names())}.{did_you_mean(name, names())}"
        )
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


def with_recipe(name: str, written: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """Parameters of a run that names a recipe, and where each came from.

    If `batch` is written and `lr` is not, the recipe's learning rate is scaled by the recipe's own rule.

    Returns:
        parameters (the recipe's, replaced by what is written), and per parameter `recipe: NAME`, `written`,
        `adapted from VALUE` (written over a differing value of the recipe) or `scaled from ...`.
    """
    body = _read(name)
    base = recipe(name)
    params, origin = {**base, **written}, dict.fromkeys(base, f"recipe: {name}")
    for key, value in written.items():
        differs = key in base and base[key] != value
        origin[key] = f"adapted from {base[key]} (recipe: {name})" if differs else "written"
    rule = body.get("scaling", "none")
    if rule in _RULES and "lr" not in written and params["batch"] != base["batch"]:
        ratio = params["batch"] / base["batch"]
        params["lr"] = base["lr"] * ratio ** _RULES[rule]
        origin["lr"] = f"scaled from {base['lr']} at batch {base['batch']} ({rule.replace('_', ' ')} rule)"
    return params, origin
