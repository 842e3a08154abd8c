"""Trajectory of a column along an ordered axis: its slope, its change from start to end, and how steadily it rises.

Each run (seed, or level of `unit`) has a least-squares slope of its own over the levels; slope and change are means
over runs with Student's t interval, so runs, not levels, are the replicates. Levels lie at their numbers if all labels
are numbers (25% is 0.25, 100 is 100) and at 0, 1, 2 ... otherwise: `slope` is per unit of that. `rising` is the share
of steps between neighbouring levels that go up, `falling` of those that go down, over all runs. A slope says little of
a curve that turns back: look at `rising` and `falling` both. Runs that lack a level are left out and listed.

Reference case: runs 0, 1, 2 and 0, 2, 4 give slope 1.5 and change 3; all steps rise.
Source: Student (1908), doi:10.1093/biomet/6.1.1; slopes as summary measures: Matthews et al. (1990),
doi:10.1136/bmj.300.6719.230.
"""

from __future__ import annotations

import math

import numpy as np

from ...errors import Refusal
from ..panel import Panel
from ..table import Array, at_least
from ..tails import t_quantile

REVISION = 1
RANDOM = False
#: The table holds runs over the levels of `along`.
TABLE = "runs"
COLUMNS = {
    "slope": {"unit": "1", "range": [None, None], "axes": [], "headline": True, "interval": ["low", "high"]},
    "low": {"unit": "1", "range": [None, None], "axes": []},
    "high": {"unit": "1", "range": [None, None], "axes": []},
    "start": {"unit": "same", "range": [None, None], "axes": [], "estimate": True},
    "end": {"unit": "same", "range": [None, None], "axes": [], "estimate": True},
    "change": {"unit": "same", "range": [None, None], "axes": [], "interval": ["change_low", "change_high"]},
    "change_low": {"unit": "same", "range": [None, None], "axes": []},
    "change_high": {"unit": "same", "range": [None, None], "axes": []},
    "rising": {"unit": "1", "range": [0, 1], "axes": [], "estimate": True},
    "falling": {"unit": "1", "range": [0, 1], "axes": [], "estimate": True},
    "levels": {"unit": "count", "range": [2, None], "axes": []},
    "n": {"unit": "count", "range": [0, None], "axes": []},
    "n_planned": {"unit": "count", "range": [0, None], "axes": []},
}
LIMITS = {"confidence": "(0, 1)"}


def _mean(values: Array, confidence: float) -> tuple[float, float | None, float | None]:
    """Mean with Student's t interval; one run alone has none."""
    mean, n = float(values.mean()), len(values)
    if n < 2:
        return mean, None, None
    reach = t_quantile(0.5 + 0.5 * confidence, n - 1) * float(values.std(ddof=1)) / math.sqrt(n)
    return mean, mean - reach, mean + reach


def estimate(table: Panel, *, confidence: float = 0.95) -> dict[str, float | None]:
    """Slope, change and steadiness of runs along an ordered axis.

    Args:
        confidence: of both intervals, in (0, 1).

    Returns:
        the columns without `n_planned`, which the study adds; the intervals are None for one run.

    Raises:
        Refusal: fewer than two levels; no run that has them all; levels that lie at one place.

    Cost: below a millisecond.
    """
    at_least(table.values.shape[1], 2, "levels")
    whole = table.whole
    at_least(len(whole), 1, "runs with every level")
    at = np.asarray(table.places)
    if len(set(table.places)) < len(table.places):
        raise Refusal("not_applicable", "two levels lie at one place of the axis")
    order = np.argsort(at)
    at, whole = at[order] - at.mean(), whole[:, order]
    slopes = whole @ at / float(at @ at)
    steps = np.diff(whole, axis=1)
    slope, low, high = _mean(slopes, confidence)
    change, change_low, change_high = _mean(whole[:, -1] - whole[:, 0], confidence)
    return {
        "slope": slope,
        "low": low,
        "high": high,
        "start": float(whole[:, 0].mean()),
        "end": float(whole[:, -1].mean()),
        "change": change,
        "change_low": change_low,
        "change_high": change_high,
        "rising": float((steps > 0).mean()),
        "falling": float((steps < 0).mean()),
        "levels": whole.shape[1],
        "n": len(whole),
    }
