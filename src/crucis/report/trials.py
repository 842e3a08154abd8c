"""The data of a search's pictures: its trials as rows of numbers, ready to be drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Varied:
    """One parameter of a search: its name, `linear`, `log` or `choice`, its ends, and the names of the choices."""

    name: str
    scale: str = "linear"
    low: float = 0.0
    high: float = 1.0
    choices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Trials:
    """The trials of one search in the order in which they began.

    values[i][j]: parameter j of trial i, or the place of its choice; NaN where it does not exist.
    objective[i]: what the trial reached at its longest training; NaN if it failed. full[i]: whether that was the whole
    length. best: the best full value so far, NaN before the first. winner: its row.
    """

    label: str
    parameters: tuple[Varied, ...]
    values: Sequence[Sequence[float]]
    objective: Sequence[float]
    full: Sequence[bool]
    best: Sequence[float]
    winner: int
    name: str = "objective"
    unit: str = ""
    maximise: bool = True


@dataclass(frozen=True)
class History:
    """Objective of every trial in their order, and the best so far."""

    panels: tuple[Trials, ...]


@dataclass(frozen=True)
class Slices:
    """Objective against each parameter of one search."""

    trials: Trials


@dataclass(frozen=True)
class Parallel:
    """One line per trial through all parameters to the objective."""

    trials: Trials


@dataclass(frozen=True)
class Plane:
    """Objective over two parameters, x and y (places among the parameters), interpolated between the trials."""

    trials: Trials
    x: int
    y: int
