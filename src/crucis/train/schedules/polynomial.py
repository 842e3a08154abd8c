"""A power of the share that is left, from the written learning rate to a floor, over the steps after warm-up.

m(k) = floor + (1 - floor) (1 - k / n) ** power for k = 0 .. n - 1; the floor itself is reached at k = n. A cooldown of
c steps at the end stays at the floor, and n is that much shorter. Source: the form of tf.train.polynomial_decay.
"""

from __future__ import annotations

from ...lengths import Length as _Length
from ...types import Length

REVISION = 1
LIMITS = {"power": "(0, 100]", "floor": "[0, 1]"}
AFTER_WARMUP = True


def schedule(
    total_steps: int, steps_per_epoch: int, *, power: float = 2.0, floor: float = 0.0, cooldown: Length = "0 steps"
) -> list[float]:
    """One multiplier per optimiser step.

    Args:
        power: above 0; 1 is a straight line, larger ones fall early.
        floor: share of the learning rate that remains at the end, 0 to 1.
        cooldown: length at the floor.
    """
    rest = min(total_steps, _Length.parse(cooldown).steps(steps_per_epoch))
    n = total_steps - rest
    return [floor + (1 - floor) * (1 - k / n) ** power for k in range(n)] + [floor] * rest
