"""Progress for people: one file of JSON lines per worker process. Nothing is ever decided by reading it."""
# Paths are plain text here: pathlib costs more than the system calls that it wraps.
# ruff: noqa: PTH123

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from . import machine

MAX_BYTES = 8 << 20
MAX_LINE = 4096
_LINES, _SECONDS = 50, 0.5
_PER_SECOND = 200
_STEP_GAP = 0.5
_TAIL = 256 << 10


class Journal:
    """Appends whole lines, buffered at most 50 lines or (with `tick`) half a second; rotates at 8 MB; never fails.

    `step` lines are kept at most twice per second and step, plus each new epoch; other lines at most 200 per second,
    but for the first and the last of a step. What was dropped is counted in the last one.
    """

    def __init__(self, folder: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.folder, self.clock = folder, clock
        self.stem = f"{machine.host()}.{machine.boot()[:8] or 'boot'}.{os.getpid()}"
        self.number, self.handle, self.size = 0, -1, 0
        self.dropped = self.lost = 0
        self._buffer: list[bytes] = []
        self._flushed = self._second = clock()
        self._in_second = 0
        self._last: dict[str, tuple[float, Any]] = {}
        self._lock = threading.RLock()

    def write(self, event: str, key: str = "", **fields: Any) -> None:
        """Add a line; costs about 3 microseconds, or less than one when it is dropped."""
        with self._lock:
            self._write(event, key, fields)

    def _write(self, event: str, key: str, fields: dict[str, Any]) -> None:
        now = self.clock()
        if event == "step":
            last, epoch = self._last.get(key, (-1e9, None))
            if now - last < _STEP_GAP and fields.get("epoch") == epoch:
                self.dropped += 1
                return
            self._last[key] = (now, fields.get("epoch"))
        elif event in ("end", "failed", "stopped"):
            self._last.pop(key, None)
            if self.dropped:
                fields["dropped"], self.dropped = self.dropped, 0
        elif event != "begin" and not self._admit(now):
            self.dropped += 1
            return
        line = {"v": 1, "t": round(time.time(), 3), "m": round(now, 3), "e": event, "k": key[:12], **fields}
        data = json.dumps(line, separators=(",", ":"), default=str).encode()
        if len(data) >= MAX_LINE:
            data = json.dumps({**{k: line[k] for k in ("v", "t", "m", "e", "k")}, "cut": len(data)}).encode()
        self._buffer.append(data + b"\n")
        if len(self._buffer) >= _LINES:
            self.flush()

    def _admit(self, now: float) -> bool:
        if now - self._second >= 1.0:
            self._second, self._in_second = now, 0
        self._in_second += 1
        return self._in_second <= _PER_SECOND

    def tick(self) -> None:
        """Write out what is older than half a second."""
        if self._buffer and self.clock() - self._flushed >= _SECONDS:
            self.flush()

    def flush(self) -> None:
        """Write out the buffer in one call; a full disk loses lines, not the step."""
        with self._lock:
            data, self._buffer = b"".join(self._buffer), []
            self._flushed = self.clock()
            if not data:
                return
            try:
                if self.handle < 0 or self.size + len(data) > MAX_BYTES:
                    self._rotate()
                os.write(self.handle, data)
                self.size += len(data)
            except OSError:
                self.lost += 1

    def _rotate(self) -> None:
        if self.handle >= 0:
            os.close(self.handle)
            self.handle = -1
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
        while self.handle < 0:
            with contextlib.suppress(FileExistsError):
                self.handle = os.open(f"{self.folder}/{self.stem}.{self.number:02d}.jsonl", flags, 0o644)
            self.number += 1
        self.size = 0

    def close(self) -> None:
        """Write a last line and close."""
        self.write("down")
        self.flush()
        if self.handle >= 0:
            os.close(self.handle)
            self.handle = -1


@dataclass
class Tail:
    """Follows all journals of a folder. A line that does not parse is skipped and counted.

    `seen` tells, per file, when this reader last found something new, by its own clock.
    """

    folder: str
    clock: Callable[[], float] = time.monotonic
    skipped: int = 0
    seen: dict[str, float] = field(default_factory=dict)
    _at: dict[str, tuple[int, int]] = field(default_factory=dict)

    def poll(self) -> list[dict[str, Any]]:
        """The lines that are new since the last call, file by file. A large file begins at its last 256 kB."""
        found: list[dict[str, Any]] = []
        try:
            entries = sorted(os.scandir(self.folder), key=lambda entry: entry.name)
        except FileNotFoundError:
            return found
        for entry in entries:
            if entry.name.endswith(".jsonl"):
                try:
                    stat = entry.stat()
                except FileNotFoundError:
                    continue
                inode, offset = self._at.get(entry.name, (stat.st_ino, -1))
                if offset < 0 or inode != stat.st_ino:
                    offset = stat.st_size - _TAIL if stat.st_size > 1 << 20 else 0
                if stat.st_size > offset:
                    found += self._read(entry.path, entry.name, offset)
        return found

    def _read(self, path: str, name: str, offset: int) -> list[dict[str, Any]]:
        with open(path, "rb") as file:
            file.seek(offset)
            data = file.read()
            inode = os.fstat(file.fileno()).st_ino
        whole = data.rfind(b"\n") + 1
        self._at[name] = (inode, offset + whole)
        if whole:
            self.seen[name] = self.clock()
        lines = data[:whole].splitlines()
        if offset and name not in self.seen:
            lines = lines[1:]
        out = []
        for line in lines:
            try:
                event = json.loads(line)
                if not isinstance(event, dict) or "e" not in event:
                    raise ValueError("no event")
            except ValueError:
                self.skipped += 1
            else:
                out.append({**event, "file": name})
        return out
