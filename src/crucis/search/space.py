"""Spaces of parameters, what has been tried in them, and what to try next. Plain frozen values."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..seeds import rng

#: Position of a dimension -> its number, or the index of its choice. Dimensions that do not exist there are left out.
Values = dict[int, float | int]
DIGITS = 6  # significant digits of a proposed number: what a report prints is what was trained


@dataclass(frozen=True)
class Dimension:
    """One parameter of a space.

    Attributes:
        low, high: ends of an interval, both possible; `log`: even on a logarithmic scale; `whole`: integers only.
        choices: number of alternatives; 0 for an interval.
        points: how many values a grid takes of an interval.
        when: (position, index): exists only where that earlier dimension takes that choice.
    """

    low: float = 0.0
    high: float = 1.0
    log: bool = False
    whole: bool = False
    choices: int = 0
    points: int | None = None
    when: tuple[int, int] | None = None

    def pack(self) -> dict[str, Any]:
        """As JSON values; what is at its default is left out."""
        plain = {name: value for name, value in vars(self).items() if value != getattr(Dimension, name)}
        return {**plain, **({"when": list(self.when)} if self.when else {})}

    @staticmethod
    def unpack(data: Mapping[str, Any]) -> Dimension:
        """The inverse of `pack`."""
        return Dimension(**{**data, **({"when": tuple(data["when"])} if "when" in data else {})})

    def rounded(self, value: float) -> float | int:
        """A number of this interval with few digits, never outside."""
        if self.whole:
            return int(min(max(round(value), int(self.low)), int(self.high)))
        return min(max(float(f"{value:.{DIGITS}g}"), self.low), self.high)

    def at(self, share: float) -> float | int:
        """The number at a share between 0 and 1 of the interval, on its own scale."""
        if self.log:
            return self.rounded(math.exp(math.log(self.low) + share * (math.log(self.high) - math.log(self.low))))
        return self.rounded(self.low + share * (self.high - self.low))

    def share(self, value: float) -> float:
        """The inverse of `at`; 0 for an interval without extent."""
        if self.high == self.low:
            return 0.0
        if self.log:
            return (math.log(value) - math.log(self.low)) / (math.log(self.high) - math.log(self.low))
        return (value - self.low) / (self.high - self.low)


Space = Sequence[Dimension]


@dataclass(frozen=True)
class Ask:
    """One evaluation to make: the trial it belongs to, how long (rung 0 is the shortest training), its values."""

    trial: int
    rung: int
    values: Values

    def pack(self) -> list[Any]:
        """As JSON values."""
        return [self.trial, self.rung, {str(position): value for position, value in sorted(self.values.items())}]

    @staticmethod
    def unpack(data: Sequence[Any]) -> Ask:
        """The inverse of `pack`."""
        return Ask(int(data[0]), int(data[1]), {int(position): value for position, value in data[2].items()})


@dataclass(frozen=True)
class Told:
    """One evaluation that was made.

    `score`: higher is better; None if it failed, diverged or is incomplete. `parts`: one number per seed, where a
    search asks for them.
    """

    ask: Ask
    score: float | None
    parts: tuple[float | None, ...] = ()

    def pack(self) -> list[Any]:
        """As JSON values."""
        return [*self.ask.pack(), self.score, *([list(self.parts)] if self.parts else [])]

    @staticmethod
    def unpack(data: Sequence[Any]) -> Told:
        """The inverse of `pack`."""
        return Told(Ask.unpack(data[:3]), None if data[3] is None else float(data[3]), tuple(*data[4:]))


def exists(dimension: Dimension, values: Values) -> bool:
    """Whether a dimension exists beside the values of those before it."""
    return dimension.when is None or values.get(dimension.when[0]) == dimension.when[1]


def drawn(space: Space, seed: int, trial: int) -> Values:
    """The random values of one trial: each trial has its own stream, so that more trials change no earlier one."""
    draw: np.random.Generator = rng(seed, "search", "random", trial)
    out: Values = {}
    for position, dimension in enumerate(space):
        share = float(draw.random())  # also where it does not exist: other dimensions keep their draws
        if exists(dimension, out):
            out[position] = min(int(share * dimension.choices), dimension.choices - 1) if dimension.choices else (
                _whole(dimension, share) if dimension.whole else dimension.at(share))  # fmt: skip
    return out


def _whole(dimension: Dimension, share: float) -> int:
    """Integers with equal chances (on a logarithmic scale: by the length of [k, k + 1))."""
    low, high = dimension.low, dimension.high + 1
    at = math.exp(math.log(low) + share * math.log(high / low)) if dimension.log else low + share * (high - low)
    return int(min(max(math.floor(at), int(dimension.low)), int(dimension.high)))


def lattice(space: Space) -> list[Values]:
    """All combinations of choices and points, the last dimension fastest; what does not exist makes none.

    Raises:
        ValueError: an interval that says no `points`.
    """
    axes: list[list[float | int]] = []
    for dimension in space:
        if dimension.choices:
            axes.append(list(range(dimension.choices)))
        elif dimension.points is None:
            raise ValueError("a grid takes choices, or an interval with points: {uniform: [a, b], points: 5}")
        else:
            ends = max(1, dimension.points - 1)
            axes.append(list(dict.fromkeys(dimension.at(i / ends) for i in range(dimension.points))))
    found: dict[tuple[tuple[int, float | int], ...], None] = {}
    for combination in itertools.product(*axes):
        values: Values = {}
        for position, value in enumerate(combination):
            if exists(space[position], values):
                values[position] = value
        found[tuple(sorted(values.items()))] = None
    return [dict(items) for items in found]


def started(told: Iterable[Told]) -> dict[int, Values]:
    """Trial -> its values, in the order in which they began."""
    out: dict[int, Values] = {}
    for one in told:
        out.setdefault(one.ask.trial, one.ask.values)
    return out


def scores(told: Iterable[Told], rung: int) -> dict[int, float | None]:
    """Trial -> score, of the evaluations of one rung."""
    return {one.ask.trial: one.score for one in told if one.ask.rung == rung}


def best_first(found: Mapping[int, float | None]) -> list[int]:
    """Trials with a score, the best first; ties go to the earlier trial."""
    kept = {trial: score for trial, score in found.items() if score is not None}
    return sorted(kept, key=lambda trial: (-kept[trial], trial))
