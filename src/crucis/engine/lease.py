"""Leases: who works on a step. They save double work; correctness rests on the rename of a commit alone.

A lease is a file `leases/ab/KEY.N`. A dead one is never removed to be taken over: the taker makes generation N + 1 by
a hard link, which only one process can do. Staleness compares no clocks: the owner's process is gone, or its counter
stood still for the time-to-live on the observer's own monotonic clock.
"""
# Paths are plain text here: pathlib costs more than the system calls that it wraps.
# ruff: noqa: PTH103, PTH110, PTH120, PTH123, PTH208

from __future__ import annotations

import json
import os
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from . import disk, machine


@dataclass(frozen=True)
class Owner:
    """What identifies a process across hosts, boots and containers."""

    host: str
    boot: str
    pidns: str
    pid: int
    started: int

    @staticmethod
    def me() -> Owner:
        """This process."""
        pid = os.getpid()
        return Owner(machine.host(), machine.boot(), machine.pid_namespace(), pid, machine.started(pid) or 0)


@dataclass
class Lease:
    """A lease that this process holds."""

    key: str
    n: int
    token: str
    leases: Leases
    beats: int = 0

    @property
    def path(self) -> str:
        """The file of this generation."""
        return self.leases.path(self.key, self.n)

    def beat(self) -> None:
        """Say that the owner lives."""
        self.beats += 1
        disk.replace(self.path, self.leases.text(self, False), self.leases.tmp)

    def superseded(self) -> bool:
        """Whether somebody has taken the step over; then this owner stops without committing."""
        return os.path.exists(self.leases.path(self.key, self.n + 1))

    def release(self) -> None:
        """Give the step back unfinished."""
        if not self.superseded():
            disk.replace(self.path, self.leases.text(self, True), self.leases.tmp)

    def drop(self) -> None:
        """Remove all generations, the highest first: the record is there and speaks for itself."""
        for generation in range(max(self.n, self.leases.highest(self.key)), 0, -1):
            disk.discard(self.leases.path(self.key, generation))


@dataclass
class Leases:
    """The leases of one store as seen by one process.

    Args:
        root: the store's folder.
        ttl: seconds without a beat after which a lease whose owner cannot be asked counts as dead.
        owner: who this process says it is (tests play other hosts).
        clock: this observer's monotonic clock.
        fault: called with the name of each point passed.
    """

    root: str
    ttl: float = 120.0
    owner: Owner = field(default_factory=Owner.me)
    clock: Callable[[], float] = time.monotonic
    fault: Callable[[str], None] | None = None
    _seen: dict[str, tuple[Any, float]] = field(default_factory=dict)

    @property
    def tmp(self) -> str:
        """Where drafts are written."""
        return f"{self.root}/tmp"

    def path(self, key: str, n: int) -> str:
        """The file of generation `n`."""
        return f"{self.root}/leases/{key[:2]}/{key}.{n}"

    def highest(self, key: str) -> int:
        """The newest generation of this step's lease; 0 if there is none."""
        n = 0
        while os.path.exists(self.path(key, n + 1)):
            n += 1
        return n

    def text(self, lease: Lease, released: bool) -> bytes:
        """The content of a lease's file."""
        owner = self.owner
        body = {
            "token": lease.token,
            "host": owner.host,
            "boot": owner.boot,
            "pidns": owner.pidns,
            "pid": owner.pid,
            "started": owner.started,
            "beat": lease.beats,
            "ttl": self.ttl,
            "released": released,
        }
        return json.dumps(body).encode()

    def claim(self, key: str, done: Callable[[str], bool] | None = None) -> Lease | None:
        """Take the step, or None if somebody holds it or it is done.

        Args:
            key: the step.
            done: whether its record exists; asked after the claim, because the owner before may have just finished.
        """
        n = self.highest(key)
        if n and not self.dead(key, n):
            return None
        lease = Lease(key, n + 1, uuid.uuid4().hex, self)
        if not self._link(lease):
            return None
        if self.fault is not None:
            self.fault("claimed")
        if done is not None and done(key):
            lease.drop()
            return None
        return lease

    def _link(self, lease: Lease) -> bool:
        path, text = lease.path, self.text(lease, False)
        try:
            return disk.write_once(path, text, self.tmp, self.fault)
        except FileNotFoundError:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            return disk.write_once(path, text, self.tmp, self.fault)

    def dead(self, key: str, n: int) -> bool:
        """Whether generation `n` holds nothing any more."""
        path = self.path(key, n)
        try:
            with open(path, "rb") as file:  # opened anew each time: another machine's beat is seen so
                raw = file.read()
        except FileNotFoundError:
            return True
        try:
            body = json.loads(raw)
            if body["released"]:
                return True
            mark: Any = (body["token"], body["beat"])
            if self._gone(body):
                return True
            ttl = float(body["ttl"])
        except (ValueError, KeyError, TypeError):
            mark, ttl = raw, self.ttl
        return self._still(path, mark) >= ttl

    def _gone(self, body: dict[str, Any]) -> bool:
        """Whether the owner can be known to be gone without waiting: same host, and another boot or no such process."""
        if body["host"] != self.owner.host or not self.owner.boot:
            return False
        if body["boot"] != self.owner.boot:
            return True
        if body["pidns"] != self.owner.pidns or not machine.has_proc():
            return False
        return machine.started(body["pid"]) != body["started"]

    def _still(self, path: str, mark: Any) -> float:
        """For how long this observer has seen the same mark."""
        now = self.clock()
        old, since = self._seen.get(path, (None, now))
        if old != mark:
            since = now
        self._seen[path] = (mark, since)
        return now - since

    def alive(self) -> set[str]:
        """Keys that a lease holds now, as far as this observer can tell (for garbage collection)."""
        found: set[str] = set()
        base = f"{self.root}/leases"
        for shard in os.listdir(base):
            for name in os.listdir(f"{base}/{shard}"):
                key, _, n = name.rpartition(".")
                if n.isdigit() and not self.dead(key, int(n)):
                    found.add(key)
        return found
