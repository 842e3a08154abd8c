"""Writing so that a reader sees all of a file or none of it."""
# Paths are plain text here: pathlib costs more than the system calls that it wraps.
# ruff: noqa: PTH105, PTH108, PTH116

from __future__ import annotations

import fcntl
import hashlib
import os
import uuid
from collections.abc import Callable
from pathlib import Path


def write_new(path: str, data: bytes, durable: bool = False) -> None:
    """Create the file and write it whole.

    Raises:
        FileExistsError: if there is one already.
    """
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(handle, view) :]
        if durable:
            os.fsync(handle)
    finally:
        os.close(handle)


def write_once(path: str, data: bytes, tmp: str, fault: Callable[[str], None] | None = None) -> bool:
    """Make the file with its content in one act, by a hard link; False if somebody was first.

    `tmp` is a folder on the same file system. An error after a link that took place (a repeated request on a network
    file system) is recognised by the link count of the temporary file.
    """
    draft = f"{tmp}/w.{uuid.uuid4().hex}"
    write_new(draft, data)
    try:
        os.link(draft, path)
        if fault is not None:
            fault("linked")
        return True
    except OSError as error:
        if os.stat(draft).st_nlink == 2:
            return True
        if isinstance(error, FileExistsError):
            return False
        raise
    finally:
        os.unlink(draft)


def replace(path: str, data: bytes, tmp: str) -> None:
    """Give the file this content; a reader sees the old or the new one."""
    draft = f"{tmp}/w.{uuid.uuid4().hex}"
    write_new(draft, data)
    try:
        os.replace(draft, path)
    except OSError:
        discard(draft)
        raise


def discard(path: str) -> None:
    """Remove a file that may be gone already."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        return


def sync(path: str) -> None:
    """Bring a file or folder to the disk."""
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        full = getattr(fcntl, "F_FULLFSYNC", None)  # macOS: fsync alone leaves the data in the drive's cache
        if full is not None:
            fcntl.fcntl(handle, full)
        else:
            os.fsync(handle)
    finally:
        os.close(handle)


def file_sha256(path: str) -> str:
    """SHA-256 of a file's bytes, about 1 GB/s."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def free_bytes(path: str) -> int:
    """Bytes that this user may still write on the file system of `path`."""
    found = os.statvfs(path)
    return found.f_bavail * found.f_frsize
