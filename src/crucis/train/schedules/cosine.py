"""Half a cosine from the written learning rate to a floor, over the steps after warm-up.

m(k) = floor + (1 - floor) (1 + cos(pi k / n)) / 2 for k = 0 .. n - 1; the floor itself is reached at k = n.
Source: Loshchilov and Hutter 2017, arXiv 1608.03983, without restarts.
"""

from __future__ import annotations

import math

REVISION = 1
LIMITS = {"floor": "[0, 1]"}
AFTER_WARMUP = True


def schedule(total_steps: int, steps_per_epoch: int, *, floor: float = 0.0) -> list[float]:  # noqa: ARG001
    """One multiplier per optimiser step.

    Args:
        floor: share of the learning rate that remains at the end, 0 to 1.
    """
    return [floor + (1 - floor) * (1 + math.cos(math.pi * k / total_steps)) / 2 for k in range(total_steps)]
