"""When a run looks up from its steps: to say that it lives, to save, to stop. Reads a clock that tests replace."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

#: Seconds between heartbeats, least seconds between saves, and a save's greatest share of the time (1 / SHARE).
BEAT, SAVE, SHARE = 1.0, 60.0, 100.0

Clock = Callable[[], float]


@dataclass
class Cadence:
    """`due` is the next moment at which the loop should look up. Saving changes no number, so any cadence will do."""

    clock: Clock = time.monotonic
    save_every: float = SAVE

    def __post_init__(self) -> None:
        now = self.clock()
        self._save_due = now + self.save_every
        self.due = min(now + BEAT, self._save_due)

    def beaten(self) -> None:
        """The heartbeat was sent."""
        self.due = min(self.clock() + BEAT, self._save_due)

    def wants_save(self) -> bool:
        """Whether a save is due."""
        return self.clock() >= self._save_due

    def saved(self, cost: float) -> None:
        """A save was made and took `cost` seconds."""
        now = self.clock()
        self._save_due = now + max(self.save_every, SHARE * cost)
        self.due = min(now + BEAT, self._save_due)
