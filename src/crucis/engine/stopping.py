"""Ctrl-C once, twice, SIGTERM, SIGUSR1: counted by handlers that only set flags and wake the loop."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

_SOFT = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)


class StopSignals:
    """Installs the handlers in the main thread for the length of a `with` block and restores the old ones.

    `level` is 0, then 1 (finish cleanly), then 2 (stop now); a third signal meets its old handler.
    """

    def __init__(self, poke: Callable[[], None]) -> None:
        self.level = 0
        self._poke = poke
        self._old: dict[int, Any] = {}

    def __enter__(self) -> StopSignals:
        if threading.current_thread() is threading.main_thread():
            for number in _SOFT:
                self._old[number] = signal.signal(number, self._hear)
        return self

    def __exit__(self, *_: object) -> None:
        self._restore()

    def _restore(self) -> None:
        for number, old in self._old.items():
            signal.signal(number, old if old is not None else signal.SIG_DFL)
        self._old.clear()

    def _hear(self, number: int, _: FrameType | None) -> None:
        # SIGTERM and SIGUSR1 repeated (schedulers do that) stay a clean stop; only Ctrl-C counts up.
        self.level = min(2, self.level + 1) if number == signal.SIGINT else max(1, self.level)
        if self.level == 2:
            self._restore()
        self._poke()
