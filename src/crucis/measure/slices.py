"""Numbers that exist once per slice, and what a record says of all slices together."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np


def over_slices(parts: Mapping[str, Sequence[float]]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Means with their parts under `NAME@slice`, and standard errors over slices (none for a single slice).

    Args:
        parts: column name -> one number per slice.

    Returns:
        (values, uncertainty) as in `records.Result`.
    """
    values: dict[str, Any] = {}
    uncertainty: dict[str, Any] = {}
    for name, found in parts.items():
        values[name] = math.fsum(found) / len(found)
        values[f"{name}@slice"] = {str(index): value for index, value in enumerate(found)}
        if len(found) > 1:
            se = float(np.std(found, ddof=1)) / math.sqrt(len(found))
            uncertainty[name] = {"se": se, "n": len(found), "kind": "slices"}
    return values, uncertainty
