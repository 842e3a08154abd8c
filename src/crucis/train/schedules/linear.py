"""A straight line from the written learning rate to a floor, over the steps after warm-up.

m(k) = floor + (1 - floor) (1 - k / n) for k = 0 .. n - 1; the floor itself is reached at k = n. A cooldown of c steps
at the end stays at the floor, and n is that much shorter.
"""

from __future__ import annotations

from ...types import Length
from .polynomial import schedule as _polynomial

REVISION = 1
LIMITS = {"floor": "[0, 1]"}
AFTER_WARMUP = True


def schedule(
    total_steps: int, steps_per_epoch: int, *, floor: float = 0.0, cooldown: Length = "0 steps"
) -> list[float]:
    """One multiplier per optimiser step.

    Args:
        floor: share of the learning rate that remains at the end, 0 to 1.
        cooldown: length at the floor.
    """
    return _polynomial(total_steps, steps_per_epoch, power=1.0, floor=floor, cooldown=cooldown)
