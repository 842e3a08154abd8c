"""The store: records that are written once under the key of their step, and everything beside them.

A step is done if and only if `steps/ab/KEY/record.json` exists. A record comes into being by one rename of a folder
that is complete; a reader checks seal, key and sizes. Knows nothing about processes.
"""
# Paths are plain text here: pathlib costs more than the system calls that it wraps.
# ruff: noqa: PTH102, PTH103, PTH104, PTH106, PTH110, PTH112, PTH116, PTH120, PTH123, PTH208

from __future__ import annotations

import errno
import json
import os
import shutil
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..canon import canonical, step_key
from ..records import Record
from . import archive, disk, drafts, weights
from .failures import Notes
from .steps import EngineError, Step

FORMAT = 1
FOLDERS: tuple[str, ...] = (
    "steps",
    "environments",
    "code",
    "plans",
    "pins",
    "leases",
    "failures",
    "scratch",
    "journal",
    "imports",
)
FOLDERS += ("ledger", "tmp", "quarantine", "trash")


@dataclass(frozen=True)
class Problem:
    """What `verify` found wrong with a record."""

    key: str
    text: str


@dataclass(frozen=True)
class Landing:
    """How a commit ended: `committed`; `same` (somebody was first with equal content); `differs` (with another)."""

    state: str
    body: dict[str, Any]
    winner: dict[str, Any] | None = None


def _calm(point: str) -> None:
    """No fault at any point."""


def now() -> str:
    """The wall clock for people, UTC."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Store:
    """A folder of records. Opening creates what is missing.

    Args:
        root: the store's folder.
        fault: called with the name of each point that a write passes; tests raise or kill there.

    Raises:
        EngineError: the folder cannot be made, or belongs to another format.
    """

    def __init__(self, root: Path, *, fault: Callable[[str], None] | None = None) -> None:
        self.path = Path(root).absolute()
        self.root = str(self.path)
        self._steps, self._tmp = f"{self.root}/steps", f"{self.root}/tmp"
        self._fault = fault or _calm
        self.notes = Notes(self.root)
        try:
            self.identity = self._open()
        except OSError as error:
            raise EngineError(f"the store {self.root} cannot be used: {error.strerror or error}") from error

    def _open(self) -> str:
        marker = self.path / "store.json"
        self._fault("open")
        if not marker.exists():
            for name in FOLDERS:
                (self.path / name).mkdir(parents=True, exist_ok=True)
            ignore = self.path / ".gitignore"
            if not ignore.exists():
                ignore.write_text("*\n", encoding="utf-8")
            text = canonical({"format": FORMAT, "store": str(uuid.uuid4()), "made": now()}).encode()
            disk.write_once(str(marker), text, self._tmp)
        try:
            found = dict(json.loads(marker.read_bytes()))
            found["store"]
        except (ValueError, TypeError, KeyError) as error:
            raise EngineError(
                f"{marker} is damaged ({type(error).__name__}); it names the store and its format. Restore it from a "
                "copy, or delete it: records stay and a new one is written"
            ) from error
        if found.get("format") != FORMAT:
            raise EngineError(f"the store {self.root} has format {found.get('format')}, this program reads {FORMAT}")
        return str(found["store"])

    def check_writable(self) -> None:
        """Refuse a store in which steps could not be committed, before the first one runs.

        Raises:
            EngineError: naming the path.
        """
        name = f"probe.{uuid.uuid4().hex}"
        try:
            self._fault("probe")
            for folder in FOLDERS:
                os.makedirs(f"{self.root}/{folder}", exist_ok=True)
            os.mkdir(f"{self._tmp}/{name}")
            os.rename(f"{self._tmp}/{name}", f"{self._steps}/{name}")
            os.rmdir(f"{self._steps}/{name}")
        except OSError as error:
            why = "its tmp lies on another file system" if error.errno == errno.EXDEV else error.strerror or error
            raise EngineError(f"the store {self.root} cannot be written: {why}") from error

    # --- looking -----------------------------------------------------------------------------------------------

    def folder(self, key: str) -> str:
        """Where the record of this key is or will be."""
        return f"{self._steps}/{key[:2]}/{key}"

    def has(self, key: str) -> bool:
        """Whether the step is done: one look at one name, about 3 microseconds."""
        return os.path.exists(f"{self._steps}/{key[:2]}/{key}/record.json")

    def whole(self, key: str) -> bool:
        """Whether the step is done and none of its files was given up."""
        return self.has(key) and not weights.is_gone(self.root, key)

    def hits(self, keys: Iterable[str]) -> set[str]:
        """Those of the keys that are done."""
        return {key for key in keys if self.has(key)}

    def all_keys(self) -> list[str]:
        """Every key with a record, sorted."""
        found: list[str] = []
        for shard in sorted(os.listdir(self._steps)):
            if len(shard) == 2:
                found.extend(key for key in sorted(os.listdir(f"{self._steps}/{shard}")) if self.has(key))
        return found

    def read(self, key: str, deep: bool = False) -> Record | None:
        """The record, or None if there is none. A damaged one is moved to `quarantine/`, noted, and absent from then.

        Args:
            deep: also compare the SHA-256 of every file (1 GB/s).
        """
        state, body, why = self._look(key, deep)
        if state == "corrupt":
            state, body, why = self._look(key, deep)  # a commit may have replaced it between two of our looks
        if state == "corrupt":
            self.quarantine(key, why)
        if state != "ok":
            return None
        return Record(key, Path(self.folder(key)), body)

    def _look(self, key: str, deep: bool = False) -> tuple[str, dict[str, Any], str]:
        folder = self.folder(key)
        try:
            with open(f"{folder}/{drafts.RECORD}", encoding="utf-8", newline="") as file:
                body = drafts.unsealed(file.read())
        except FileNotFoundError:
            return "absent", {}, ""
        except ValueError as error:
            return "corrupt", {}, f"record.json: {error}"
        if body["key"] != key:
            return "corrupt", {}, f"the record is that of {body['key'][:12]}"
        if step_key(body["spec"]) != key:
            return "corrupt", {}, "the key does not belong to the spec"
        for name, entry in body["files"].items():
            try:
                size = os.stat(f"{folder}/{name}").st_size
            except FileNotFoundError:
                if name in weights.gone(self.root, key):
                    continue
                return ("corrupt", {}, f"{name} is missing") if self.has(key) else ("absent", {}, "")
            if size != entry["bytes"]:
                return "corrupt", {}, f"{name} has {size} bytes instead of {entry['bytes']}"
            if deep and disk.file_sha256(f"{folder}/{name}") != entry["sha256"]:
                return "corrupt", {}, f"{name} has other content than was committed"
        return "ok", body, ""

    def verify(self, keys: Iterable[str] | None = None) -> list[Problem]:
        """Read deep; what is damaged goes to `quarantine/` and is listed."""
        problems = []
        for key in self.all_keys() if keys is None else keys:
            state, _, why = self._look(key, deep=True)
            if state == "corrupt":
                self.quarantine(key, why)
                problems.append(Problem(key, why))
        return problems

    def quarantine(self, key: str, why: str) -> None:
        """Take a damaged record out of sight, keep it, and note why."""
        target = f"{self.root}/quarantine/{key[:16]}.{uuid.uuid4().hex}"
        try:
            os.rename(self.folder(key), target)
        except FileNotFoundError:
            return
        self.fail(key, {"class": "notice", "code": "corrupt", "text": why})

    # --- committing --------------------------------------------------------------------------------------------

    def workfolder(self, key: str) -> str:
        """A new empty folder for the files of a record."""
        path = f"{self._tmp}/{key[:16]}.{uuid.uuid4().hex}"
        os.mkdir(path)
        return path

    def commit(self, draft: drafts.Draft, *, durable: bool = False, expect: str | None = None) -> Landing:
        """Make the record of `draft.key` out of the folder `draft.out`, in one rename.

        Args:
            durable: bring everything to the disk (for steps that were expensive).
            expect: only compare with this `content` digest and commit nothing (a replay).

        Raises:
            ValueError: values or files that may not be in a record.
            OSError: the disk is full, or the store is not writable.
        """
        self._fault("commit.begin")
        body = drafts.body_of(draft)
        if expect is not None:
            return Landing("same" if body["content"] == expect else "differs", body)
        self._fault("commit.described")
        if durable:
            for name in body["files"]:
                disk.sync(f"{draft.out}/{name}")
        self._fault("commit.files")
        disk.write_new(f"{draft.out}/{drafts.RECORD}", drafts.sealed_text(body), durable)
        self._fault("commit.written")
        if durable:
            disk.sync(draft.out)
        landing = self._land(draft.out, body)
        self._fault("commit.landed")
        if durable:
            disk.sync(f"{self._steps}/{draft.key[:2]}")
            disk.sync(self._steps)
        self._fault("commit.end")
        return landing

    def _land(self, out: str, body: dict[str, Any]) -> Landing:
        key = body["key"]
        target = self.folder(key)
        for _ in range(8):
            try:
                self._fault("commit.rename")
                os.rename(out, target)
                self._fault("commit.renamed")
                return Landing("committed", body)
            except OSError as error:
                state, winner, why = self._look(key)
                if state == "ok" and winner["attempt"].get("id") == body["attempt"].get("id"):
                    return Landing("committed", body)  # the rename took place although its answer was an error
                if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
                    if state == "ok":
                        return self._beaten(out, body, winner)
                    if os.path.isdir(target):
                        self.quarantine(key, why or "a folder without a record")
                elif error.errno == errno.ENOENT and os.path.isdir(out):
                    os.makedirs(os.path.dirname(target), exist_ok=True)
                else:
                    raise
        raise OSError(errno.EIO, "the record's place could not be taken in 8 tries", target)

    def _beaten(self, out: str, body: dict[str, Any], winner: dict[str, Any]) -> Landing:
        """Somebody was first: compare, note a difference, drop ours."""
        shutil.rmtree(out, ignore_errors=True)
        if winner["content"] == body["content"]:
            return Landing("same", body, winner)
        if winner["numerics"].get("hash") == body["numerics"].get("hash"):
            first, second = winner["content"], body["content"]
            text = f"two computations of one key differ on equal numerics: {first} was kept, {second} dropped"
            note = {"class": "deterministic", "code": "not_reproducible", "kept": first, "dropped": second}
            self.fail(body["key"], {**note, "text": text, "parts": differing(winner, body)})
        return Landing("differs", body, winner)

    # --- failures ----------------------------------------------------------------------------------------------

    def fail(self, key: str, note: Mapping[str, Any]) -> dict[str, Any]:
        """Write a failure note and return it numbered."""
        return self.notes.add(key, {**note, "time": now()})

    def failures(self, key: str, forgiven: bool = False) -> list[dict[str, Any]]:
        """The notes that count; with `forgiven` the whole history."""
        return self.notes.read(key, forgiven)

    def forget_failures(self, key: str) -> None:
        """Let the step be tried again; the history stays and goes into the next record's `attempt`."""
        self.notes.forget(key)

    # --- weights ------------------------------------------------------------------------------------------------

    def give_up(self, key: str) -> int:
        """Remove the weights of a record, which stays; the bytes that this frees. See `weights`."""
        record = self.read(key)
        return weights.give_up(self.root, record, now()) if record is not None else 0

    def take_back(self, key: str, out: str) -> None:
        """Put weights that were given up back from `out`, where a replay with the recorded content left them."""
        record = self.read(key)
        if record is not None and weights.is_gone(self.root, key):
            weights.take_back(self.root, record, out)

    # --- beside the records ------------------------------------------------------------------------------------

    def scratch(self, key: str) -> str:
        """Where the unfinished step keeps its checkpoints."""
        return f"{self.root}/scratch/{key}"

    def free(self) -> int:
        """Bytes that may still be written."""
        return disk.free_bytes(self.root)

    def write_plan(self, steps: Iterable[Step]) -> Path:
        """Write the plan (in the order given) and return its file; an equal plan is only touched."""
        return archive.write_plan(self.path, steps)

    def read_plan(self, name: str | Path) -> list[Step]:
        """The steps of a plan, by file or by (the beginning of) its digest."""
        return archive.read_plan(self.path, name)

    def pin(self, name: str, keys: Iterable[str]) -> Path:
        """Keep these keys, and all they rest on, from garbage collection, under a name that replaces its old pin."""
        return archive.pin(self.path, name, keys)

    def environment(self, found: Mapping[str, Any]) -> str:
        """Keep a description of where steps ran; its digest."""
        return archive.environment(self.path, found)

    def code(self, files: Mapping[str, bytes]) -> Path:
        """Keep a user's files as they were when the plan was made; the folder, named by their content."""
        return archive.code(self.path, files)

    def append_line(self, name: str, line: Mapping[str, Any]) -> int:
        """Add a line to the small ledger `name` and return its number, from 1."""
        return archive.append_line(self.path, name, line)

    def lines(self, name: str) -> list[dict[str, Any]]:
        """All lines of a ledger in the order of writing."""
        return archive.lines(self.path, name)

    def ledgers(self, prefix: str) -> list[str]:
        """The names of all ledgers that begin so."""
        return archive.ledgers(self.path, prefix)


def differing(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[str]:
    """Names of what differs between two bodies of one key: outcome, values, files."""
    found = ["outcome"] if first["outcome"] != second["outcome"] else []
    for part in ("values", "uncertainty", "files"):
        a, b = first[part], second[part]
        found.extend(f"{part}.{name}" for name in sorted({*a, *b}) if a.get(name) != b.get(name))
    return found
