"""Grid search: every combination of choices, and of the `points` of an interval.

The last written parameter changes fastest. An interval takes part only with `points` beside it, spaced evenly on its
own scale with both ends: `{log_uniform: [1e-3, 1], points: 4}` is 0.001, 0.01, 0.1, 1.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..space import Ask, Space, Told, lattice, started

REVISION = 1
COLUMNS: dict[str, dict[str, object]] = {}


def propose(space: Space, told: Sequence[Told], rungs: int, seed: int) -> list[Ask]:  # noqa: ARG001
    """What to evaluate next: everything at once, then nothing.

    Args:
        space: the dimensions.
        told: every evaluation so far.
        rungs: lengths of training; a grid has one.
        seed: not used; a grid draws nothing.

    Raises:
        ValueError: an interval without points.

    Cost: the product of the numbers of choices and points.
    """
    known = started(told)
    return [Ask(trial, 0, values) for trial, values in enumerate(lattice(space)) if trial not in known]
