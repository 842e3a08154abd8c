"""The learning rate times `gamma` per interval: in stairs, or smoothly at every step.

m(k) = gamma ** floor(k / s) with stairs, gamma ** (k / s) without; s is the interval in optimiser steps, counted from
the first step of training. It need not be whole: at 312 steps an epoch, `2.4 epochs` are 748.8 steps, and each stair
begins at the first step at or after its moment (749, 1498, 2247, ...), so that the stairs do not drift.
"""

from __future__ import annotations

from fractions import Fraction

from ...lengths import Length as _Length
from ...types import LengthOrShare

REVISION = 1
LIMITS = {"gamma": "(0, 1]"}


def _interval(every: LengthOrShare, total_steps: int, steps_per_epoch: int) -> Fraction:
    """Optimiser steps, exactly as written."""
    if not isinstance(every, str):
        return Fraction(repr(every)) * total_steps
    if every.strip().endswith("%"):
        return Fraction(every.strip()[:-1]) / 100 * total_steps
    return _Length.parse(every).exactly(steps_per_epoch)


def schedule(
    total_steps: int,
    steps_per_epoch: int,
    *,
    gamma: float = 0.95,
    every: LengthOrShare = "1 epochs",
    stairs: bool = True,
) -> list[float]:
    """One multiplier per optimiser step.

    Args:
        gamma: factor per interval, above 0 up to 1.
        every: the interval, such as `1 epoch`, `2.4 epochs`, `1000 steps` or a share of training.
        stairs: whether the rate is constant within an interval.
    """
    interval = _interval(every, total_steps, steps_per_epoch)
    if total_steps and interval <= 0:
        raise ValueError(f"exponential: 'every' must be at least one step or a part of one, got {every!r}")
    if not total_steps:
        return []
    if stairs:
        return [gamma ** (k * interval.denominator // interval.numerator) for k in range(total_steps)]
    span = float(interval)
    return [gamma ** (k / span) for k in range(total_steps)]
