"""The fork server: a process without threads that has imported the heavy modules once and forks workers from there.

An own one rather than `multiprocessing`'s: it tells failed imports, gives the workers an environment without touching
the supervisor's, does not run the entry script again, signals only children that are not reaped yet, and its end
kills its workers (see `worker.die_with_parent`).
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import traceback
from collections.abc import Mapping, Sequence
from typing import Any

from . import worker

_MESSAGE = 1 << 20
#: One thread per worker and repeatable arithmetic; set before the workers' interpreter starts.
ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "PYTHONHASHSEED": "0",
    "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
}


def launch(preload: Sequence[str], log: str) -> tuple[subprocess.Popen[bytes], socket.socket]:
    """Start a fork server; its first message is `ready` or `error`. Its output goes to the file `log`.

    It leads a session of its own, so that a terminal's Ctrl-C reaches the supervisor alone.
    """
    mine, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    handle = theirs.fileno()
    code = f"import sys; sys.path[:] = {sys.path!r}; from crucis.engine.nursery import main; main({handle})"
    with open(log, "ab") as output:  # noqa: PTH123
        process = subprocess.Popen(
            [sys.executable, "-c", code],
            env={**os.environ, **ENVIRONMENT},
            pass_fds=[handle],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    theirs.close()
    mine.send(json.dumps({"preload": list(preload)}).encode())
    return process, mine


def main(handle: int) -> None:
    """Live as a fork server on this socket; never returns."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    control = socket.socket(fileno=handle)
    hello = control.recv(_MESSAGE)
    if not hello:
        os._exit(0)
    _send(control, _preload(json.loads(hello)["preload"]))
    gc.collect()
    gc.freeze()  # what is shared with the workers stays shared
    wake, poke = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(poke, warn_on_full_buffer=False)
    children: set[int] = set()
    while True:
        readable, _, _ = select.select([control.fileno(), wake], [], [])
        if wake in readable:
            with contextlib.suppress(BlockingIOError):
                os.read(wake, 4096)
            _reap(control, children)
        if control.fileno() in readable:
            message, handles, _, _ = socket.recv_fds(control, _MESSAGE, 1)
            if not message:
                os._exit(0)
            request = json.loads(message)
            if request["m"] == "fork":
                children.add(_fork(control, (wake, poke), handles[0], request))
            elif request["pid"] in children:
                os.kill(request["pid"], request["signal"])


def _preload(names: Sequence[str]) -> dict[str, Any]:
    """Import the modules; the answer says what failed, or that one of them has already talked to a GPU."""
    for name in names:
        try:
            importlib.import_module(name)
        except BaseException as error:
            traceback.print_exc()
            return {"m": "error", "text": f"importing '{name}' failed: {type(error).__name__}: {error}"}
    framework = sys.modules.get("torch")
    cuda = getattr(framework, "cuda", None)
    if cuda is not None and cuda.is_initialized():
        return {"m": "error", "text": f"CUDA was initialised while importing {', '.join(names)}; workers need it fresh"}
    return {"m": "ready"}


def _send(control: socket.socket, message: Mapping[str, Any]) -> None:
    try:
        control.send(json.dumps(message).encode())
    except OSError:
        os._exit(0)


def _fork(control: socket.socket, own: tuple[int, int], handle: int, request: Mapping[str, Any]) -> int:
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            control.close()
            for mine in own:
                os.close(mine)
            worker.main(handle, {**request["config"], "parent": parent})
        finally:
            os._exit(1)
    os.close(handle)
    _send(control, {"m": "forked", "worker": request["worker"], "pid": pid})
    return pid


def _reap(control: socket.socket, children: set[int]) -> None:
    while children:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        children.discard(pid)
        _send(control, {"m": "exit", "pid": pid, "status": os.waitstatus_to_exitcode(status)})
