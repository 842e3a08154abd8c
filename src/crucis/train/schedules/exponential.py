"""The learning rate times `gamma` per interval: in stairs, or smoothly at every step.

m(k) = gamma ** floor(k / s) with stairs, gamma ** (k / s) without; s is the interval in optimiser steps, counted from
the first step of training.
"""

from __future__ import annotations

from ...lengths import Length as _Length
from ...types import Length

REVISION = 1
LIMITS = {"gamma": "(0, 1]"}


def schedule(
    total_steps: int,
    steps_per_epoch: int,
    *,
    gamma: float = 0.95,
    every: Length = "1 epochs",
    stairs: bool = True,
) -> list[float]:
    """One multiplier per optimiser step.

    Args:
        gamma: factor per interval, above 0 up to 1.
        every: the interval.
        stairs: whether the rate is constant within an interval.
    """
    interval = _Length.parse(every).steps(steps_per_epoch)
    if interval < 1:
        raise ValueError(f"exponential: 'every' must be at least one step, got {every!r}")
    return [gamma ** (k // interval if stairs else k / interval) for k in range(total_steps)]
