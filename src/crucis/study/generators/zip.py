"""The first values together, then the second ones, and so on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

REVISION = 1


def generate(varied: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """Parameter sets of the levels.

    Args:
        varied: parameter -> values, in the order of the file; all lists equally long.

    Returns:
        one mapping per level.

    Raises:
        ValueError: lists of different lengths.
    """
    lengths = {name: len(values) for name, values in varied.items()}
    if len(set(lengths.values())) > 1:
        counts = ", ".join(f"{name} {count}" for name, count in lengths.items())
        raise ValueError(f"the lists of 'zip' are not equally long: {counts}.")
    return [dict(zip(varied, values, strict=True)) for values in zip(*varied.values(), strict=True)]
