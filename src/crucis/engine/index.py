"""A cache of records for tables: one SQLite file per host and store, in the user's cache folder, deletable at any time.

No decision about running a step reads it. What is damaged, of another version or missing is built again.
"""
# Paths are plain text here: pathlib costs more than the system calls that it wraps.

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ..canon import canonical
from . import disk, machine
from .steps import EngineError
from .store import Store

VERSION = 1
_YOUNG_S = 2.0
_NETWORK = {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "lustre", "gpfs", "beegfs", "ceph", "fuse.sshfs", "afs"}
_SCHEMA = """
create table meta(version integer);
create table record(id integer primary key, key text unique, kind text, outcome text, numerics text, wall real,
                    body text, inode integer);
create table value(id integer, name text, v real, primary key(id, name)) without rowid;
create table file(path text primary key, size integer, mtime integer, inode integer, sha text);
create table shard(name text primary key, mtime integer);
"""


def file_system(path: Path, mounts: str | None = None) -> str:
    """The type of the file system that holds `path`, from the mount table; empty where there is none."""
    if mounts is None:
        try:
            mounts = Path("/proc/self/mounts").read_text(encoding="utf-8")
        except OSError:
            return ""
    best, kind = -1, ""
    text = str(path.resolve())
    for line in mounts.splitlines():
        fields = line.split()
        if len(fields) >= 3:
            at = fields[1].encode().decode("unicode_escape")
            inside = text == at or text.startswith(at.rstrip("/") + "/")
            if inside and len(at) >= best:
                best, kind = len(at), fields[2]
    return kind


def cache_folder() -> Path:
    """The user's cache folder of this program."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "crucis"


class Index:
    """The index of one store on this host.

    Args:
        store: the store.
        folder: where the SQLite file lies; by default the user's cache folder.
        mounts: the mount table (tests).
        patience_s: how long to wait for another process's lock before going without the index.

    Raises:
        EngineError: `folder` lies on a network file system, where SQLite's shared memory is unsafe.
    """

    def __init__(
        self, store: Store, folder: Path | None = None, *, mounts: str | None = None, patience_s: float = 10.0
    ) -> None:
        self.store = store
        base = folder or cache_folder()
        kind = file_system(base, mounts)
        if kind in _NETWORK:
            raise EngineError(f"the index cannot lie in {base}: {kind} is a network file system; choose a local folder")
        base.mkdir(parents=True, exist_ok=True)
        self.path = base / f"{store.identity}.{machine.host()}.sqlite"
        self._db: sqlite3.Connection | None = None
        self._patience_s = patience_s

    @contextlib.contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        if self._db is None:
            self._db = self._connect()
        yield self._db

    def _connect(self) -> sqlite3.Connection:
        for attempt in (0, 1):
            db = sqlite3.connect(self.path, timeout=self._patience_s, isolation_level=None)
            try:
                db.execute("pragma journal_mode=wal")
                db.execute("pragma synchronous=normal")
                found = db.execute("select name from sqlite_master where name='meta'").fetchone()
                if found is None:
                    db.executescript(_SCHEMA)
                    db.execute("insert into meta values (?)", (VERSION,))
                if db.execute("select version from meta").fetchone() == (VERSION,):
                    return db
                raise sqlite3.DatabaseError("another version")
            except sqlite3.OperationalError:
                db.close()
                raise  # locked: the caller goes without
            except sqlite3.DatabaseError:
                db.close()
                if attempt:
                    raise
                self.delete()
        raise AssertionError("unreachable")

    def delete(self) -> None:
        """Remove the file; the next use builds it again."""
        self.close()
        for suffix in ("", "-wal", "-shm"):
            disk.discard(f"{self.path}{suffix}")

    def close(self) -> None:
        """Close the file."""
        if self._db is not None:
            self._db.close()
            self._db = None

    def refresh(self) -> int:
        """Read records that are new since the last time, delete what is gone; how many were read.

        Looks at 256 folder times (0.6 ms); a rebuild takes about 0.9 s per 10,000 records.
        """
        with self._open() as db:
            known = dict(db.execute("select name, mtime from shard"))
            read = 0
            now = time.time_ns()
            for entry in os.scandir(f"{self.store.root}/steps"):
                mtime = entry.stat().st_mtime_ns
                if known.get(entry.name) == mtime:
                    continue
                read += self._refresh_shard(db, entry.name)
                if now - mtime > _YOUNG_S * 1e9:  # a young folder may change again within its time's resolution
                    db.execute("insert or replace into shard values (?, ?)", (entry.name, mtime))
            return read

    def _refresh_shard(self, db: sqlite3.Connection, shard: str) -> int:
        # A record that was quarantined and computed again is another folder, with another inode.
        present = {(entry.name, entry.inode()) for entry in os.scandir(f"{self.store.root}/steps/{shard}")}
        rows = db.execute("select key, inode from record where key between ? and ?", (shard, shard + "~"))
        stored = set(rows.fetchall())
        db.execute("begin")
        for key, _ in stored - present:
            db.execute("delete from value where id in (select id from record where key=?)", (key,))
            db.execute("delete from record where key=?", (key,))
        count = 0
        for key, inode in sorted(present - stored):
            record = self.store.read(key)
            if record is not None:
                self._insert(db, key, record.body, inode)
                count += 1
        db.execute("commit")
        return count

    @staticmethod
    def _insert(db: sqlite3.Connection, key: str, body: Mapping[str, Any], inode: int) -> None:
        kind, wall = str(body["spec"].get("kind", "")), body["cost"].get("wall_s")
        row = (key, kind, body["outcome"], body["numerics"].get("hash"), wall, canonical(body), inode)
        cursor = db.execute(
            "insert or replace into record(key, kind, outcome, numerics, wall, body, inode) values (?,?,?,?,?,?,?)", row
        )
        numbers = [(cursor.lastrowid, name, float(v)) for name, v in body["values"].items() if _is_number(v)]
        db.executemany("insert or replace into value values (?,?,?)", numbers)

    def bodies(self, keys: Iterable[str]) -> dict[str, dict[str, Any]]:
        """Bodies by key. What the index does not know, or all of it when it is locked, is read from the store."""
        wanted = list(keys)
        found: dict[str, dict[str, Any]] = {}
        try:
            self.refresh()
            with self._open() as db:
                for start in range(0, len(wanted), 500):
                    part = wanted[start : start + 500]
                    marks = ",".join("?" * len(part))
                    rows = db.execute(f"select key, body from record where key in ({marks})", part)
                    found.update((key, json.loads(text)) for key, text in rows)
        except sqlite3.OperationalError:
            self.close()
        except sqlite3.DatabaseError:
            self.delete()
        for key in wanted:
            if key not in found:
                record = self.store.read(key)
                if record is not None:
                    found[key] = record.body
        return found

    def durations(self) -> dict[str, float]:
        """Mean seconds per kind of step, for predictions."""
        self.refresh()
        with self._open() as db:
            rows = db.execute("select kind, avg(wall) from record where wall is not null group by kind")
            return dict(rows.fetchall())

    def file_sha256(self, path: Path, digest: Callable[[str], str] = disk.file_sha256) -> str:
        """SHA-256 of a file, remembered by path, size, time and inode; a file younger than 2 s is hashed again."""
        stat = path.stat()
        mark = (str(path.absolute()), stat.st_size, stat.st_mtime_ns, stat.st_ino)
        with self._open() as db:
            row = db.execute("select sha from file where path=? and size=? and mtime=? and inode=?", mark).fetchone()
            if row is not None:
                return str(row[0])
            found = digest(str(path))
            if time.time_ns() - stat.st_mtime_ns > _YOUNG_S * 1e9:
                db.execute("insert or replace into file values (?,?,?,?,?)", (*mark, found))
            return found


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
