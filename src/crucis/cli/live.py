"""The lines that show how a run goes: one per running step on a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import shutil
import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..engine.steps import Event
    from ..study.plan import Plan

_PLAIN_EVERY_S = 15.0
_DRAW_EVERY_S = 0.1
#: Kinds of events that get a line of their own.
_SAID = ("failed", "retry", "warn", "alert", "reaction", "paused", "stopping")


def duration(seconds: float) -> str:
    """`0.4 s`, `12 s`, `3 min 20 s`, `2 h 5 min`."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(int(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


class Live:
    """Draws the progress of a study on standard error. Use as a context manager; `event` takes the engine's events."""

    def __init__(self, plan: Plan | None, *, quiet: bool = False) -> None:
        self.plan, self.quiet = plan, quiet
        self.terminal = sys.stderr.isatty()
        self.started = time.monotonic()
        self.running: dict[str, tuple[str, dict[str, Any]]] = {}
        self.lines = 0
        self.drawn = 0.0
        self.total = self.done = self.cached = self.failed = 0

    def __enter__(self) -> Live:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None) -> None:
        self._clear()

    def event(self, event: Event) -> None:
        """Take one event of the engine."""
        self.total, self.done = event.total or self.total, event.done
        self.cached, self.failed = event.cached, event.failed
        if event.kind == "begin":
            self.running[event.key] = (event.label, {})
        elif event.kind == "beat" and event.key in self.running:
            self.running[event.key] = (event.label or self.running[event.key][0], dict(event.data))
        elif event.kind in ("done", "failed", "retry"):
            self.running.pop(event.key, None)
        if self.quiet:
            return
        if event.kind in _SAID:
            self._clear()
            text = event.data.get("text") or event.data.get("code") or ""
            print(f"{event.kind}: {event.label or event.key[:12]} {text}".rstrip(), file=sys.stderr)
        now = time.monotonic()
        if now - self.drawn >= (_DRAW_EVERY_S if self.terminal else _PLAIN_EVERY_S):
            self.drawn = now
            self._draw() if self.terminal else self._plain()

    def eta(self) -> str:
        """Remaining time at the pace so far; nothing before the first step is done."""
        left = self.total - self.done - self.cached - self.failed
        elapsed = time.monotonic() - self.started
        return f", about {duration(elapsed / self.done * left)} left" if self.done and left > 0 else ""

    def _head(self) -> str:
        failed = f", {self.failed} failed" if self.failed else ""
        return f"{self.done + self.cached}/{self.total} steps ({self.cached} cached{failed}){self.eta()}"

    def _plain(self) -> None:
        print(f"[{duration(time.monotonic() - self.started)}] {self._head()}", file=sys.stderr, flush=True)

    def _draw(self) -> None:
        width = shutil.get_terminal_size().columns
        shown = [self._head(), *(_running(label, data) for label, data in list(self.running.values())[:8])]
        self._clear()
        for line in shown:
            print(line[: width - 1], file=sys.stderr)
        sys.stderr.flush()
        self.lines = len(shown)

    def _clear(self) -> None:
        if self.terminal and self.lines:
            sys.stderr.write(f"\x1b[{self.lines}A\x1b[J")
        self.lines = 0


def _running(label: str, data: dict[str, Any]) -> str:
    """`task_a mlp seed 42   120/660  loss 0.31  accuracy 0.92  51200/s`."""
    text = f"  {label}"
    if "i" in data and "of" in data:
        text += f"  {data['i']}/{data['of']}"
    for name, value in data.items():
        if name not in ("i", "of", "per_s") and isinstance(value, (int, float)):
            text += f"  {name} {value:.4g}"
    if "per_s" in data:
        text += f"  {data['per_s']:.0f}/s"
    return text
