"""A training step over several processes of this machine: started by the worker through torchrun, heard over a socket.

The worker is their parent: it renews the lease, publishes checkpoints and commits. If it dies, the socket closes and
every rank ends; if a rank dies, torchrun ends the others and the step fails as `transient` with its scratch kept.
"""

from __future__ import annotations

import json
import os
import re
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from ..engine import machine
from ..engine.steps import Step
from ..errors import CrucisError, Divergence, Refusal, Stopped
from ..records import Context, Reason, Result

SOCKET, ORDER = "s", "order.json"
_POLL_S = 0.1
_LEAVE_S = 10.0
#: What a rank says when another one has gone: a consequence, never the cause.
_BEREAVED = re.compile(r"Connection (closed|reset) by|[Gg]loo|NCCL|ProcessGroup|[Tt]imed out|Broken pipe|TCPStore")


class RankFailed(CrucisError):
    """A rank ended in an error. `classed` is the class and code of its failure note."""

    def __init__(self, text: str, kind: str, code: str, trace: str = "") -> None:
        self.classed = (kind, code)
        super().__init__(text)
        if trace:
            self.add_note(trace)


def bereaved(error: BaseException) -> bool:
    """Whether an exception only says that another rank has gone."""
    return not isinstance(error, (Stopped, Divergence, Refusal)) and bool(_BEREAVED.search(str(error)))


def by_torchrun(environ: Mapping[str, str]) -> int | None:
    """The rank of this process, if torchrun started it as one of several."""
    several = "TORCHELASTIC_RUN_ID" in environ and int(environ.get("WORLD_SIZE", "1")) > 1
    return int(environ["RANK"]) if several else None


def world_of(environ: Mapping[str, str], asked: int | None) -> int:
    """How many ranks torchrun started.

    Raises:
        CrucisError: `--ranks` says another number.
    """
    count = int(environ["WORLD_SIZE"])
    if asked not in (None, count):
        raise CrucisError(f"--ranks {asked}: torchrun started {count} processes; leave out --ranks")
    return count


def order(step: Step, context: Context) -> dict[str, Any]:
    """What a rank needs to know of the step, as JSON values."""
    inputs = {role: _text(folder) for role, folder in context.inputs.items()}
    return {
        "step": step.pack(), "inputs": inputs, "out": str(context.out), "scratch": str(context.scratch),
        "store": str(context.store), "replay": bool(getattr(context, "replay", False)),
    }  # fmt: skip


def _text(folder: Any) -> Any:
    return [str(item) for item in folder] if isinstance(folder, (list, tuple)) else str(folder)


def train(step: Step, context: Context) -> Result:
    """Train `step` with as many ranks as its spec says.

    Raises:
        Stopped: asked to stop; the checkpoint is saved.
        Divergence, Refusal: what the ranks agreed on.
        RankFailed: a rank raised something else, or died.
    """
    folder = Path(tempfile.mkdtemp(prefix="crucis-ranks-"))  # short: the path of a socket has at most 107 characters
    try:
        (folder / ORDER).write_text(json.dumps(order(step, context)), encoding="utf-8")
        with socket.socket(socket.AF_UNIX) as door:
            door.bind(str(folder / SOCKET))
            door.listen()
            return _Group(step.spec["world"], context, door).run(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def start(world: int, folder: Path) -> subprocess.Popen[bytes]:
    """torchrun with `world` ranks on this machine, in a process group of its own."""
    env = {"OMP_NUM_THREADS": "1", **os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    if sys.platform == "linux":
        env.setdefault("GLOO_SOCKET_IFNAME", "lo")  # a host's name need not lead to an address of it
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={world}"]
    return subprocess.Popen(
        [*command, "-m", "crucis.study.rank", str(folder)], env=env, stdin=subprocess.DEVNULL, start_new_session=True
    )


class _Group:
    """The ranks of one step, as their parent sees them."""

    def __init__(self, world: int, context: Context, door: socket.socket) -> None:
        self.world, self.context, self.door = world, context, door
        self.selector = selectors.DefaultSelector()
        self.selector.register(door, selectors.EVENT_READ)
        self.pipes: dict[Connection, int] = {}  # to the rank, -1 until it has said hello
        self.result: Result | None = None
        self.peaks: dict[int, int] = {}
        self.ends: list[BaseException] = []  # in the order in which they were heard
        self.silent: list[BaseException] = []  # of ranks that left without a word, until all else has been heard
        self.said: set[int] = set()

    def run(self, folder: Path) -> Result:
        """Until all have ended; the result of rank 0, or the first thing that went wrong."""
        oom, stopping = machine.oom_kills(), False
        process = start(self.world, folder)
        try:
            while process.poll() is None:
                self._listen(_POLL_S)
                if self.context.stopping() and not stopping:
                    stopping = True
                    for pipe in list(self.pipes):
                        _tell(pipe, {"m": "stop"})
            while self._listen(0.0):  # ranks may have come and gone since the last look
                pass
        finally:
            self._end(process)
        if self.result is not None:
            if hasattr(self.context, "beside_mb"):
                self.context.beside_mb = sum(self.peaks.values())
            return self.result
        raise self._cause(process.returncode, machine.oom_kills() > oom)

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        """Close every line, at which ranks that are left end, and see that torchrun is gone."""
        for pipe in list(self.pipes):
            self._forget(pipe)
        self.selector.close()
        if process.poll() is None:
            try:
                process.wait(_LEAVE_S)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def _listen(self, timeout: float) -> bool:
        """Take in what was said; whether there was anything."""
        found = self.selector.select(timeout)
        for key, _ in found:
            if key.fileobj is self.door:
                pipe = Connection(self.door.accept()[0].detach())
                self.pipes[pipe] = -1
                self.selector.register(pipe, selectors.EVENT_READ)
            elif isinstance(key.fileobj, Connection):
                self._hear(key.fileobj)
        if self.silent and not self.selector.select(0.0):  # what another rank says of the same moment is the cause
            self.ends += self.silent
            self.silent = []
        return bool(found)

    def _hear(self, pipe: Connection) -> None:
        rank = self.pipes[pipe]
        try:
            message = json.loads(pipe.recv_bytes())
        except (EOFError, OSError):
            if rank >= 0 and rank not in self.said:
                text = f"rank {rank} of {self.world} was killed on {machine.host()}"
                self.silent.append(RankFailed(text, "transient", "died_rank"))
            self._forget(pipe)
            return
        what = message["m"]
        if what == "hello":
            self.pipes[pipe] = message["rank"]
            if self.context.stopping():
                _tell(pipe, {"m": "stop"})
        elif what == "beat":
            self.context.beat(**message["progress"])
        elif what == "note":
            self.context.note(message["event"], **message["fields"])
        elif what == "publish":
            self.context.publish(message["key"], Path(message["folder"]), result_of(message["result"]))
            _tell(pipe, {"m": "published"})
        elif what == "end":
            self.said.add(rank)
            self.peaks[rank] = message["peak_ram_mb"]
            if rank == 0:
                self.result = result_of(message["result"])
        elif what == "raised":
            self.said.add(rank)
            self.ends.append(error_of(rank, message))

    def _forget(self, pipe: Connection) -> None:
        self.selector.unregister(pipe)
        self.pipes.pop(pipe)
        pipe.close()

    def _cause(self, status: int, oom: bool) -> BaseException:
        """Why there is no result: the first that was heard and is no mere consequence of another rank's end."""
        first = next((end for end in self.ends if not bereaved(end)), None)
        died = first is None or getattr(first, "classed", ("", ""))[1] == "died_rank"
        if died and oom:
            return RankFailed("the kernel killed a rank because memory ran out", "memory", "out_of_memory")
        text = f"the {self.world} ranks ended with status {status} before they had begun; the worker's log says why"
        return first or next(iter(self.ends), RankFailed(text, "transient", "died_rank"))


def _tell(pipe: Connection, message: Mapping[str, Any]) -> None:
    try:
        pipe.send_bytes(json.dumps(message).encode())
    except OSError:
        return  # its end is heard where the others are


# -- what crosses the socket --------------------------------------------------------------------------------------


def pack_result(result: Result) -> dict[str, Any]:
    """A result as JSON values."""
    reason = None if result.reason is None else vars(result.reason)
    return {**vars(result), "reason": reason, "reactions": list(result.reactions)}


def result_of(data: Mapping[str, Any]) -> Result:
    """The inverse of `pack_result`."""
    reason = None if data["reason"] is None else Reason(**data["reason"])
    return Result(**{**data, "reason": reason, "reactions": tuple(data["reactions"])})


def pack_error(error: BaseException) -> dict[str, Any]:
    """An exception as JSON values, with the class that its failure would have."""
    from ..engine.failures import note_of

    if isinstance(error, Stopped):
        return {"kind": "stopped", "text": str(error)}
    if isinstance(error, Divergence):
        return {"kind": "diverged", "text": error.text, "step": error.step, "last_good": error.last_good}
    if isinstance(error, Refusal):
        return {"kind": "refused", "code": error.code, "text": error.text, "where": error.where}
    note = note_of(error)
    names = ("class", "code", "text", "traceback")
    return {"kind": "failed", "type": type(error).__name__, **{name: note[name] for name in names}}


def error_of(rank: int, data: Mapping[str, Any]) -> BaseException:
    """The exception that a rank's message stands for."""
    kind, text = data["kind"], data["text"]
    if kind == "stopped":
        return Stopped(text)
    if kind == "diverged":
        return Divergence(text, data["step"], data["last_good"])
    if kind == "refused":
        return Refusal(data["code"], text, data["where"])
    return RankFailed(f"rank {rank}: {data['type']}: {text}", data["class"], data["code"], data["traceback"])


# -- before anything runs -----------------------------------------------------------------------------------------


def check_ranks(world: int, device: str) -> None:
    """Refuse a number of ranks that this machine cannot run.

    Raises:
        CrucisError: fewer GPUs than ranks; one device named; a torch that cannot talk between processes.
    """
    if world < 1:
        raise CrucisError(f"--ranks {world}: at least one rank is needed")
    if world == 1:
        return
    if re.fullmatch(r"cuda:\d+", device):
        raise CrucisError(f"--device {device} names one GPU and every rank takes its own; write --device cuda")
    from .steps import capacity

    lacks, gpus = capacity(device)
    if lacks:
        raise CrucisError(f"--ranks {world}: this torch was built without {lacks}. Install the usual wheel")
    if gpus is not None and world > gpus:
        text = f"{gpus} GPU{'' if gpus == 1 else 's'} visible here and each rank takes one"
        raise CrucisError(f"--ranks {world}: {text}. Write --ranks {gpus}, or --device cpu")
