"""Starts the processes that write trackers, tells them a study's runs, and says at the end how it went.

Nothing here is ever waited for while steps run: messages go through a thread, answers are read by another.
"""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from ..engine import machine
from ..trackers.targets import Target
from .plan import Plan
from .session import Session
from .tracked import runs_of

#: At the end, a tracker may be silent for so long before it is given up; `crucis track` writes the rest. Some only open
#: within a minute on a busy machine, where they make their tables first, or give a server three tries of 20 s.
PATIENCE_S = 180.0


@dataclass(frozen=True)
class Report:
    """How the writing of one tracker ended: runs that are whole in it, and what went wrong, in words, or nothing."""

    target: Target
    whole: int
    trouble: str

    def warning(self, study: str) -> str:
        """What went wrong, and the command that goes on."""
        return (
            f"{self.target.tracker} was not written to the end: {self.trouble}. Records are not affected; "
            f"to go on: crucis track {study} --to {self.target}"
        )


@dataclass
class Writer:
    """One process that writes one tracker."""

    target: Target
    process: subprocess.Popen[str]
    log: Path
    out: queue.SimpleQueue[str | None] = field(default_factory=queue.SimpleQueue)
    heard: float = field(default_factory=time.monotonic)
    whole: int = 0
    trouble: str = ""
    finished: bool = False

    def start(self) -> None:
        """Begin to pass messages on and to hear answers."""
        self.threads = [threading.Thread(target=run, daemon=True) for run in (self._tell, self._hear)]
        for thread in self.threads:
            thread.start()

    def _tell(self) -> None:
        assert self.process.stdin is not None
        try:
            while (line := self.out.get()) is not None:
                self.process.stdin.write(line)
                self.process.stdin.flush()
            self.process.stdin.close()
        except (BrokenPipeError, ValueError):
            pass  # it has ended; why is in its last answer or its log

    def _hear(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            answer, self.heard = json.loads(line), time.monotonic()
            self.trouble = answer.get("failed", self.trouble)
            self.whole = answer.get("whole", self.whole + ("run" in answer))
            self.finished = self.finished or "whole" in answer

    def end(self, patience: float) -> Report:
        """Wait until it has written everything, or has been silent for too long."""
        self.out.put(None)
        self.heard = time.monotonic()
        while self.process.poll() is None and time.monotonic() - self.heard < patience:
            time.sleep(0.02)
        if self.process.poll() is None:
            self.process.kill()
            self.trouble = self.trouble or f"nothing was written for {patience:g} s"
        self.process.wait()
        self.threads[1].join(timeout=5.0)
        if not self.finished and not self.trouble:
            self.trouble = f"its process ended with {self.process.returncode} (see {self.log})"
        return Report(self.target, self.whole, self.trouble)


class Trackers:
    """The trackers of one run of a study. Use as a context manager; `reports` is there after it."""

    def __init__(
        self, targets: Sequence[Target], session: Session, *, models: bool = False, live: bool = True,
        patience: float = PATIENCE_S,
    ) -> None:  # fmt: skip
        self.session, self.patience, self.reports = session, patience, list[Report]()
        self.told: set[str] = set()
        self.writers = [_start(target, session, models, live) for target in targets]

    def __enter__(self) -> Trackers:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None) -> None:
        self.reports = [writer.end(self.patience) for writer in self.writers]

    def planned(self, plan: Plan) -> None:
        """Tell the runs of a plan that were not told yet."""
        if self.writers:
            new = [run for run in runs_of(plan) if run.key not in self.told]
            self.told |= {run.key for run in new}
            self._tell({"runs": [run.pack() for run in new]})

    def page(self, folder: Path) -> None:
        """Tell that a study's page was written."""
        mark = folder / ".fingerprint"
        if self.writers and mark.is_file():
            content = mark.read_text(encoding="utf-8")
            self._tell({"study": self.session.study.name, "page": str(folder.resolve()), "content": content})

    def _tell(self, message: dict[str, Any]) -> None:
        line = json.dumps(message) + "\n"
        for writer in self.writers:
            writer.out.put(line)


def _start(target: Target, session: Session, models: bool, live: bool) -> Writer:
    store = session.store
    log = store.path / "journal" / f"{machine.host()}.{target.tracker}.log"
    about = {
        "tracker": target.tracker, "place": target.place, "store": str(store.path.resolve()), "models": models,
        "live": live,
    }  # fmt: skip
    package = str(Path(__file__).parents[2])
    paths = [package, *filter(None, [os.environ.get("PYTHONPATH")])]
    with log.open("ab") as errors:
        # A session of its own: Ctrl-C is for the supervisor, which then lets this one finish by closing its input.
        process = subprocess.Popen(
            [sys.executable, "-m", "crucis.study.following"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=errors, text=True, encoding="utf-8", start_new_session=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        )  # fmt: skip
    writer = Writer(target, process, log)
    writer.out.put(json.dumps(about) + "\n")
    writer.start()
    return writer
