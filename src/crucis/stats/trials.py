"""The table of a search: what each trial was, what it reached, and the space that it came from. Checked when made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import Refusal
from .table import Array, finite


@dataclass(frozen=True)
class Trials:
    """Complete trials of one search.

    Attributes:
        shares: (n, k) each parameter on its own scale from 0 to 1 (logarithmic where the distribution is), the place
            of a choice from 0; NaN where a trial does not have the parameter.
        objective: (n,) finite.
        choices: per parameter the number of alternatives, 0 for an interval.
        target: which parameter an attribution is asked for.
        names: of the parameters.
        family: as in every table, the number of tests that are corrected together; nothing is tested here.
    """

    shares: Array
    objective: Array
    choices: tuple[int, ...]
    target: int = 0
    names: tuple[str, ...] = ()
    family: int = 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "objective", finite(self.objective, "objective"))
        shares = np.asarray(self.shares, dtype=np.float64)
        if shares.shape != (len(self.objective), len(self.choices)):
            raise Refusal("not_applicable", f"the parameters have the shape {shares.shape}, not trials by parameters")
        object.__setattr__(self, "shares", shares)

    def having(self, position: int) -> Trials:
        """The trials that have a parameter."""
        rows = np.isfinite(self.shares[:, position])
        return Trials(self.shares[rows], self.objective[rows], self.choices, self.target, self.names)

    def always(self) -> list[int]:
        """Parameters that every trial has."""
        return [j for j in range(len(self.choices)) if np.isfinite(self.shares[:, j]).all()]

    def taken(self, rows: Sequence[int]) -> Trials:
        """These rows, in this order; a row may come several times."""
        index = np.asarray(rows, dtype=np.intp)
        return Trials(self.shares[index], self.objective[index], self.choices, self.target, self.names)
