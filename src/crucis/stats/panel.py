"""Tables with more shape than a sample: units over levels, independent groups, a find and its confirmation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import Refusal
from .table import Array, finite


@dataclass(frozen=True, eq=False)
class Panel:
    """Units (rows) over the levels of one axis (columns): `values` (units, levels).

    NaN marks a cell that is not there (by design or by failure); an infinite value is refused. `places` (levels,) is
    where the levels lie on their axis: their numbers if all labels are numbers, else 0, 1, 2 ...
    """

    values: Array
    units: tuple[str, ...] = ()
    levels: tuple[str, ...] = ()
    places: tuple[float, ...] = ()
    family: int = 1

    def __post_init__(self) -> None:
        values = np.asarray(self.values, dtype=np.float64)
        if values.ndim != 2:
            raise Refusal("not_applicable", f"values have {values.ndim} dimensions, expected units x levels")
        if np.isinf(values).any():
            raise Refusal("not_finite", f"values hold {int(np.isinf(values).sum())} infinite numbers")
        object.__setattr__(self, "values", values)
        object.__setattr__(self, "places", self.places or tuple(map(float, range(values.shape[1]))))
        if len(self.places) != values.shape[1]:
            raise Refusal("not_applicable", f"{len(self.places)} places for {values.shape[1]} levels")

    @property
    def whole(self) -> Array:
        """The units that have a value at every level."""
        return self.values[~np.isnan(self.values).any(axis=1)]


@dataclass(frozen=True, eq=False)
class Groups:
    """Independent values of each level of a factor: `values[i]` (n_i,) belongs to `labels[i]`."""

    values: tuple[Array, ...]
    labels: tuple[str, ...] = ()
    family: int = 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", tuple(finite(one, "a group") for one in self.values))


@dataclass(frozen=True, eq=False)
class Selection:
    """What a search reported of its winner, `found`, and the winner's values on fresh seeds, `confirmed` (n,)."""

    found: float
    confirmed: Array
    labels: tuple[str, ...] = ()
    family: int = 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "confirmed", finite(self.confirmed, "confirmed"))
        finite([self.found], "found")
