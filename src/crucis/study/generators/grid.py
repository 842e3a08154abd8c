"""Every combination of the listed values; the last parameter varies fastest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

REVISION = 1


def generate(varied: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """Parameter sets of the levels.

    Args:
        varied: parameter -> values, in the order of the file.

    Returns:
        one mapping per level, `prod(len(values))` of them.
    """
    return [dict(zip(varied, values, strict=True)) for values in product(*varied.values())]
