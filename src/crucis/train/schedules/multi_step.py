"""The learning rate times `gamma` at each listed moment, counted from the first step of training.

m(k) = gamma ** (number of moments at or before step k).
"""

from __future__ import annotations

import math
from bisect import bisect_right

from ...lengths import Length

REVISION = 1
LIMITS = {"gamma": "(0, 1]"}


def _moment(text: str, total_steps: int, steps_per_epoch: int) -> int:
    if text.strip().endswith("%"):
        return math.floor(float(text.strip()[:-1]) / 100 * total_steps + 0.5)
    return Length.parse(text).steps(steps_per_epoch)


def schedule(
    total_steps: int,
    steps_per_epoch: int,
    *,
    at: list[str] = ["50%", "75%"],  # noqa: B006 - a literal that is read, never changed
    gamma: float = 0.1,
) -> list[float]:
    """One multiplier per optimiser step.

    Args:
        at: moments, as shares of training (`50%`), epochs or steps.
        gamma: factor at each moment, above 0 up to 1.
    """
    moments = sorted(_moment(text, total_steps, steps_per_epoch) for text in at)
    return [gamma ** bisect_right(moments, k) for k in range(total_steps)]
