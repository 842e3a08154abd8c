"""The criterion of a threshold search: `train_accuracy >= 100%`, one column of a training against a number."""

from __future__ import annotations

import operator
from collections.abc import Callable

from .expressions import parse
from .spec import Binary, Column, Number
from .words import ExpressionError

_HOLDS: dict[str, Callable[[float, float], bool]] = {
    ">=": operator.ge, ">": operator.gt, "<=": operator.le, "<": operator.lt,
}  # fmt: skip


def criterion(text: str) -> tuple[str, str, float]:
    """Column, comparison, number.

    Raises:
        ValueError: something else, with a sentence.
    """
    form = f"'{text}': write COLUMN >= NUMBER, such as train_accuracy >= 100%."
    try:
        tree = parse(text)
    except ExpressionError as error:
        raise ValueError(f"column {error.column}: {error.text}") from None
    if not isinstance(tree, Binary) or tree.operator not in _HOLDS:
        raise ValueError(form)
    if not isinstance(tree.left, Column) or not isinstance(tree.right, Number):
        raise ValueError(form)
    ref = tree.left.ref
    if ref.column or ref.at or ref.use:
        raise ValueError(form)
    return ref.name, tree.operator, tree.right.value


def reached(text: str, value: float | None) -> float:
    """1 if a value meets the criterion, else 0; a training without the number has not succeeded."""
    _, comparison, number = criterion(text)
    return float(value is not None and _HOLDS[comparison](value, number))
