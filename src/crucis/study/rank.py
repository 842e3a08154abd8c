"""One rank of a training step: `python -m crucis.study.rank FOLDER`, started by torchrun for `study.ranks`."""

from __future__ import annotations

import json
import os
import queue
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from ..engine import machine
from ..engine.steps import Step
from ..errors import Divergence, Stopped
from ..records import Result
from .ranks import ORDER, SOCKET, pack_error, pack_result

_BEAT_GAP = 0.25


class Line:
    """The line to the worker. When it breaks, the worker is gone and this process ends at once."""

    def __init__(self, path: Path, rank: int) -> None:
        door = socket.socket(socket.AF_UNIX)
        door.connect(str(path))
        self.pipe = Connection(door.detach())
        self.stop = False
        self.lock = threading.Lock()
        self.answers: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self.tell({"m": "hello", "rank": rank})
        threading.Thread(target=self._listen, daemon=True).start()

    def tell(self, message: Mapping[str, Any]) -> None:
        """Send a message."""
        data = json.dumps(message, default=_plain).encode()
        with self.lock:
            self.pipe.send_bytes(data)

    def _listen(self) -> None:
        try:
            while True:
                message = json.loads(self.pipe.recv_bytes())
                if message["m"] == "stop":
                    self.stop = True
                else:
                    self.answers.put(message)
        except (EOFError, OSError):
            os._exit(1)


def _plain(value: Any) -> Any:
    """A number of an array library as a plain one."""
    return value.item() if hasattr(value, "item") else str(value)


class FirstContext:
    """`records.Context` of rank 0, whose words go to the worker."""

    def __init__(self, order: Mapping[str, Any], line: Line) -> None:
        self.inputs: dict[str, Any] = paths(order)
        self.out, self.scratch, self.store = Path(order["out"]), Path(order["scratch"]), Path(order["store"])
        self.replay, self.step = order["replay"], Step.unpack(order["step"])
        self.line = line
        self._heard = 0.0

    def beat(self, **progress: Any) -> None:
        """Say that work goes on."""
        at = time.monotonic()
        if at - self._heard >= _BEAT_GAP:
            self._heard = at
            self.line.tell({"m": "beat", "progress": progress})

    def stopping(self) -> bool:
        """Whether the worker was told to stop."""
        return self.line.stop

    def publish(self, key: str, files: Path, result: Result) -> None:
        """Let the worker commit a checkpoint record; returns when it has."""
        self.line.tell({"m": "publish", "key": key, "folder": str(files), "result": pack_result(result)})
        self.line.answers.get()

    def note(self, event: str, **fields: Any) -> None:
        """Write a line into the worker's journal."""
        self.line.tell({"m": "note", "event": event, "fields": fields})


class SilentContext:
    """`records.Context` of the other ranks: what they write goes to folders of their own and is thrown away."""

    def __init__(self, order: Mapping[str, Any], folder: Path) -> None:
        self.inputs: dict[str, Any] = paths(order)
        self.out, self.scratch, self.store = folder / "out", folder / "scratch", Path(order["store"])
        self.replay = order["replay"]
        self.out.mkdir(parents=True)
        self.scratch.mkdir()

    def beat(self, **progress: Any) -> None:
        """Rank 0 says it."""

    def stopping(self) -> bool:
        """Rank 0 decides."""
        return False

    def publish(self, key: str, files: Path, result: Result) -> None:
        """Rank 0 publishes."""

    def note(self, event: str, **fields: Any) -> None:
        """Rank 0 notes."""


def paths(order: Mapping[str, Any]) -> dict[str, Any]:
    """The record folders of the inputs."""
    return {
        role: [Path(item) for item in folder] if isinstance(folder, list) else Path(folder)
        for role, folder in order["inputs"].items()
    }


def main(folder: Path) -> int:
    """Train as one rank; 0 if all ranks ended alike (trained, diverged or stopped), 1 makes torchrun end the others."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)  # the worker ignores them, and what is ignored is inherited
    machine.prefer_to_kill()
    rank = int(os.environ["RANK"])
    order = json.loads((folder / ORDER).read_text(encoding="utf-8"))
    line = Line(folder / SOCKET, rank)
    step = Step.unpack(order["step"])
    try:
        from . import steps

        with tempfile.TemporaryDirectory(prefix=f"rank{rank}-", dir=folder) as own:
            context = FirstContext(order, line) if rank == 0 else SilentContext(order, Path(own))
            with steps.joined(step) as ranks:
                result = steps.train_as(step, context, ranks)
                line.tell({"m": "end", "result": pack_result(result), "peak_ram_mb": machine.memory_mb()})
    except BaseException as error:
        line.tell({"m": "raised", **pack_error(error)})
        if isinstance(error, (Stopped, Divergence)):
            return 0
        sys.excepthook(type(error), error, error.__traceback__)
        return 1
    return 0


if __name__ == "__main__":
    code = main(Path(sys.argv[1]))
    sys.stdout.flush()
    os._exit(code)  # threads of the exchange may still wait for ranks that have gone
