"""Many seeds as one line with a band."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from ..report import content as c

#: What lines and bands mean, for captions.
BAND = "Lines are means over seeds, bands reach from the smallest to the largest seed"


def band(rows: Iterable[tuple[Sequence[float], Sequence[float]]], label: str) -> c.Line:
    """Mean and range over seeds at the places that all of them have."""
    rows = list(rows)
    shared = sorted(set.intersection(*(set(map(float, x)) for x, _ in rows)))
    table = np.array([[dict(zip(map(float, x), y, strict=True))[place] for place in shared] for x, y in rows])
    low, high = (table.min(axis=0), table.max(axis=0)) if len(rows) > 1 else ((), ())
    return c.Line(label, shared, table.mean(axis=0), low, high, len(rows))
