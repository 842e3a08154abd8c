"""What crosses the floors when a step runs: its needs, what it sees of the engine, what it leaves. Plain types."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol


@dataclass(frozen=True)
class Need:
    """What a step takes of the machine: CPU slots, share of a GPU, MiB of memory, processes."""

    cpu: int = 1
    gpu: float = 0.0
    ram_mb: int | None = None
    vram_mb: int | None = None
    world: int = 1


@dataclass(frozen=True)
class Reason:
    """Why an outcome is not `ok`. `code` is one of `errors.REASON_CODES`."""

    code: str
    text: str
    where: str = ""

    def as_dict(self) -> dict[str, str]:
        """The form in `record.json`."""
        return {"code": self.code, "text": self.text, "where": self.where}


@dataclass(frozen=True)
class Result:
    """What a leaf's runner returns. Files it left in `Context.out` join the record.

    `values`: column name -> number, or (for a column with own axes) nested mappings from axis label to number.
    `uncertainty`: column name -> {"se": standard error, "n": count, "kind": text}, nested like its column.
    `files`: name in `out` -> role ("model", "table", "array", "features").
    `notes`: JSON values for people and reports; not part of the content digest.
    """

    outcome: str = "ok"
    values: dict[str, Any] = field(default_factory=dict)
    reason: Reason | None = None
    uncertainty: dict[str, Any] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    notes: dict[str, Any] = field(default_factory=dict)
    reactions: tuple[dict[str, Any], ...] = ()


class Context(Protocol):
    """All that a leaf's runner sees of the engine."""

    inputs: dict[str, Any]  # role -> record folder (Path), or list of folders for a pooled input
    out: Path  # an empty folder; what is in it becomes the record's files
    scratch: Path  # survives a crash; holds checkpoints; removed after the commit
    store: Path  # the store's folder; users' code lies in `code/`

    def beat(self, **progress: Any) -> None:
        """Say that work goes on (at least once in `stall_s`); `progress` is shown to people."""

    def stopping(self) -> bool:
        """Whether to save a checkpoint and raise `errors.Stopped`. Costs well under a microsecond."""
        ...

    def publish(self, key: str, files: Path, result: Result) -> None:
        """Commit a checkpoint record under `key` now, with the files of the folder `files`."""

    def note(self, event: str, **fields: Any) -> None:
        """Write a line into the journal."""


@dataclass(frozen=True)
class Record:
    """A step's record as read from the store. `folder` is read-only; `body` is the whole `record.json`."""

    key: str
    folder: Path
    body: dict[str, Any]

    @property
    def outcome(self) -> str:
        """`ok`, `refused` or `diverged`."""
        return self.body["outcome"]

    @property
    def values(self) -> dict[str, Any]:
        """Columns of the step."""
        return self.body["values"]

    @property
    def uncertainty(self) -> dict[str, Any]:
        """Standard errors of the columns."""
        return self.body.get("uncertainty", {})

    @property
    def spec(self) -> dict[str, Any]:
        """Exactly what was hashed into the key."""
        return self.body["spec"]

    def arrays(self, name: str) -> dict[str, Any]:
        """The arrays of an npz file of this record, by name (never unpickles)."""
        import numpy as np

        with np.load(self.folder / name, allow_pickle=False) as file:
            return {key: file[key] for key in file.files}
