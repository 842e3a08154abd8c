"""How often a run of one side beats a run of the other: P(improvement), its interval, its exact test."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from . import effects
from .flips import subsets
from .power import DRAWS, EXHAUSTIVE
from .table import Array
from .tails import normal_quantile

#: Numbers compared at once, which bounds memory to about 30 MB.
CHUNK = 2_000_000


def by_task(a: Array, b: Array, tasks: Sequence[str]) -> list[tuple[Array, Array]]:
    """The pairs of each task, in order of appearance; all of them if no task is named."""
    if not tasks:
        return [(a, b)]
    names, found = np.asarray(tasks), dict.fromkeys(tasks)
    return [(a[names == name], b[names == name]) for name in found]


def interval(parts: Sequence[tuple[Array, Array]], confidence: float) -> tuple[float, float, float]:
    """(P, low, high): P(a run of a beats a run of b), ties half, mean over tasks.

    One task: Newcombe's score interval (`effects.cliff`), which treats the sides as independent and so is too wide
    where pairs go up and down together. Several: the distances to the ends are added in squares (MOVER; Zou and Donner
    2008, doi:10.1002/sim.3095).
    """
    found = [effects.cliff(a, b, confidence) for a, b in parts]
    share, low, high = (
        np.array([one[name] for one in found]) for name in ("improvement", "improvement_low", "improvement_high")
    )
    mean, count = float(share.mean()), len(found)
    down, up = (math.sqrt(float((gap**2).sum())) / count for gap in (share - low, high - share))
    return mean, max(0.0, mean - down), min(1.0, mean + up)


def p_swap(parts: Sequence[tuple[Array, Array]], stream: np.random.Generator | None) -> float:
    """Two-sided p of P = 1/2 when the two values of every pair are exchangeable.

    All 2^n swaps up to 16 pairs; above, 9,999 random ones, p = (1 + count) / 10,000. The smallest is 2^(1 - n).

    Args:
        parts: the pairs of each task.
        stream: needed above 16 pairs.

    Raises:
        ValueError: more than 16 pairs and no stream.
    """
    total = sum(len(a) for a, _ in parts)
    if total <= EXHAUSTIVE:
        swapped = subsets(total)
    elif stream is None:
        raise ValueError(f"{total} pairs are too many for all swaps; a random stream is needed")
    else:
        swapped = np.concatenate([np.zeros((1, total), dtype=bool), stream.random((DRAWS, total)) < 0.5])
    gaps = np.zeros(len(swapped))
    start = 0
    for a, b in parts:
        gaps += _won(a, b, swapped[:, start : start + len(a)]) / len(a) ** 2
        start += len(a)
    return float((np.abs(gaps) >= abs(gaps[0]) - 1e-9).mean())


def _won(a: Array, b: Array, swapped: np.ndarray) -> Array:
    """Comparisons won minus lost for each row of swaps, (rows,)."""
    out = np.empty(len(swapped))
    step = max(1, CHUNK // len(a) ** 2)
    for start in range(0, len(swapped), step):
        swap = swapped[start : start + step]
        left, right = np.where(swap, b, a), np.where(swap, a, b)
        out[start : start + step] = np.sign(left[:, :, None] - right[:, None, :]).sum(axis=(1, 2))
    return out


def expected(gap: float, n: int, tasks: int, alpha: float) -> bool:
    """Whether n pairs in so many tasks are expected to tell P = 1/2 + gap from 1/2 (normal; Mann and Whitney 1947)."""
    runs = max(1.0, n / tasks)
    spread = math.sqrt((2.0 * runs + 1.0) / (12.0 * runs * runs * tasks))
    floor = 2.0 ** (1 - n) if n <= EXHAUSTIVE else 1.0 / (1 + DRAWS)
    return floor <= alpha and abs(gap) > normal_quantile(1.0 - 0.5 * alpha) * spread
