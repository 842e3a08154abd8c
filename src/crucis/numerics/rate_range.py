"""Which learning rates a descent stands: a ramp that finds the neighbourhood, and trials at fixed rates that decide.

A ramp raises the rate step by step as start * (end / start) ** (t / (T - 1)). It passes the largest stable rate before
its loss shows it: beyond the limit the error grows by a constant factor per step, and from next to nothing, because the
steps before have just removed it. So the ramp only says where to look. The limit itself is bracketed by descents at
fixed rates from the same starting point, each judged stable or not, and the bracket is halved on a logarithmic scale.

A descent is a callable: it is given rates and a watch, starts from the same point every time, and returns the losses
that it saw, loss k before the update with rate k; it ends when the watch says so. Nothing here knows what descends.

Source: the ramp is that of L. N. Smith, 2017 (arXiv:1506.01186); smoothing with a median before the exponential mean,
the slope by Theil and Sen, and the bracket are ours.
Reference case: gradient descent on a quadratic with largest curvature L is stable up to 2 / L, with momentum m up to
2 (1 + m) / L (B. Polyak, 1964, doi:10.1016/0041-5553(64)90137-5).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Watch = Callable[[Sequence[float]], bool]
#: Losses seen with these rates, from the same starting point each time; ends where the watch says so.
Descent = Callable[[Sequence[float], Watch], Sequence[float]]

MEDIAN = 5  # losses of which the median is taken before the mean, so that two outliers in a row move nothing
MEMORY = 0.9  # of the exponential mean, per step
BLOCKS = 10  # pieces of a trial; the last three are its end
SHORT = 4  # steps in a row whose mean counts as a loss that was reached
VISIBLE = 0.01  # a rise smaller than this share of the first loss is none
SURE = 4.0  # standard errors that a rise must have
LONGER = 4  # times the length of a trial, if the first answer is in doubt


@dataclass(frozen=True)
class Trial:
    """A descent at a fixed rate: whether it was stable, for how many steps, and the loss at its end."""

    rate: float
    stable: bool
    steps: int
    loss: float


@dataclass(frozen=True)
class Range:
    """What was found.

    Attributes:
        rates, losses, smoothed: the ramp, (n,) each; it ends where it diverged.
        diverged: rate at which the ramp was given up, or None.
        steepest: rate of the steepest fall of the loss, or None if the loss did not fall.
        largest: largest stable rate, the geometric middle of (`low`, `high`); None if even `end` is stable.
        low, high: largest rate found stable and smallest found unstable around it.
        trials: in the order in which they were made.
    """

    rates: Array
    losses: Array
    smoothed: Array
    diverged: float | None
    steepest: float | None
    largest: float | None
    low: float
    high: float
    trials: tuple[Trial, ...]


@dataclass(frozen=True)
class Level:
    """What a trial is held against: the loss at the starting point, its deviation from batch to batch there (the rates
    at which a ramp begins change next to nothing), and the best smoothed loss of the ramp."""

    first: float
    noise: float
    goal: float

    @classmethod
    def of(cls, calm: Array, smooth: Array) -> Level:
        """From the first losses of a ramp, (k,), and all its smoothed ones, (n,)."""
        kept = calm[np.isfinite(calm)]
        return cls(float(np.median(kept)), _deviation(kept), float(smooth[np.isfinite(smooth)].min()))


def _deviation(values: Array) -> float:
    """Robust standard deviation of single values, from the differences of neighbours; 0 of fewer than three."""
    return float(np.median(np.abs(np.diff(values)))) / (0.6745 * math.sqrt(2.0)) if len(values) > 2 else 0.0


class Unstable(ValueError):
    """Even the smallest rate makes the loss rise, or it was not finite from the start."""


def ramp(start: float, end: float, steps: int) -> Array:
    """Rates from `start` to `end`, equally far apart on a logarithmic scale.

    >>> [round(float(rate), 6) for rate in ramp(1e-4, 1.0, 5)]
    [0.0001, 0.001, 0.01, 0.1, 1.0]
    """
    return np.asarray(np.geomspace(start, end, steps), np.float64)


def smoothed(losses: Sequence[float] | Array) -> Array:
    """Median of the last `MEDIAN` losses, then their exponential mean with its bias taken out; looks backwards only.

    The value at a place does not depend on later losses. Losses that are not finite give infinity from there on.

    >>> smoothed([2.0, 2.0, 50.0, 2.0, 2.0]).tolist()
    [2.0, 2.0, 2.0, 2.0, 2.0]
    """
    out, mean, weight = [], 0.0, 0.0
    values = np.asarray(losses, np.float64)
    for k in range(len(values)):
        recent = values[max(0, k + 1 - MEDIAN) : k + 1]
        middle = float(np.median(recent)) if np.isfinite(recent).all() else math.inf
        mean, weight = MEMORY * mean + (1 - MEMORY) * middle, MEMORY * weight + (1 - MEMORY)
        out.append(mean / weight)
    return np.array(out, np.float64)


def find(
    descend: Descent,
    *,
    start: float = 1e-7,
    end: float = 10.0,
    steps: int = 200,
    hold: int = 100,
    factor: float = 4.0,
    tolerance: float = 0.05,
) -> Range:
    """The range of rates of a descent.

    Args:
        descend: see above.
        start, end: of the ramp.
        steps: of the ramp.
        hold: steps of a trial at a fixed rate, at least `2 * BLOCKS`.
        factor: a ramp whose loss is above that many times its best is given up, a trial at the square of it.
        tolerance: the bracket is halved until its ends differ by less than this share.

    Raises:
        Unstable: the loss rises at `start` already, or is not finite before the first update.

    Cost: the ramp, and 6 to 12 trials, of which those at unstable rates end early.
    """
    rates = ramp(start, end, steps)
    losses = np.asarray(descend(rates.tolist(), _given_up(factor)), np.float64)
    if not np.isfinite(losses[0]):
        raise Unstable("the loss is not finite before the first update")
    rates, smooth = rates[: len(losses)], smoothed(losses.tolist())
    diverged = float(rates[-1]) if len(losses) < steps or not np.isfinite(losses[-1]) else None
    level = Level.of(losses[: max(MEDIAN, steps // 20)], smooth)
    trials: list[Trial] = []

    def stable(rate: float) -> bool:
        trials.append(_trial(descend, rate, hold, level, factor))
        return trials[-1].stable

    low, high = _bracket(stable, start, diverged or end, end)
    while math.isfinite(high) and high / low > 1 + tolerance:
        middle = math.sqrt(low * high)
        low, high = (middle, high) if stable(middle) else (low, middle)
    largest = math.sqrt(low * high) if math.isfinite(high) else None
    return Range(
        rates, losses, smooth, diverged, steepest(rates, losses, largest or end), largest, low, high, tuple(trials)
    )


def _given_up(factor: float) -> Watch:
    """Ends a ramp whose smoothed loss is `factor` times its best, or not finite. A best loss far below the first one
    is not held against it: what is next to nothing doubles by chance."""
    state: dict[str, float] = {}

    def watch(losses: Sequence[float]) -> bool:
        if not math.isfinite(losses[-1]):
            return True
        mean = MEMORY * state.get("mean", 0.0) + (1 - MEMORY) * float(np.median(losses[-MEDIAN:]))
        weight = MEMORY * state.get("weight", 0.0) + (1 - MEMORY)
        now = mean / weight
        state.update(mean=mean, weight=weight, best=min(state.get("best", math.inf), now))
        state.setdefault("first", now)
        return now > factor * max(state["best"], state["first"] / factor)

    return watch


def _bracket(stable: Callable[[float], bool], start: float, guess: float, end: float) -> tuple[float, float]:
    """A stable and an unstable rate, at most a factor of 2 apart; (`end`, infinity) if all are stable."""
    if stable(guess):
        low = guess
        while low < end:
            above = min(2 * low, end)
            if not stable(above):
                return low, above
            low = above
        return low, math.inf
    high = guess
    while high > start:
        below = max(high / 2, start)
        if stable(below):
            return below, high
        high = below
    raise Unstable(f"the loss rises at a rate of {start:g} already")


def _trial(descend: Descent, rate: float, hold: int, level: Level, factor: float) -> Trial:
    def watch(losses: Sequence[float]) -> bool:
        recent = losses[-MEDIAN:]
        return not math.isfinite(losses[-1]) or float(np.median(recent)) > factor**2 * level.first

    answer, losses = None, np.zeros(0)
    for steps in (hold, LONGER * hold):
        losses = np.asarray(descend([rate] * steps, watch), np.float64)
        ended = len(losses) < steps or not np.isfinite(losses).all() or watch(losses.tolist())
        answer = False if ended else settled(losses, level)
        if answer is not None:
            break
    end = losses[-max(1, len(losses) // BLOCKS) :]
    return Trial(rate, bool(answer), len(losses), float(np.mean(end)))


def settled(losses: Array, level: Level) -> bool | None:
    """Whether a descent at a fixed rate came to rest: True, False, or None (in doubt).

    Its end is the mean of its last three tenths; a rise counts if it exceeds `VISIBLE` of the first loss and `SURE`
    standard errors. False: the end lies above the first loss, or above the middle between it and the best end that
    three tenths in a row had. In doubt: a smaller rise over that best, or over the best `SHORT` steps before the end
    (momentum swings back once and comes down again; just beyond a limit descent may cycle around the minimum), and a
    descent that rose above the first loss and has not come down half way to the ramp's best (some come down
    later, others stay up for good, as networks do whose units have died).

    Args:
        losses: (n,), finite, n >= 2 * BLOCKS.
        level: of the starting point.
    """
    size = len(losses) // BLOCKS
    blocks = losses[len(losses) - BLOCKS * size :].reshape(BLOCKS, size).mean(1)
    thirds = np.convolve(blocks, np.full(3, 1 / 3), "valid")
    end, best, peak = float(thirds[-1]), float(thirds[:-3].min()), float(blocks.max())
    least = VISIBLE * abs(level.first)
    if end > level.first + max(least, SURE * level.noise / math.sqrt(3 * size)):
        return False
    if peak > level.first + max(least, SURE * level.noise / math.sqrt(size)) and end > (level.first + level.goal) / 2:
        return None
    # Pairs, so that swinging from side to side is no noise.
    pair = _deviation(losses[len(losses) % 2 :].reshape(-1, 2).mean(1))
    lowest = float(np.convolve(losses[: -3 * size], np.full(SHORT, 1 / SHORT), "valid").min())
    long, short = (SURE * pair * math.sqrt(2 / steps) for steps in (3 * size, SHORT))
    if end <= best + max(least, math.sqrt(2) * long) and end <= lowest + max(least, short):
        return True
    return False if end > (best + level.first) / 2 else None


def steepest(rates: Array, losses: Array, until: float) -> float | None:
    """The rate at which the loss falls fastest per factor of the rate, or None if it does not fall.

    Slopes are medians of the slopes between all pairs in a window of a tenth of the ramp (Theil and Sen), so that a
    few outliers move nothing; a window's slope belongs to the geometric middle of the rates that made it.

    Args:
        rates, losses: of the ramp, (n,).
        until: rates beyond this one do not count.

    Source: P. K. Sen, 1968 (doi:10.1080/01621459.1968.10480934).
    """
    usable = int(np.searchsorted(rates, until, side="right"))
    finite = np.flatnonzero(~np.isfinite(losses))
    usable = min(usable + 1, len(losses), int(finite[0]) if finite.size else len(losses))
    width = max(MEDIAN + 1, len(rates) // 10)
    if usable < 2 * width:
        return None
    a, b = np.triu_indices(width, 1)
    slopes = np.array([
        np.median((losses[k + b] - losses[k + a]) / (b - a)) for k in range(usable - width + 1)
    ])  # fmt: skip
    k = int(slopes.argmin())
    if -slopes[k] * (width - 1) <= SURE * _deviation(losses[: 2 * width]) / math.sqrt(width):
        return None
    return float(math.sqrt(rates[k] * rates[k + width - 2]))
