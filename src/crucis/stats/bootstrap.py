"""Bootstrap of a score matrix, runs x tasks: percentile and BCa intervals, interquartile mean, profiles, improvement.

Every number is a function of the data, of `draws` and of the stream that is handed in; nothing global is touched.

Measured coverage of 95 % intervals of the interquartile mean, stratified over tasks, normal scores (2,000 data sets,
1,500 resamples each), percentile / BCa: 87 / 87, 92 / 91 and 94 / 95 % for 3, 5 and 10 runs of 10 tasks; 89 / 88,
94 / 94 and 94 / 94 % for 5, 10 and 20 runs of one task. With 5 runs or fewer distrust it: it is too narrow, and BCa
does not help; Student's interval of the mean is right there. The probability of improvement covers 93 to 95 %
for 3 to 10 runs of 10 tasks, 90 % for 5 runs of one task.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import special

from ..errors import Refusal
from .table import Array, at_least, finite

#: (..., runs, tasks) -> (...); must depend on the empirical distribution of each task alone.
Statistic = Callable[[Array], Array]
#: Numbers resampled at once, which bounds memory to about 50 MB.
CHUNK = 2_000_000


@dataclass(frozen=True)
class Interval:
    """An estimate, its interval, and the standard deviation of its resamples."""

    value: float
    low: float
    high: float
    se: float


def mean(x: Array) -> Array:
    """Mean over runs and tasks."""
    return np.asarray(x.mean(axis=(-2, -1)))


def median(x: Array) -> Array:
    """Median over tasks of the mean over runs."""
    return np.asarray(np.median(x.mean(axis=-2), axis=-1))


def iqm(x: Array) -> Array:
    """Interquartile mean over runs and tasks: the mean of what is left when a quarter is cut off at each end.

    As many numbers as fit whole into a quarter are cut (`scipy.stats.trim_mean`). Robust like the median, about
    as precise as the mean (Agarwal et al. 2021, arXiv:2108.13264).
    """
    flat = x.reshape(*x.shape[:-2], -1)
    cut = flat.shape[-1] // 4
    if cut == 0:
        return np.asarray(flat.mean(axis=-1))
    return np.asarray(np.sort(flat, axis=-1)[..., cut:-cut].mean(axis=-1))


def optimality_gap(x: Array, best: float = 1.0) -> Array:
    """Mean distance below `best`, where more than `best` counts as `best`; smaller is better."""
    return np.asarray(np.maximum(best - x, 0.0).mean(axis=(-2, -1)))


def scores(x: object, least: int = 2) -> Array:
    """A score matrix (runs, tasks) from a matrix, or from the runs of one task.

    Raises:
        Refusal: a value that is not finite, fewer than `least` runs, no task.
    """
    array = np.asarray(x, dtype=np.float64)
    array = finite(array[:, None] if array.ndim == 1 else array, "scores", 2)
    at_least(array.shape[0], least, "runs")
    at_least(array.shape[1], 1, "tasks")
    return array


# --- resamples and intervals -----------------------------------------------------------------------------------


def _picks(n: int, tasks: int, stream: np.random.Generator, draws: int, by: str, size: int) -> Iterator[np.ndarray]:
    """Chunks of run indices (count, n, tasks), or (count, n, 1) where whole runs are drawn."""
    width = tasks if by == "task" else 1
    small = np.uint8 if n <= 256 else np.int64
    step = max(1, CHUNK // size)
    for start in range(0, draws, step):
        yield stream.integers(0, n, size=(min(step, draws - start), n, width), dtype=small)


def resampled(
    x: Array, statistic: Statistic, stream: np.random.Generator, *, draws: int, by: Literal["task", "run"] = "task"
) -> Array:
    """The statistic of `draws` resamples, (draws,).

    Args:
        x: (runs, tasks).
        statistic: see `Statistic`.
        stream: random numbers.
        draws: resamples.
        by: `task`: runs of each task are drawn on their own (stratified; runs of different tasks have nothing in
            common); `run`: whole rows are drawn, for rows that share a seed, whose tasks go up and down together.
    """
    n, tasks = x.shape
    flat, columns = x.ravel(), np.arange(tasks)
    parts = [
        statistic(flat[pick.astype(np.intp) * tasks + columns]) for pick in _picks(n, tasks, stream, draws, by, x.size)
    ]
    return np.concatenate(parts)


def interval(
    x: object,
    statistic: Statistic,
    stream: np.random.Generator,
    *,
    draws: int = 50_000,
    confidence: float = 0.95,
    method: Literal["percentile", "bca"] = "percentile",
    by: Literal["task", "run"] = "task",
) -> Interval:
    """A bootstrap interval.

    Args:
        x: (runs, tasks), or (runs,) for one task.
        statistic, stream, draws, by: see `resampled`.
        confidence: in (0, 1).
        method: `percentile`, or `bca` (bias-corrected and accelerated, Efron 1987,
            doi:10.1080/01621459.1987.10478410), which costs runs * tasks more statistics.

    Raises:
        Refusal: NaN among the scores, fewer than two runs, a statistic that never changes over the resamples.

    Cost: 0.2 s for 50,000 resamples of 5 x 10 numbers.
    """
    table = scores(x)
    value = float(statistic(table))
    found = np.sort(resampled(table, statistic, stream, draws=draws, by=by))
    if found[0] == found[-1]:
        raise Refusal("degenerate", f"every resample gives {found[0]:.6g}, so there is no spread to judge by")
    tail = 0.5 * (1.0 - confidence)
    levels = np.array([tail, 1.0 - tail])
    if method == "bca":
        levels = _bca(levels, found, value, jackknife(table, statistic, by))
    low, high = np.quantile(found, levels)
    return Interval(value, float(low), float(high), float(found.std(ddof=1)))


def _bca(levels: Array, found: Array, value: float, influence: Array) -> Array:
    below, upto = np.searchsorted(found, [value, value], side="left")[0], np.searchsorted(found, value, side="right")
    share = float(np.clip(0.5 * (below + upto) / len(found), 0.5 / len(found), 1.0 - 0.5 / len(found)))
    bias = float(special.ndtri(share))
    squares = float((influence**2).sum())
    rate = float((influence**3).sum()) / (6.0 * squares**1.5) if squares > 0 else 0.0
    z = bias + special.ndtri(levels)
    return np.asarray(special.ndtr(bias + z / (1.0 - rate * z)))


def jackknife(x: Array, statistic: Statistic, by: Literal["task", "run"] = "task") -> Array:
    """How much each run counts: mean of the statistics without one run, minus each, per task or per whole run.

    A run is left out of one task by writing every other task n - 1 times and what is left of this one n times, so
    that all keep their weight (`statistic` sees distributions only).
    """
    n, tasks = x.shape
    rest = np.array([np.delete(np.arange(n), i) for i in range(n)])
    if by == "run" or tasks == 1:
        left = np.asarray(statistic(x[rest]))
        return left.mean() - left
    out = []
    whole = np.tile(x, (n - 1, 1))
    for task in range(tasks):
        many = np.repeat(whole[None], n, axis=0)
        many[:, :, task] = np.tile(x[rest, task], (1, n))
        left = np.asarray(statistic(many))
        out.append(left.mean() - left)
    return np.concatenate(out)


# --- profiles and improvement ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Profile:
    """Share of runs above each threshold, with a pointwise band; all (thresholds,)."""

    thresholds: Array
    share: Array
    low: Array
    high: Array


def profile(x: object, thresholds: object, *, confidence: float = 0.95) -> Profile:
    """Performance profile: for each threshold the share of runs above it, mean over tasks, with its bootstrap band.

    The stratified bootstrap of a share is a convolution of binomials, one per task, so the band is that of infinitely
    many resamples and needs no stream. A share of 0 or 1 in every task has a band of width 0: distrust it there.
    Stochastic dominance of one method over another shows as a curve that lies above everywhere.

    Args:
        x: (runs, tasks).
        thresholds: (k,), in the unit of the scores.
        confidence: of the pointwise band, in (0, 1).

    Source: Agarwal et al. (2021), arXiv:2108.13264, section 4.2; Dolan and More (2002), doi:10.1007/s101070100263.
    Cost: 5 ms for 100 thresholds of 5 x 10 scores.
    """
    table, at = scores(x, 1), finite(thresholds, "thresholds")
    n, tasks = table.shape
    above = (table[:, :, None] > at).sum(axis=0)  # (tasks, k)
    tail = 0.5 * (1.0 - confidence)
    ends = np.array([_binomial_ends(tuple(sorted(column)), n, tail) for column in above.T.tolist()]).reshape(-1, 2)
    return Profile(at, above.sum(axis=0) / (n * tasks), ends[:, 0] / (n * tasks), ends[:, 1] / (n * tasks))


def _binomial_ends(counts: tuple[int, ...], n: int, tail: float) -> tuple[int, int]:
    """Quantiles of a sum of binomials with n trials and rates counts / n."""
    mass = np.ones(1)
    for count in counts:
        k = np.arange(n + 1)
        mass = np.convolve(mass, special.binom(n, k) * (count / n) ** k * (1.0 - count / n) ** (n - k))
    below = np.cumsum(mass)
    return int(np.searchsorted(below, tail * (1 - 1e-9))), int(np.searchsorted(below, (1.0 - tail) * (1 - 1e-9)))


def improvement(
    a: object,
    b: object,
    stream: np.random.Generator,
    *,
    draws: int = 10_000,
    confidence: float = 0.95,
    paired: bool = False,
) -> Interval:
    """Probability that a run of `a` beats a run of `b` on a task, mean over tasks, ties counted half.

    Args:
        a, b: (runs, tasks) or (runs,); the same tasks. Larger is better.
        stream: random numbers of the resamples, stratified over tasks; percentile interval.
        draws: resamples.
        confidence: in (0, 1).
        paired: rows i of both share a seed; they are then resampled together. The probability itself compares any
            run with any other, as its definition says.

    Raises:
        Refusal: NaN, other tasks, fewer than two runs; unequal runs if `paired`.

    Source: Agarwal et al. (2021), arXiv:2108.13264, section 4.3 (Mann and Whitney's U as a probability).
    Cost: draws * tasks * runs^2; 30 ms for 10,000 resamples of 5 x 10.
    """
    left, right = scores(a), scores(b)
    if left.shape[1] != right.shape[1] or (paired and len(left) != len(right)):
        raise Refusal("not_applicable", f"scores of shape {left.shape} cannot be held against {right.shape}")
    (n, tasks), m = left.shape, len(right)
    wins = 0.5 * (np.sign(left[:, None] - right[None]) + 1.0)
    cells, column = wins.reshape(-1), np.arange(tasks)
    parts = []
    step = max(1, CHUNK // wins.size)
    for start in range(0, draws, step):
        count = min(step, draws - start)
        i = stream.integers(0, n, size=(count, n, 1, tasks))
        j = i.reshape(count, 1, n, tasks) if paired else stream.integers(0, m, size=(count, 1, m, tasks))
        parts.append(cells[(i * m + j) * tasks + column].mean(axis=(1, 2, 3)))
    found = np.concatenate(parts)
    low, high = np.quantile(found, [0.5 * (1.0 - confidence), 0.5 * (1.0 + confidence)])
    return Interval(float(wins.mean()), float(low), float(high), float(found.std(ddof=1)) if draws > 1 else math.nan)
