"""One cycle: a rise from a small rate to the written one, then a fall to almost nothing, both half cosines.

With n steps, the peak at p = rise n - 1: m runs from 1/start_divisor to 1 over k = 0 .. p, then to
1 / (start_divisor end_divisor) over k = p .. n - 1. Momentum is not cycled. Has its own rise: `warmup` must be 0.
Source: Smith and Topin 2018, arXiv 1708.07120.
"""

from __future__ import annotations

import math

REVISION = 1
LIMITS = {"rise": "(0, 1)", "start_divisor": "[1, 1000000]", "end_divisor": "[1, 1000000000]"}


def _between(start: float, end: float, share: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2


def schedule(
    total_steps: int,
    steps_per_epoch: int,  # noqa: ARG001
    *,
    rise: float = 0.3,
    start_divisor: float = 25.0,
    end_divisor: float = 10000.0,
) -> list[float]:
    """One multiplier per optimiser step.

    Args:
        rise: share of training before the peak, between 0 and 1.
        start_divisor: the first rate is the peak divided by this.
        end_divisor: the last rate is the first one divided by this.
    """
    first = 1 / start_divisor
    last = first / end_divisor
    peak, end = rise * total_steps - 1, total_steps - 1
    out = []
    for k in range(total_steps):
        if k <= peak:
            out.append(_between(first, 1.0, k / peak if peak > 0 else 1.0))
        else:
            out.append(_between(1.0, last, (k - peak) / (end - peak)))
    return out
