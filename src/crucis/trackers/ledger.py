"""What a tracker kept in files already has: one small JSON file beside them, replaced as a whole."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

from .sink import Run

NAME = "crucis.json"


class Ledger:
    """Study and key -> where its run lies, relative to the folder, and the mark it ended with (empty: unfinished).

    Deleting the folder deletes the memory of what was written to it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.path = folder, folder / NAME
        folder.mkdir(parents=True, exist_ok=True)
        self.entries: dict[str, dict[str, str]] = {}
        if self.path.is_file():
            self.entries = json.loads(self.path.read_text(encoding="utf-8"))

    def mark(self, run: Run) -> str:
        """The mark of a run that is here and whole, or nothing."""
        entry = self.entries.get(_name(run), {})
        return entry.get("mark", "") if (self.folder / entry.get("at", "?")).exists() else ""

    def put(self, run: Run, at: Path, mark: str = "") -> None:
        """Note where a run lies and, once it is whole, its mark."""
        self.entries[_name(run)] = {"at": at.relative_to(self.folder).as_posix(), "mark": mark}
        aside = self.path.with_name(f".{NAME}.{os.getpid()}")
        aside.write_text(json.dumps(self.entries, indent=0, sort_keys=True), encoding="utf-8")
        aside.replace(self.path)

    def drop(self, run: Run) -> None:
        """Remove what an earlier attempt at this run left."""
        entry = self.entries.pop(_name(run), None)
        if entry is not None:
            place = (self.folder / entry["at"]).resolve()
            if place.is_relative_to(self.folder.resolve()) and place != self.folder.resolve():
                shutil.rmtree(place, ignore_errors=True)


def _name(run: Run) -> str:
    return f"{run.study}/{run.key}"
