"""Failure notes: how an error is classed, how notes are kept, and what a row of notes means for the next try."""
# Paths are plain text here: pathlib costs more than the system calls that it wraps.
# ruff: noqa: PTH103, PTH123, PTH208

from __future__ import annotations

import errno
import json
import os
import re
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..canon import canonical
from . import disk

MAX_TEXT = 20_000
_FORGIVEN = "forgiven.json"

#: (class, code, pattern of the type's name, pattern of the text); the first line that fits decides. Frameworks raise
#: their own types and, for memory, plain RuntimeErrors, so both the type and the text are looked at.
TABLE: tuple[tuple[str, str, str, str], ...] = (
    ("stopped", "stopped", r"Stopped", r""),
    ("memory", "gpu_out_of_memory", r"OutOfMemoryError", r""),
    ("memory", "gpu_out_of_memory", r"RuntimeError", r"CUDA out of memory|CUBLAS_STATUS_ALLOC_FAILED"),
    ("memory", "out_of_memory", r"RuntimeError", r"can't allocate memory|DefaultCPUAllocator: not enough memory"),
    ("memory", "out_of_memory", r"_?(Array)?MemoryError", r""),
    (
        "transient",
        "device_error",
        r"(Runtime|Accelerator)Error",
        r"CUDA error|cuDNN error|NCCL error|unspecified launch",
    ),
    ("transient", "connection", r"(Connection\w*|BrokenPipe|EOF)Error", r""),
    ("deterministic", "replay_differs", r"ReplayDiffers", r""),
)
_PLACE = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG}
_TRANSIENT = {errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.EAGAIN, errno.ENETDOWN, errno.ENETUNREACH, errno.EMFILE}
_FULL_ON_WRITE = re.compile(r"No space left on device|Disk quota exceeded|File too large")  # wrapped by file libraries


def classify(error: BaseException) -> tuple[str, str]:
    """(class, code) of an exception; what nothing in the table fits is `deterministic`."""
    known = getattr(error, "classed", None)  # said by a process that this one started
    if isinstance(known, tuple):
        return known
    name, text = type(error).__name__, str(error)
    if isinstance(error, OSError):
        if error.errno in _PLACE:
            return "place", errno.errorcode[error.errno].lower()
        if error.errno in _TRANSIENT:
            return "transient", errno.errorcode[error.errno].lower()
        if error.errno == errno.ENOMEM:
            return "memory", "out_of_memory"
    for kind, code, of_type, of_text in TABLE:
        if re.fullmatch(of_type, name) and re.search(of_text, text):
            return kind, code
    if not isinstance(error, OSError) and _FULL_ON_WRITE.search(text):
        return "place", "enospc"
    return "deterministic", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def note_of(error: BaseException, **more: Any) -> dict[str, Any]:
    """A failure note of an exception, with its traceback."""
    kind, code = classify(error)
    trace = "".join(traceback.format_exception(error))
    text = str(error) or type(error).__name__
    return {"class": kind, "code": code, "text": text[:MAX_TEXT], "traceback": trace[-MAX_TEXT:], **more}


@dataclass(frozen=True)
class Next:
    """What a row of notes allows: `final`, or a try after `delay` seconds, `alone` on the node or not."""

    final: bool = False
    delay: float = 0.0
    alone: bool = False


def judge(notes: Sequence[Mapping[str, Any]], backoff: Sequence[float] = (2.0, 8.0, 32.0)) -> Next:
    """What comes after these notes (in the order of writing).

    One deterministic failure is final, two for memory, three in total; a step that has killed its worker twice, or
    has run out of memory once, has its last try alone.
    """
    classes = [note["class"] for note in notes]
    memory, transient = classes.count("memory"), classes.count("transient")
    if "deterministic" in classes or memory >= 2 or memory + transient >= 3:
        return Next(final=True)
    if not memory + transient:
        return Next()
    died = sum(str(note.get("code", "")).startswith("died") for note in notes)
    delay = 0.0 if classes[-1] == "memory" else backoff[min(transient, len(backoff)) - 1]
    return Next(delay=delay, alone=memory > 0 or died >= 2)


class Notes:
    """The notes of one store: `failures/KEY/N.json`, never rewritten. Forgetting marks them as no longer counting."""

    def __init__(self, root: str) -> None:
        self.root, self.tmp = f"{root}/failures", f"{root}/tmp"

    def keys(self) -> set[str]:
        """Keys that ever had a note."""
        try:
            return set(os.listdir(self.root))
        except FileNotFoundError:
            return set()

    def add(self, key: str, note: Mapping[str, Any]) -> dict[str, Any]:
        """Write the next note and return it with its number."""
        folder = f"{self.root}/{key}"
        os.makedirs(folder, exist_ok=True)
        number = max(self._numbers(folder), default=0) + 1
        while True:
            full = {"n": number, **json.loads(json.dumps(note, default=str))}
            if disk.write_once(f"{folder}/{number}.json", canonical(full).encode(), self.tmp):
                return full
            number += 1

    @staticmethod
    def _numbers(folder: str) -> list[int]:
        try:
            return sorted(int(name[:-5]) for name in os.listdir(folder) if name[:-5].isdigit())
        except FileNotFoundError:
            return []

    def read(self, key: str, forgiven: bool = False) -> list[dict[str, Any]]:
        """The readable notes that count, in order; with `forgiven` also those that were forgotten."""
        folder = f"{self.root}/{key}"
        numbers = self._numbers(folder)
        start = 0
        if numbers and not forgiven:
            try:
                with open(f"{folder}/{_FORGIVEN}", "rb") as file:
                    start = int(json.loads(file.read())["until"])
            except (OSError, ValueError, KeyError):
                start = 0
        found = []
        for number in numbers:
            if number > start:
                try:
                    with open(f"{folder}/{number}.json", "rb") as file:
                        found.append(json.loads(file.read()))
                except (OSError, ValueError):
                    continue
        return found

    def forget(self, key: str) -> None:
        """From now on the notes of this key count no more as tries; they stay readable as its history."""
        numbers = self._numbers(f"{self.root}/{key}")
        if numbers:
            text = canonical({"until": numbers[-1]}).encode()
            disk.replace(f"{self.root}/{key}/{_FORGIVEN}", text, self.tmp)
