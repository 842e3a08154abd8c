"""The learning rate times `gamma` at regular intervals, counted from the first step of training.

m(k) = gamma ** (k // s), with s the interval in optimiser steps.
"""

from __future__ import annotations

from ...lengths import Length as _Length
from ...types import Length

REVISION = 1
LIMITS = {"gamma": "(0, 1]"}


def schedule(total_steps: int, steps_per_epoch: int, *, every: Length = "30 epochs", gamma: float = 0.1) -> list[float]:
    """One multiplier per optimiser step.

    Args:
        every: the interval, such as `30 epochs` or `1000 steps`.
        gamma: factor at each interval, above 0 up to 1.
    """
    interval = _Length.parse(every).steps(steps_per_epoch)
    if interval < 1:
        raise ValueError(f"step: 'every' must be at least one step, got {every!r}")
    return [gamma ** (k // interval) for k in range(total_steps)]
