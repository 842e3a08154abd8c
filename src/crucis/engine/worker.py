"""The worker process: hears steps on a socket, runs them one after another, says how each ended."""

from __future__ import annotations

import contextlib
import ctypes
import faulthandler
import json
import os
import queue
import signal
import sys
import threading
from collections.abc import Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from . import machine
from .context import Desk
from .execute import Order, bench_of, execute
from .journal import Journal
from .store import Store

LOG_BYTES = 8 << 20
RETIRE_AFTER = 200
_GROWTH, _GROWTH_MB, _WARM = 1.3, 256, 3
_PR_SET_PDEATHSIG = 1
_PARTS = ("device_error", "gpu_out_of_memory")


class Worker:
    """One worker; lives in a process that the fork server made for it."""

    def __init__(self, handle: int, config: Mapping[str, Any]) -> None:
        self.pipe = Connection(handle)
        self.config = config
        self.orders: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        self.lock = threading.Lock()
        self.log = ""
        self.steps = self.base_mb = 0
        self.desk: Desk | None = None
        self.stop = False

    def tell(self, message: dict[str, Any]) -> None:
        """Send a message up."""
        data = json.dumps(message, default=str).encode()
        with self.lock:
            self.pipe.send_bytes(data)

    def listen(self) -> None:
        """The listener thread. When the supervisor is gone the process ends at once, so that no orphan survives."""
        try:
            while True:
                if self.desk is not None and not self.pipe.poll(0.5):
                    self.housekeep()
                    continue
                message = json.loads(self.pipe.recv_bytes())
                if message["m"] == "stop":
                    self.stop = True
                    if self.desk is not None:
                        self.desk.stop = True
                elif message["m"] == "quit":
                    self.orders.put(None)
                elif message["m"] == "step":
                    self.orders.put(message)
        except (EOFError, OSError):
            os._exit(0)

    def housekeep(self) -> None:
        """Bring the journal to the disk and keep the log within its size; from time to time, from any thread."""
        if self.desk is not None:
            self.desk.journal.tick()
        self.rotate_log()

    def open_log(self) -> None:
        """Standard output and error go to a file beside the journal."""
        handle = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        os.dup2(handle, 1)
        os.dup2(handle, 2)
        os.close(handle)

    def rotate_log(self) -> None:
        """At 8 MB keep one older file and begin anew."""
        try:
            if os.fstat(1).st_size > LOG_BYTES:
                Path(self.log).replace(f"{self.log}.1")
                self.open_log()
        except OSError:
            return

    def start(self) -> None:
        """Signals, death with the parent, log, listener; then the runner and what all steps share."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        die_with_parent(self.config["parent"])
        machine.prefer_to_kill()
        if self.config["gpu"] is not None:
            os.environ["CUDA_VISIBLE_DEVICES"] = self.config["gpu"]
        folder = f"{self.config['store']}/journal"
        journal = Journal(folder)
        self.log = f"{folder}/{journal.stem}.log"
        self.open_log()
        faulthandler.enable()
        faulthandler.register(signal.SIGUSR2, file=2, all_threads=True)  # descriptor 2, so a rotated log is followed
        sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
        threading.Thread(target=self.listen, daemon=True).start()
        self.bench = bench_of(self.config["runner"])
        if self.bench.prepare is not None:
            self.bench.prepare()
        store = Store(self.config["store"])
        numerics = dict(self.bench.numerics())
        self.desk = Desk(store, numerics, journal, self.config["environment"], self.tell, housekeeping=self.housekeep)
        self.desk.stop = self.stop  # it may have come while the runner was being prepared
        journal.write("up", parent=self.config["supervisor"])
        self.tell({"m": "up", "log": self.log})

    def work(self) -> None:
        """Run what comes until told to quit."""
        assert self.desk is not None
        while True:
            message = self.orders.get()
            if message is None:
                break
            messages = execute(self.desk, self.bench, [Order.unpack(data) for data in message["orders"]])
            self.desk.journal.flush()  # before the end is known: once it is, nobody waits for this process
            self.rotate_log()
            for answer in messages[:-1]:
                self.tell(answer)
            self.tell({**messages[-1], "idle": True, "retire": self.spent(messages), "log_at": _size(self.log)})
        self.desk.journal.close()

    def spent(self, messages: list[dict[str, Any]]) -> bool:
        """Whether another process should take over: many steps, grown memory, or an error that a GPU remembers."""
        self.steps += len(messages)
        size = max((int(m.get("cost", {}).get("peak_ram_mb", 0)) for m in messages), default=0)
        if self.steps == _WARM or not self.base_mb:
            self.base_mb = size
        grown = self.steps > _WARM and size > self.base_mb * _GROWTH and size > self.base_mb + _GROWTH_MB
        if grown:
            grown = machine.memory_mb("VmRSS") > self.base_mb + _GROWTH_MB  # a peak that was given back is no growth
        hurt = any(m.get("note", {}).get("code") in _PARTS for m in messages)
        return hurt or grown or self.steps >= RETIRE_AFTER


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size  # noqa: PTH116
    except OSError:
        return 0


def die_with_parent(parent: int) -> None:
    """Ask the kernel to kill this process when the fork server ends: works even inside one long C call."""
    try:
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    except (OSError, AttributeError):
        return  # not Linux: the listener thread sees the closed socket
    if os.getppid() != parent:
        os._exit(0)


def main(handle: int, config: Mapping[str, Any]) -> None:
    """Live as a worker on this socket; never returns."""
    worker = Worker(handle, config)
    try:
        worker.start()
        worker.work()
    except (BrokenPipeError, ConnectionResetError):
        os._exit(0)
    except BaseException as error:
        with contextlib.suppress(OSError):
            worker.tell({"m": "broken", "text": f"{type(error).__name__}: {error}"})
        os._exit(1)
    with contextlib.suppress(OSError):
        sys.stdout.flush()
    os._exit(0)
