"""A context without an engine, for tests of leaves: folders on disk, and a wish to stop that comes on cue."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..records import Result


class PlainContext:
    """`records.Context` over a folder.

    Args:
        folder: `out`, `scratch` and `store` are made in it.
        stop_after: how often `stopping` says no before it says yes; None for never.

    Attributes:
        beats: what was reported by `beat`.
        events: what was noted.
    """

    def __init__(self, folder: Path, *, stop_after: int | None = None) -> None:
        self.inputs: dict[str, Any] = {}
        self.out, self.scratch, self.store = (folder / name for name in ("out", "scratch", "store"))
        for path in (self.out, self.scratch, self.store):
            path.mkdir(parents=True, exist_ok=True)
        self.beats: list[dict[str, Any]] = []
        self.events: list[dict[str, Any]] = []
        self.published: dict[str, Result] = {}
        self._left = stop_after

    def beat(self, **progress: Any) -> None:
        """Keep the report."""
        self.beats.append(progress)

    def stopping(self) -> bool:
        """Whether `stop_after` questions have been asked."""
        if self._left is None:
            return False
        self._left -= 1
        return self._left < 0

    def publish(self, key: str, files: Path, result: Result) -> None:
        """Keep the result (the files stay where they are)."""
        del files
        self.published[key] = result

    def note(self, event: str, **fields: Any) -> None:
        """Keep the note."""
        self.events.append({"event": event, **fields})
