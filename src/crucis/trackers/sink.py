"""What a tracker is told of a run, and what a sink for one offers. Plain values; no foreign library, no store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

Plain = bool | int | float | str | None
#: One row of a curve: column name -> number, `step` (the optimiser step) among them.
Row = Mapping[str, float]


@dataclass(frozen=True)
class Run:
    """One run of a tracker: one training or measuring step of a study, as it is known before it begins.

    Attributes:
        key: the step's key, 64 hex digits (`report` for a study's page).
        name: for people: stage, levels, seed.
        study, group: what it belongs to: the study, and the cell in it that seeds share.
        params: dotted name -> resolved value, defaults included.
        tags: name -> text: study, stage, seed, levels.
    """

    key: str
    name: str
    study: str
    group: str
    params: Mapping[str, Plain] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)

    def pack(self) -> dict[str, Any]:
        """As JSON values."""
        return {**vars(self), "params": dict(self.params), "tags": dict(self.tags)}


@dataclass(frozen=True)
class Ending:
    """What is known when a run is over.

    Attributes:
        ok: whether its outcome was `ok`; refusals and divergences have the outcome and its reason among the tags.
        step: where on the axis of optimiser steps the closing values stand.
        values: name (`final/accuracy`, `se/accuracy`, `cost/wall_s`) -> finite number.
        used: dotted name -> what the run really used, read from the objects that ran.
        tags: name -> text: outcome, commit, device.
        files: name (a relative path with `/`) -> the file.
    """

    ok: bool
    step: int
    values: Mapping[str, float] = field(default_factory=dict)
    used: Mapping[str, Plain] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, Path] = field(default_factory=dict)


class Sink(Protocol):
    """A place that runs are written to. Any call may raise: the writer stops, the training does not notice."""

    def whole(self, run: Run) -> str:
        """The mark that `end` left with this run, or nothing if it is not here or not finished."""
        ...

    def begin(self, run: Run) -> None:
        """Start the run; what an earlier attempt left under its key is removed first."""

    def rows(self, key: str, rows: Sequence[Row]) -> None:
        """Add rows that the run does not have yet, oldest first; called between `begin` and `end`."""

    def end(self, key: str, ending: Ending, mark: str) -> None:
        """Close the run and keep `mark` with it, so that it is never written twice."""

    def close(self) -> None:
        """Write out what is pending. Runs that did not end stay marked as unfinished."""
