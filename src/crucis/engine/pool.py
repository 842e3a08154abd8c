"""The supervisor's side of its workers: start, talk, listen, kill. Knows nothing about plans."""

from __future__ import annotations

import json
import os
import selectors
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any

from . import machine, nursery
from .steps import EngineError

_FOLLOW_S = 2.0


@dataclass(eq=False)
class Hand:
    """One worker process. `keys` are the steps it works on; `doom` says why the supervisor killed it."""

    number: int
    pipe: Connection
    gpu: str | None = None
    pid: int = 0
    keys: list[str] = field(default_factory=list)
    heard: float = 0.0
    quiet_s: float = 0.0
    doom: str = ""
    kill_at: float = 0.0
    log: str = ""
    log_at: int = 0
    leaving: bool = False
    broken: str = ""

    def tell(self, message: Mapping[str, Any]) -> None:
        """Send a message; a worker that has just died is noticed by its exit, not here."""
        try:
            self.pipe.send_bytes(json.dumps(message).encode())
        except OSError:
            return

    def log_tail(self, lines: int = 200) -> str:
        """The end of what the worker wrote since its step began."""
        try:
            with open(self.log, "rb") as file:  # noqa: PTH123
                size = file.seek(0, os.SEEK_END)
                since = self.log_at if self.log_at <= size else 0  # a smaller file was begun anew in between
                file.seek(max(since, size - 64_000))
                text = file.read().decode("utf-8", "replace")
        except OSError:
            return ""
        return "\n".join(text.splitlines()[-lines:])


class Pool:
    """A fork server and its workers.

    Args:
        config: what each worker is told: store, runner, environment.
        preload: modules that the fork server imports.
        log: where the fork server's own output goes.
    """

    def __init__(self, config: Mapping[str, Any], preload: Sequence[str], log: str) -> None:
        self.config, self.preload, self.log = dict(config), list(preload), log
        self.hands: dict[int, Hand] = {}
        self.selector = selectors.DefaultSelector()
        self.wake, self._poke = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self.selector.register(self.wake, selectors.EVENT_READ, "wake")
        self.control: socket.socket | None = None
        self.process: subprocess.Popen[bytes] | None = None
        self._made = 0

    def poke(self) -> None:
        """Let `poll` return; callable from a signal handler."""
        try:
            os.write(self._poke, b"x")
        except BlockingIOError:
            return

    def start(self) -> None:
        """Start the fork server and wait for its imports.

        Raises:
            EngineError: an import failed, or initialised a GPU.
        """
        self.process, self.control = nursery.launch(self.preload, self.log)
        data = self.control.recv(1 << 20)
        answer = json.loads(data) if data else {"m": "error", "text": f"the fork server died; see {self.log}"}
        if answer["m"] != "ready":
            self._end_server()
            raise EngineError(f"the workers cannot start: {answer['text']}")
        self.selector.register(self.control, selectors.EVENT_READ, "control")

    def fork(self, gpu: str | None = None) -> Hand:
        """Ask for a worker; it can be handed steps at once."""
        if self.control is None:
            self.start()
        assert self.control is not None
        mine, theirs = socket.socketpair()
        self._made += 1
        hand = Hand(self._made, Connection(mine.detach()), gpu, heard=time.monotonic())
        config = {**self.config, "gpu": gpu, "supervisor": os.getpid()}
        request = json.dumps({"m": "fork", "worker": hand.number, "config": config}).encode()
        socket.send_fds(self.control, [request], [theirs.fileno()])
        theirs.close()
        self.hands[hand.number] = hand
        self.selector.register(hand.pipe, selectors.EVENT_READ, hand)
        return hand

    def poll(self, timeout: float) -> list[tuple[str, Hand | None, dict[str, Any]]]:
        """What came in: `("message", hand, message)`, `("exit", hand, {"status": n})` after the hand's last message,
        or `("server", None, {})` when the fork server itself is gone, and with it every worker."""
        found: list[tuple[str, Hand | None, dict[str, Any]]] = []
        for key, _ in self.selector.select(max(0.0, timeout)):
            if key.data == "wake":
                os.read(self.wake, 4096)
            elif key.data == "control":
                found += self._hear_server()
            elif not key.data.pipe.closed:
                found += self._hear(key.data, drain=False)
        return found

    def _hear(self, hand: Hand, drain: bool = True) -> list[tuple[str, Hand | None, dict[str, Any]]]:
        """One message of a pipe that is known to be readable, or all that a dead worker left."""
        found: list[tuple[str, Hand | None, dict[str, Any]]] = []
        try:
            while not drain or (not hand.pipe.closed and hand.pipe.poll()):
                message = json.loads(hand.pipe.recv_bytes())
                hand.heard = time.monotonic()
                found.append(("message", hand, message))
                if not drain:
                    break
        except (EOFError, OSError):
            self._close(hand)
        return found

    def _close(self, hand: Hand) -> None:
        if not hand.pipe.closed:
            self.selector.unregister(hand.pipe)
            hand.pipe.close()

    def _hear_server(self) -> list[tuple[str, Hand | None, dict[str, Any]]]:
        assert self.control is not None
        data = self.control.recv(1 << 20)
        if not data:
            lost = list(self.hands.values())
            found: list[tuple[str, Hand | None, dict[str, Any]]] = []
            for hand in lost:
                found += [*self._hear(hand), ("exit", hand, {"status": -int(signal.SIGKILL)})]
                self._forget(hand)
            self._end_server()
            return [*found, ("server", None, {})]
        message = json.loads(data)
        if message["m"] == "forked":
            if (made := self.hands.get(message["worker"])) is not None:
                made.pid = message["pid"]
                if made.doom:  # condemned before it was known which process it is
                    self.signal(made, signal.SIGKILL)
            return []
        for hand in list(self.hands.values()):
            if hand.pid == message["pid"]:
                last = self._hear(hand)
                self._forget(hand)
                return [*last, ("exit", hand, {"status": message["status"]})]
        return []

    def _forget(self, hand: Hand) -> None:
        self._close(hand)
        self.hands.pop(hand.number, None)

    def signal(self, hand: Hand, number: int) -> None:
        """Send a signal through the fork server, which knows whether the process is still its child."""
        if self.control is not None and hand.pid:
            try:
                self.control.send(json.dumps({"m": "kill", "pid": hand.pid, "signal": int(number)}).encode())
            except OSError:
                return

    def kill(self, hand: Hand, why: str) -> None:
        """SIGKILL, remembering why."""
        hand.doom = hand.doom or why
        self.signal(hand, signal.SIGKILL)

    def quit(self, hand: Hand) -> None:
        """Let an idle worker end."""
        hand.leaving = True
        hand.tell({"m": "quit"})

    def close(self) -> None:
        """Let idle workers end, then end the fork server, which kills what is left."""
        for hand in self.hands.values():
            self.quit(hand)
        limit = time.monotonic() + _FOLLOW_S
        while self.hands and self.control is not None and time.monotonic() < limit:
            self.poll(0.05)
        for hand in list(self.hands.values()):
            self._forget(hand)
        self._end_server()
        self.selector.close()
        os.close(self.wake)
        os.close(self._poke)

    def _end_server(self) -> None:
        if self.control is not None:
            if self.control in self.selector.get_map():
                self.selector.unregister(self.control)
            self.control.close()
            self.control = None
        if self.process is not None:
            try:
                self.process.wait(_FOLLOW_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            self.process = None


def died_of(status: int, oom: bool) -> tuple[str, str, str]:
    """(class, code, text) of a worker's end that the supervisor did not cause."""
    if oom and status == -signal.SIGKILL:
        return "memory", "out_of_memory", "the kernel killed the worker because memory ran out"
    if status < 0:
        name = signal.Signals(-status).name if -status in list(signal.Signals) else str(-status)
        return "transient", f"died_{name.lower()}", f"the worker was killed by {name} on {machine.host()}"
    return "transient", "died_exit", f"the worker ended with exit status {status} on {machine.host()}"
