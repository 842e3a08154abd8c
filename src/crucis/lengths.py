"""How long something lasts: one type for epochs, steps and the plateau, instead of three exclusive keys."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from fractions import Fraction

_PATTERN = re.compile(r"(\d[\d_]*)(\.\d+)?\s*(epochs?|steps?)")


@dataclass(frozen=True)
class Length:
    """A number of epochs or steps, or `plateau` (until validation stops improving; count 0).

    Steps are whole; epochs may have decimals (a Fraction then, which keeps `2.4` exact).
    """

    count: int | Fraction
    unit: str

    @classmethod
    def parse(cls, text: str) -> Length:
        """Read `30 epochs`, `2.4 epochs`, `5000 steps`, `1 epoch` or `plateau`.

        Raises:
            ValueError: if the text is none of these.
        """
        if text == "plateau":
            return cls(0, "plateau")
        match = _PATTERN.fullmatch(text.strip())
        if not match or (match[2] and match[3].startswith("step")):
            raise ValueError(f"{text!r} is no length; write '30 epochs', '5000 steps' or 'plateau'")
        count = Fraction(match[1].replace("_", "") + (match[2] or ""))
        return cls(int(count) if count.denominator == 1 else count, match[3].rstrip("s") + "s")

    def exactly(self, per_epoch: int) -> Fraction:
        """Optimiser steps, with the part of a step that decimals of epochs leave.

        Raises:
            ValueError: for `plateau`, which has no fixed number.
        """
        if self.unit == "plateau":
            raise ValueError("a plateau has no fixed number of steps")
        return Fraction(self.count) * (per_epoch if self.unit == "epochs" else 1)

    def steps(self, per_epoch: int) -> int:
        """Whole optimiser steps, given the steps of one epoch; a part of a step is left out.

        Raises:
            ValueError: for `plateau`, which has no fixed number.
        """
        return math.floor(self.exactly(per_epoch))

    def __str__(self) -> str:
        if self.unit == "plateau":
            return self.unit
        return f"{self.count if isinstance(self.count, int) else float(self.count)} {self.unit}"
