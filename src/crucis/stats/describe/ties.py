"""Ties: how many values of a column are equal, and how many sit at the smallest, such as exactly 0.

A rank statistic knows only orders, so a column that is tied has less to say than its n suggests: `tied` is the share of
pairs of values that are equal, `at_smallest` the share of values that equal the smallest. With `unit: arch` the values
are those of the units (means over seeds); without, the seeds of each cell. Equal means equal in every digit: values
that differ by rounding alone are not tied here.

Reference case: 0, 0, 0, 1 has 2 distinct values, 3 of 6 pairs tied, 0.75 at the smallest.
Source: Kendall (1945), doi:10.1093/biomet/33.3.239 (ties in rank statistics).
"""

from __future__ import annotations

import numpy as np

from ..table import Sample, at_least

REVISION = 1
RANDOM = False
COLUMNS = {
    "tied": {"unit": "1", "range": [0, 1], "axes": [], "headline": True},
    "distinct": {"unit": "count", "range": [1, None], "axes": []},
    "smallest": {"unit": "same", "range": [None, None], "axes": []},
    "at_smallest": {"unit": "1", "range": [0, 1], "axes": []},
    "n": {"unit": "count", "range": [0, None], "axes": []},
    "n_planned": {"unit": "count", "range": [0, None], "axes": []},
}


def estimate(table: Sample) -> dict[str, float | None]:
    """Distinct values, tied pairs, and the share at the smallest value.

    Returns:
        the columns without `n_planned`, which the study adds.

    Raises:
        Refusal: fewer than two values.

    Cost: below a millisecond.
    """
    at_least(len(table.x), 2, "values")
    found, counts = np.unique(table.x, return_counts=True)
    n = len(table.x)
    return {
        "tied": float((counts * (counts - 1)).sum()) / (n * (n - 1)),
        "distinct": len(found),
        "smallest": float(found[0]),
        "at_smallest": float(counts[0]) / n,
        "n": n,
    }
