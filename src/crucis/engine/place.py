"""A full or unwritable disk: nothing is handed out until there is room again, or patience ends."""

from __future__ import annotations

from .steps import EngineError
from .store import Store
from .tuning import Tuning


class Place:
    """Whether the run pauses for want of space. Looks again every `place_poll_s`."""

    def __init__(self, store: Store, tuning: Tuning) -> None:
        self.store, self.tuning = store, tuning
        self.paused = False
        self.next_look = self._since = 0.0

    def pause(self, now: float) -> bool:
        """Begin to wait; False if this was so already."""
        if self.paused:
            return False
        self.paused, self._since = True, now
        self.next_look = now + self.tuning.place_poll_s
        return True

    def look(self, now: float) -> str:
        """`room` when the run may go on, `over` when it has waited long enough, else nothing."""
        if now < self.next_look:
            return ""
        self.next_look = now + self.tuning.place_poll_s
        try:
            self.store.check_writable()
            if self.store.free() >= self.tuning.place_free:
                self.paused = False
                return "room"
        except EngineError:
            pass  # still read-only or full
        return "over" if now - self._since >= self.tuning.place_wait_s else ""
