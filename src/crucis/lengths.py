"""How long something lasts: one type for epochs, steps and the plateau, instead of three exclusive keys."""

from __future__ import annotations

import re
from dataclasses import dataclass

_PATTERN = re.compile(r"(\d[\d_]*)\s*(epochs?|steps?)")


@dataclass(frozen=True)
class Length:
    """A number of epochs or steps, or `plateau` (until validation stops improving; count 0)."""

    count: int
    unit: str

    @classmethod
    def parse(cls, text: str) -> Length:
        """Read `30 epochs`, `5000 steps`, `1 epoch` or `plateau`.

        Raises:
            ValueError: if the text is none of these.
        """
        if text == "plateau":
            return cls(0, "plateau")
        match = _PATTERN.fullmatch(text.strip())
        if not match:
            raise ValueError(f"{text!r} is no length; write '30 epochs', '5000 steps' or 'plateau'")
        return cls(int(match[1].replace("_", "")), match[2].rstrip("s") + "s")

    def steps(self, per_epoch: int) -> int:
        """Optimiser steps, given the steps of one epoch.

        Raises:
            ValueError: for `plateau`, which has no fixed number.
        """
        if self.unit == "plateau":
            raise ValueError("a plateau has no fixed number of steps")
        return self.count * per_epoch if self.unit == "epochs" else self.count

    def __str__(self) -> str:
        return self.unit if self.unit == "plateau" else f"{self.count} {self.unit}"
