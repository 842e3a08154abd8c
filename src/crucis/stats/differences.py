"""What every comparison of pairs shares: differences or ratios, and the way back to the unit of the column."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from ..errors import Refusal
from .table import Array, Pairs, at_least


def of_pairs(table: Pairs, scale: str) -> tuple[Array, float]:
    """Differences a - b, or of logarithms for `ratio`, and the size of the numbers they come from (for rounding).

    Raises:
        Refusal: fewer than two pairs; a value that is not positive where a ratio is asked for.
    """
    at_least(len(table.a), 2, "pairs")
    a, b = table.a, table.b
    if scale == "ratio":
        if min(a.min(), b.min()) <= 0:
            raise Refusal("out_of_range", f"a ratio needs positive values; the smallest is {min(a.min(), b.min()):.6g}")
        a, b = np.log(a), np.log(b)
    return a - b, float(max(np.abs(a).max(), np.abs(b).max()))


def back(scale: str) -> Callable[[float | None], float | None]:
    """From the scale of the test to that of the reader: exp for `ratio`, else nothing."""

    def same(value: float | None) -> float | None:
        return value

    def ratio(value: float | None) -> float | None:
        return None if value is None else math.exp(min(value, 700.0))

    return ratio if scale == "ratio" else same


def reach_of(margin: float, scale: str) -> float:
    """A margin on the scale of the test: its logarithm for `ratio`.

    Raises:
        Refusal: a margin inside which nothing could lie: at most 0, or at most 1 for a ratio.
    """
    reach = math.log(margin) if scale == "ratio" and margin > 0 else margin
    if not reach > 0:
        least = "1" if scale == "ratio" else "0"
        raise Refusal("out_of_range", f"a margin of {margin:.6g} is not above {least}, so nothing could lie inside it")
    return reach
