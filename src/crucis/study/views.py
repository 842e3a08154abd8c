"""Views as written: the keys they may have and the types of their values. Knows no data set."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import did_you_mean
from .scalars import number, show
from .tree import BAD, has_bad

KEYS = ("classes", "per_class", "n", "share", "labels", "permute", "rotate")
_Found = list[tuple[str, str, str, bool]]  # code, path below the view, text, whether the key is meant


def view_issues(raw: Any) -> tuple[dict[str, Any], _Found]:
    """The view with its values converted, and what is wrong with it."""
    found: _Found = []
    if not isinstance(raw, Mapping):
        return {}, [("wrong-type", "", f"expected a view such as {{classes: first-half}}, got {show(raw)}.", False)]
    out: dict[str, Any] = {}
    for key, value in raw.items():
        if key not in KEYS:
            hint = did_you_mean(key, KEYS) or f" It has: {', '.join(KEYS)}."
            found.append(("unknown-parameter", f".{key}", f"a view has no key '{key}'.{hint}", True))
        elif has_bad(value):
            out[key] = BAD
        else:
            out[key], problem = _VALUES[key](value)
            if problem:
                found.append(("wrong-type", f".{key}", f"expected {problem}, got {show(value)}.", False))
    return {key: out[key] for key in KEYS if key in out}, found


def _count(value: Any) -> tuple[Any, str | None]:
    whole = isinstance(value, float) and value.is_integer()
    if (isinstance(value, int) and not isinstance(value, bool) and value >= 1) or (whole and value >= 1):
        return int(value), None
    return value, "a whole number from 1"


def _share(value: Any) -> tuple[Any, str | None]:
    share = number(value)
    if share is None or not 0 < share <= 1:
        return value, "a share above 0 and up to 1 (10%)"
    return float(share), None


def _classes(value: Any) -> tuple[Any, str | None]:
    words = "first-half, second-half, a list of classes or {random_half: 7}"
    if value in ("first-half", "second-half"):
        return value, None
    if isinstance(value, Mapping) and len(value) == 1:
        name, inner = next(iter(value.items()))
        if name in ("random_half", "other_half") and isinstance(inner, int) and not isinstance(inner, bool):
            return dict(value), None
    if isinstance(value, list) and value and all(isinstance(v, (int, str)) and not isinstance(v, bool) for v in value):
        return list(value), None
    return value, words


def _labels(value: Any) -> tuple[Any, str | None]:
    if value is True or value == "true":
        return "true", None
    if value in ("random", "coarse"):
        return value, None
    if isinstance(value, Mapping) and list(value) == ["noise"]:
        noise = number(value["noise"])
        if noise is not None and 0 <= noise <= 1:
            return {"noise": float(noise)}, None
    return value, "true, random, coarse or {noise: 20%}"


def _permute(value: Any) -> tuple[Any, str | None]:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value, None
    return value, "a whole number from 0"


def _rotate(value: Any) -> tuple[Any, str | None]:
    angle = number(value)
    return (value, "degrees") if angle is None else (float(angle), None)


_VALUES = {
    "classes": _classes, "per_class": _count, "n": _count, "share": _share, "labels": _labels,
    "permute": _permute, "rotate": _rotate,
}  # fmt: skip
