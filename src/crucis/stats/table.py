"""The tables that statistics work on: a sample, pairs, points in the plane, named columns. Checked when made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import Refusal

Array = NDArray[np.float64]


def finite(values: Any, name: str, ndim: int = 1) -> Array:
    """`values` as float64 of `ndim` dimensions.

    Raises:
        Refusal: a value is NaN or infinite (never dropped), or the shape is another.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != ndim:
        raise Refusal("not_applicable", f"{name} has {array.ndim} dimensions, expected {ndim}")
    bad = np.flatnonzero(~np.isfinite(array).reshape(len(array), -1).all(axis=1)) if array.size else np.array([])
    if bad.size:
        places = ", ".join(str(int(i)) for i in bad[:5]) + (", ..." if bad.size > 5 else "")
        raise Refusal("not_finite", f"{name} holds {bad.size} values that are not finite (rows {places})")
    return array


def _same(length: int, **others: int) -> None:
    for name, other in others.items():
        if other != length:
            raise Refusal("not_applicable", f"{name} has {other} rows, expected {length}")


def at_least(n: int, least: int, what: str) -> None:
    """Raise `Refusal` (too_few) unless `n` reaches `least`; `what` is the plural noun of a row."""
    if n < least:
        raise Refusal("too_few", f"{n} {what}, at least {least} are needed")


@dataclass(frozen=True)
class Sample:
    """Independent values `x` (n,), for instance one per seed.

    `scores` holds runs x tasks, for leaves that declare `TASKS = True`; `x` is then its mean over runs.
    """

    x: Array
    labels: tuple[str, ...] = ()
    family: int = 1
    scores: Array | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "x", finite(self.x, "x"))
        if self.scores is not None:
            object.__setattr__(self, "scores", finite(self.scores, "scores", 2))


@dataclass(frozen=True)
class Blocks:
    """Rows that hold every level of the treated factor: `values` (rows, levels); `a` and `b` are two of its columns.

    `torn` is the number of planned rows that lack a level and so are not among them.
    """

    values: Array
    a: int
    b: int
    torn: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", finite(self.values, "blocks", 2))


@dataclass(frozen=True)
class Pairs:
    """Paired values: `a[i]` under the treatment and `b[i]` under the reference agree in everything else, (n,).

    `family` is the number of tests that are corrected together; it enters the smallest detectable effect. `blocks`
    holds all levels, for leaves that declare `BLOCKS = True`. `tasks[i]` names what pair i has in common with the other
    seeds of its cell (empty: all pairs are one task).
    """

    a: Array
    b: Array
    labels: tuple[str, ...] = ()
    family: int = 1
    blocks: Blocks | None = None
    tasks: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "a", finite(self.a, "a"))
        object.__setattr__(self, "b", finite(self.b, "b"))
        _same(len(self.a), b=len(self.b), **({"tasks": len(self.tasks)} if self.tasks else {}))


@dataclass(frozen=True)
class Points:
    """Units in the plane: `x` (n,), `y` (n,), and `given` (n, k), what a partial correlation holds constant."""

    x: Array
    y: Array
    given: Array | None = None
    labels: tuple[str, ...] = ()
    family: int = 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "x", finite(self.x, "x"))
        object.__setattr__(self, "y", finite(self.y, "y"))
        _same(len(self.x), y=len(self.y))
        if self.given is not None:
            object.__setattr__(self, "given", finite(self.given, "given", 2))
            _same(len(self.x), given=len(self.given))


@dataclass(frozen=True)
class Frame:
    """Named columns of equal length, with the labels of each row; what a user's own `estimate` receives.

    `axes[name][i]` is the label of row i on that axis, `seeds[i]` its seed or None.
    """

    columns: Mapping[str, Array]
    axes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    seeds: tuple[int | None, ...] = ()
    family: int = 1

    def __post_init__(self) -> None:
        columns = {name: finite(values, name) for name, values in self.columns.items()}
        length = len(next(iter(columns.values()))) if columns else 0
        _same(length, **{name: len(values) for name, values in columns.items()})
        object.__setattr__(self, "columns", columns)

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()))) if self.columns else 0
