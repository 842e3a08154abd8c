"""The process that writes one tracker: follows the journal while a study runs, and settles each run by its record.

It is told its runs by lines of JSON on standard input and ends when that closes. It answers with a line after rows, one
per run that is whole, and a last one. The training processes only append to their journals; nothing waits for this one.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TextIO

from ..engine.journal import Tail
from ..engine.store import Store
from ..trackers.sink import Row, Run, Sink
from ..trackers.targets import Target, open_sink
from . import tracked

_POLL_S = 0.5
_FRAME = ("v", "t", "m", "e", "k", "file")  # fields of every line of a journal
_TOGETHER = 100  # rows handed to a sink at once, so that a slow one is not taken for one that hangs
_EARLY_S = 5.0  # a step may have begun shortly before this process did


@dataclass
class Follower:
    """Brings the runs of one sink to what journal and store say.

    `since`: wall-clock time from which a beginning step counts as running; older lines only give rows.
    `say`: called with `rows=` after rows and `run=` after a run that is whole, as a sign of life.
    """

    sink: Sink
    store: Store
    models: bool
    since: float
    say: Callable[..., None]
    runs: dict[str, Run] = field(default_factory=dict)
    short: dict[str, str] = field(default_factory=dict)  # the journal names steps by 12 digits
    seen: dict[str, dict[int, Row]] = field(default_factory=dict)  # rows in the journal, by optimiser step
    written: dict[str, dict[int, Row]] = field(default_factory=dict)  # rows in the tracker, of open runs
    whole: set[str] = field(default_factory=set)

    def take(self, runs: list[Run]) -> None:
        """Take over runs; those with a record are settled at once."""
        for run in runs:
            self.runs[run.key] = run
            self.short[run.key[:12]] = run.key
        for run in runs:
            self.settle(run.key)

    def hear(self, lines: Iterable[Mapping[str, Any]]) -> None:
        """Take lines of journals; rows of steps that run are written together, once for all of these lines."""
        running: set[str] = set()
        for line in lines:
            key, event = self.short.get(line.get("k", "")), line["e"]
            if key is None or key in self.whole:
                continue
            if event == "eval" and "step" in line:
                row = {name: value for name, value in line.items() if name not in _FRAME}
                self.seen.setdefault(key, {})[int(row["step"])] = row
            if event == "end":
                self.settle(key)
            elif event in ("begin", "eval") and line["t"] >= self.since:
                running.add(key)
        for key in sorted(running - self.whole):
            if not self.store.has(key):
                if key not in self.written:
                    self._begin(key)
                self._add(key, self.seen.get(key, {}))

    def settle(self, key: str) -> None:
        """Make a run whole by its record: rows that are missing, closing values, files. Nothing if it is so already.

        Rows that are there and not in the record's curve belong to an attempt that was begun anew: the run is written
        from the start. A run that diverged keeps the rows that it had.
        """
        record = None if key in self.whole else self.store.read(key)
        if record is None:
            return
        run = self.runs[key]
        mark = tracked.mark_of(run, record.body["content"], self.models)
        if self.sink.whole(run) != mark:
            rows = {int(row["step"]): row for row in tracked.curve_of(record)}
            if not rows and record.outcome != "ok":
                rows = self.seen.get(key, {})
            if key not in self.written or any(rows.get(step) != row for step, row in self.written[key].items()):
                self._begin(key)
            self._add(key, rows)
            self.sink.end(key, tracked.ending_of(record, self.store, self.models), mark)
        self.written.pop(key, None)
        self.seen.pop(key, None)
        self.whole.add(key)
        self.say(run=run.name)

    def page(self, study: str, folder: Path, content: str) -> None:
        """Keep a study's page and figures, if they are not there yet."""
        run = tracked.report_run(study)
        mark = tracked.mark_of(run, content, models=False)
        if self.sink.whole(run) != mark:
            self.sink.begin(run)
            self.sink.end(run.key, tracked.report_ending(folder), mark)
        self.say(run=run.name)

    def _begin(self, key: str) -> None:
        self.sink.begin(self.runs[key])
        self.written[key] = {}

    def _add(self, key: str, rows: Mapping[int, Row]) -> None:
        new = [rows[step] for step in sorted(rows) if step not in self.written[key]]
        for start in range(0, len(new), _TOGETHER):
            part = new[start : start + _TOGETHER]
            self.sink.rows(key, part)
            self.written[key] |= {int(row["step"]): row for row in part}
            self.say(rows=len(part))


def follow(follower: Follower, messages: queue.SimpleQueue[dict[str, Any] | None], tail: Tail | None) -> None:
    """Until the messages end: take what is told, then read on in the journals. Ends with a last look at the records."""
    told: dict[str, Any] | None = {}
    while told is not None:
        try:
            told = messages.get(timeout=_POLL_S)
        except queue.Empty:
            told = {}
        if told and "runs" in told:
            follower.take([Run(**item) for item in told["runs"]])
        if told and "page" in told:
            follower.page(told["study"], Path(told["page"]), told["content"])
        if tail is not None:
            follower.hear(tail.poll())
    for key in list(follower.runs):
        follower.settle(key)
    follower.sink.close()


def _listen(messages: queue.SimpleQueue[dict[str, Any] | None]) -> None:
    for line in sys.stdin:
        messages.put(json.loads(line))
    messages.put(None)


def main() -> int:
    """Entry of the process; the first line on standard input says what it is for."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)  # what the trackers' libraries print belongs into the log
    about = json.loads(sys.stdin.readline())
    messages: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(messages,), daemon=True).start()
    target, store = Target(about["tracker"], about["place"]), Store(Path(about["store"]))
    said = partial(_say, answers)
    try:
        since = time.time() - _EARLY_S if about["live"] else float("inf")
        follower = Follower(open_sink(target), store, about["models"], since, said)
        follow(follower, messages, Tail(f"{store.root}/journal") if about["live"] else None)
    except Exception as error:
        said(failed=f"{type(error).__name__}: {error}"[:1000])
        raise
    said(whole=len(follower.whole))
    return 0


def _say(answers: TextIO, **answer: Any) -> None:
    with contextlib.suppress(BrokenPipeError):  # whoever asked has gone; the runs are written all the same
        print(json.dumps(answer), file=answers)


if __name__ == "__main__":
    sys.exit(main())
