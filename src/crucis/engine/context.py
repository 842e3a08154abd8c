"""What a runner sees of the engine while it works on one step."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..canon import step_key
from ..records import Record, Result
from .drafts import Draft
from .journal import Journal
from .steps import EngineError, Step
from .store import Store, now
from .weights import is_gone, reads_files

_BEAT_GAP = 0.25
#: Lines of the journal that whoever watches a run is told at once, if they have a `text` -> kind of event.
_SAID = {
    "alert": "alert",
    "reaction": "reaction",
    "warn": "warn",
    "checkpoint_damaged": "warn",
    "checkpoint_foreign": "warn",
}


def silent(message: dict[str, Any]) -> None:
    """Tells nobody."""


@dataclass
class Desk:
    """What all steps of one process share.

    `tell` sends a message to the supervisor; `stopping` is a flag that another thread may set; `numerics` and
    `environment` go into every record.
    """

    store: Store
    numerics: Mapping[str, Any]
    journal: Journal
    environment: str = ""
    tell: Callable[[dict[str, Any]], None] = silent
    stop: bool = False
    housekeeping: Callable[[], None] | None = None


@dataclass
class StepContext:
    """Implements `records.Context` for one step. `records` holds what `inputs` names, already read and checked."""

    step: Step
    desk: Desk
    inputs: dict[str, Any]
    records: dict[str, Any]
    replay: bool = False
    attempt: dict[str, Any] = field(default_factory=dict)
    begun: str = field(default_factory=now)
    progress: dict[str, Any] = field(default_factory=dict)
    staged: list[tuple[str, str, Result]] = field(default_factory=list)
    beside_mb: int = 0  # MiB at the peak of processes that the step started
    _out: str = ""
    _heard: float = 0.0

    @property
    def out(self) -> Path:
        """An empty folder; what is in it becomes the record's files."""
        if not self._out:
            self._out = self.desk.store.workfolder(self.step.key)
        return Path(self._out)

    @property
    def scratch(self) -> Path:
        """Survives a crash; holds checkpoints; removed after the commit."""
        path = Path(self.desk.store.scratch(self.step.key))
        path.mkdir(exist_ok=True)
        return path

    @property
    def store(self) -> Path:
        """The store's folder (users' code lies in `code/`)."""
        return self.desk.store.path

    def beat(self, **progress: Any) -> None:
        """Say that work goes on. At most four times a second something is sent; calls between cost under 1 us."""
        at = time.monotonic()
        if progress:
            self.progress = progress
            self.desk.journal.write("step", self.step.key, **progress)
        if at - self._heard >= _BEAT_GAP:
            self._heard = at
            self.desk.tell({"m": "beat", "key": self.step.key, "progress": self.progress})
            if self.desk.housekeeping is not None:
                self.desk.housekeeping()

    def stopping(self) -> bool:
        """Whether to save a checkpoint and raise `errors.Stopped`."""
        return self.desk.stop

    def note(self, event: str, **fields: Any) -> None:
        """Write a line into the journal; a warning, an alert or a reaction with a `text` is told people as well."""
        self.desk.journal.write(event, self.step.key, **fields)
        if event in _SAID and "text" in fields:
            self.desk.tell({"m": _SAID[event], "key": self.step.key, "progress": {"text": fields["text"]}})

    def publish(self, key: str, files: Path, result: Result) -> None:
        """Commit a checkpoint record now; during a replay, only once the end has proved equal.

        The spec of the record is found in `step.hints["published"]`, or is
        `{"kind": "at", "of": KEY, "at": STEP or "best"}` with the step taken from `result.values["step"]`.

        Raises:
            ValueError: no such spec has this key.
        """
        folder = self.desk.store.workfolder(key)
        for entry in os.scandir(files):
            shutil.copyfile(entry.path, f"{folder}/{entry.name}")
        if self.replay:
            self.staged.append((key, folder, result))
        else:
            self.commit_published(key, folder, result)

    def commit_published(self, key: str, folder: str, result: Result) -> None:
        """Make the checkpoint record out of `folder` and tell the supervisor."""
        desk = self.desk
        draft = Draft(
            key,
            published_spec(self.step, key, result),
            result,
            folder,
            attempt=dict(self.attempt),
            numerics=desk.numerics,
            environment=desk.environment,
            time={"begun": self.begun, "ended": now()},
            label=f"{self.step.label} at {result.values.get('step', '')}".strip(),
        )
        try:
            self._land(draft)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        self.note("published", at=result.values.get("step"))
        desk.tell({"m": "published", "key": key})

    def _land(self, draft: Draft) -> None:
        """Commit a checkpoint; one whose weights were given up is compared, and gets them back."""
        store = self.desk.store
        known = store.read(draft.key) if is_gone(store.root, draft.key) else None
        if known is None:
            store.commit(draft, durable=True)
        elif store.commit(draft, expect=known.body["content"]).state == "same":
            store.take_back(draft.key, draft.out)
        else:
            raise EngineError(f"the checkpoint {draft.key[:12]} ended in other content than its record, whose weights "
                              "were given up")  # fmt: skip

    def discard(self) -> None:
        """Remove what was not committed."""
        for folder in [self._out, *(folder for _, folder, _ in self.staged)]:
            if folder and os.path.isdir(folder):  # noqa: PTH112
                shutil.rmtree(folder, ignore_errors=True)
        self._out = ""
        self.staged.clear()


def published_spec(step: Step, key: str, result: Result) -> dict[str, Any]:
    """The spec whose digest is `key`.

    Raises:
        ValueError: none of the possible ones.
    """
    given = step.hints.get("published", {}).get(key)
    places: list[Any] = ["best", result.values.get("step")]
    for spec in [given, *({"kind": "at", "of": step.key, "at": at} for at in places)]:
        if spec is not None and step_key(spec) == key:
            return dict(spec)
    raise ValueError(f"no checkpoint of {step.label or step.key[:12]} has the key {key[:12]} (values {result.values})")


def gather(store: Store, step: Step) -> tuple[dict[str, Any], dict[str, Any], list[str], list[str]]:
    """Read and check the inputs: folders by role, records by role, keys that are gone, roles not `ok`."""
    folders: dict[str, Any] = {}
    records: dict[str, Any] = {}
    gone: list[str] = []
    bad: list[str] = []

    def one(role: str, key: str) -> Record | None:
        record = store.read(key)
        if record is None or (record.outcome == "ok" and reads_files(step) and is_gone(store.root, key)):
            gone.append(key)
        elif record.outcome != "ok":
            bad.append(f"{role} {key[:12]} {record.outcome}")
        return record

    for role, value in step.inputs.items():
        if isinstance(value, str):
            record = one(role, value)
            records[role], folders[role] = record, record and record.folder
        else:
            found = [one(role, key) for key in value]
            records[role], folders[role] = found, [record and record.folder for record in found]
    return folders, records, gone, bad
