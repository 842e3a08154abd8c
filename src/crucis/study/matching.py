"""What a filter's value means: labels and field values, equal by value and not by spelling."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from . import scalars
from .spec import LeafRef, Level, Study


def label_of(value: Any) -> str:
    """The label that a value gives itself: spaces become `-`, `/` becomes `_`, a file its stem, a leaf its name."""
    if isinstance(value, LeafRef):
        return label_of(value.name)
    if isinstance(value, Mapping) and len(value) == 1:
        return label_of(next(iter(value)))
    return scalars.label_of(value) or str(value)


def same_value(first: Any, second: Any) -> bool:
    """Whether two plain values are the same: numbers by value, everything else by label."""
    a, b = scalars.number(first), scalars.number(second)
    if a is not None and b is not None:
        return a == b
    if isinstance(first, Mapping) and isinstance(second, Mapping):
        return bool(first == second)
    return label_of(first) == label_of(second)


def level_value(level: Level, field: str | None) -> Any:
    """What a condition on this level looks at: the value of a field, or the level's label.

    Raises:
        KeyError: a field that this level does not have.
    """
    if field is None:
        return level.label
    if level.fields is None:
        raise KeyError(field)
    return level.fields[field]


def allowed(study: Study, factor: str, field: str | None, wanted: Iterable[Any]) -> frozenset[str]:
    """Labels of a factor that a condition leaves; levels without the field are not among them."""
    wanted = tuple(wanted)
    return frozenset(
        level.label
        for level in study.factors[factor].levels
        if (field is None or field in (level.fields or {}))
        and any(
            same_value(level_value(level, field), value) or (field is None and same_value(level.value, value))
            for value in wanted
        )
    )


def label_for(study: Study, factor: str, value: Any) -> str | None:
    """The label of the one level that a value names, or None."""
    labels = study.factors[factor].labels
    if isinstance(value, str) and value in labels:
        return value
    found = allowed(study, factor, None, (value,))
    return next(iter(found)) if len(found) == 1 else None
