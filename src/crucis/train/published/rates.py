"""The learning rate of every step in few numbers: where it changes, or (smooth schedules) a digest and samples."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

#: A sequence with at most so many changes is kept whole.
WHOLE = 1000
SAMPLES = 33


@dataclass(frozen=True)
class Rates:
    """One rate per optimiser step.

    Attributes:
        steps: how many; digest: SHA-256 of the float64 values, little-endian.
        points: (step from 0, rate): each change if `whole`, else evenly spaced samples with the first and last step.
    """

    steps: int
    digest: str
    points: tuple[tuple[int, float], ...]
    whole: bool

    @classmethod
    def of(cls, values: np.ndarray) -> Rates:
        """Of float64 (steps,)."""
        values = np.ascontiguousarray(values, dtype="<f8")
        changes = [0, *(np.flatnonzero(np.diff(values)) + 1)] if len(values) else []
        whole = len(changes) <= WHOLE
        at = changes if whole else np.unique(np.linspace(0, len(values) - 1, SAMPLES).round().astype(int))
        points = tuple((int(k), float(values[k])) for k in at)
        return cls(len(values), hashlib.sha256(values.tobytes()).hexdigest(), points, whole)

    @classmethod
    def read(cls, body: Mapping[str, Any]) -> Rates:
        """From the JSON form."""
        points = tuple((int(k), float(rate)) for k, rate in body["points"])
        return cls(int(body["steps"]), str(body["digest"]), points, bool(body["whole"]))

    def as_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {"steps": self.steps, "digest": self.digest, "points": [list(p) for p in self.points],
                "whole": self.whole}  # fmt: skip

    def differs(self, expected: np.ndarray) -> str | None:
        """Where these rates leave the expected ones, or None if every step has the same bits."""
        if self.steps == len(expected) and self.digest == Rates.of(expected).digest:
            return None
        mine = self._filled() if self.whole else dict(self.points)
        for k in sorted(mine):
            if k < len(expected) and mine[k] != expected[k]:
                first = "" if self.whole else " (at the latest)"
                return f"step {k + 1}{first}: {mine[k]:.6g} instead of {expected[k]:.6g}"
        return f"{self.steps:,} steps instead of {len(expected):,}"

    def _filled(self) -> dict[int, float]:
        ends = [k for k, _ in self.points[1:]] + [self.steps] * bool(self.points)
        return {k: rate for (start, rate), end in zip(self.points, ends, strict=True) for k in range(start, end)}
