"""Where the time of a training goes: data, forward, backward, optimiser, evaluation, checkpoints; and the operators
that take longest.

Clocks and hooks are put around the loop's own step and taken away with the run; they draw nothing and change no number.
Steps are timed in turns: `BLOCK` with every phase, `BLOCK` as wholes only, so that what the timing itself costs is
measured in the same run. A few steps are handed to torch.profiler for the operators and counted nowhere else. On a GPU
the clocks are events in its queue, so a phase is as long as the device takes for it.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch

from .compose import Step

if TYPE_CHECKING:
    from .run import Run

PHASES = ("data", "forward", "backward", "optimiser")
BLOCK = 4
TELLING = 40  # timed steps of each kind from which on their difference tells the cost of timing
OPERATORS = 10
WATCHED, WARM = 5, 10  # steps for torch.profiler, after so many of warm-up
FLUSH = 64  # timed steps after which the events of a GPU are read
Mark = Any


class Clock:
    """Moments of the host, or of a GPU's queue."""

    def __init__(self, device: str) -> None:
        self.device = torch.device(device)
        self.on_gpu = self.device.type == "cuda"

    def mark(self) -> Mark:
        """This moment."""
        if not self.on_gpu:
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)
        event.record(torch.cuda.current_stream(self.device))
        return event

    def settle(self) -> None:
        """Wait until all moments have come."""
        if self.on_gpu:
            torch.cuda.synchronize(self.device)

    def seconds(self, begun: Mark, ended: Mark) -> float:
        """Between two moments that have come."""
        return begun.elapsed_time(ended) / 1000 if self.on_gpu else ended - begun


class Profile:
    """Times a run; see the top of this file. `told` is JSON for the record's notes."""

    def __init__(self, run: Run) -> None:
        self.run, self.clock, self.begun = run, Clock(run.job.device), time.perf_counter()
        self.made, left = 0, run.end - run.position
        self.window = range(min(WARM, left // 3), min(WARM, left // 3) + (WATCHED if left >= 2 * WATCHED else 0))
        self.watcher: Any = None
        self.operators: list[dict[str, Any]] = []
        self.epochs: list[tuple[Mark, Mark]] = []
        self.timed: list[dict[str, Any]] = []  # marks of steps that were not read yet
        self.now: dict[str, Any] | None = None  # marks of the step at hand, if its phases are timed
        self.start: Mark = None
        self.phases = dict.fromkeys(PHASES, 0.0)
        self.drawn = 0.0  # seconds spent opening epochs
        self.watched = self.aside = 0.0  # when torch.profiler began and what it took, but for evaluations and saves
        self.whole: dict[bool, list[float]] = {True: [], False: []}  # with phases or not -> seconds of steps
        self.warm: dict[bool, int] = {True: 0, False: 0}  # how many of them were made first
        self.hooks: list[Any] = []
        self.feed: Any = None  # the feed that has clocks: a reaction may give the run another one
        self.optimiser: Any = None
        if run.objective is not None:
            run.objective.loss = self._between(run.objective.loss)  # type: ignore[method-assign, assignment]
        elif not run.settings.compile:
            self.hooks.append(run.model.register_forward_pre_hook(lambda *_: self._forward(True)))
            self.hooks.append(run.model.register_forward_hook(lambda *_: self._forward(False)))

    def over(self, step: Step) -> Step:
        """The step with clocks around it; the run's feed and optimiser get theirs as well, once."""
        run = self.run
        if self.feed is not run.feed:
            run.feed.epoch = self._epoch(run.feed.epoch)  # type: ignore[method-assign, assignment]
            self.feed = run.feed
        if self.optimiser is not run.optimiser:
            self.hooks.append(run.optimiser.register_step_pre_hook(lambda *_: self._updating()))
            self.optimiser = run.optimiser

        def timed(x: Any, y: Any, rate: float) -> None:
            if self.now is not None:
                self.now["ready"] = self.clock.mark()
            step(x, y, rate)
            self._ended()

        return timed

    # -- moments -------------------------------------------------------------------------------------------------

    def _epoch(self, epoch: Callable[[int], Any]) -> Callable[[int], Any]:
        def opened(number: int) -> Any:
            begun = self.clock.mark()
            batch = epoch(number)
            if self.watcher is None:  # what goes by under torch.profiler is left out of the whole
                self.epochs.append((begun, self.clock.mark()))

            def drawn(i: int) -> Any:
                self._begins()
                return batch(i)

            return drawn

        return opened

    def _between(self, loss: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def timed(seen: Any) -> Any:
            self._forward(True)
            found = loss(seen)
            self._forward(False)
            return found

        return timed

    def _begins(self) -> None:
        if self.made == self.window.start and len(self.window):
            self.watched = self._elsewhere()
            self.watcher = _watcher(self.clock.on_gpu)
            self.watcher.start()
        detail = self.watcher is None and (self.made // BLOCK) % 2 == 0
        self.start = self.clock.mark()
        self.now = {"forward": [], "begun": self.start} if detail else None

    def _forward(self, enters: bool) -> None:
        if self.now is not None and "updating" not in self.now:
            self.now["forward"].append((enters, self.clock.mark()))

    def _updating(self) -> None:
        if self.now is not None:
            self.now["updating"] = self.clock.mark()

    def _ended(self) -> None:
        ended = self.clock.mark()
        self.made += 1
        if self.watcher is not None:
            if self.made == self.window.stop:
                self.clock.settle()
                self.watcher.stop()
                self.operators = _slowest(self.watcher, self.clock.on_gpu)
                self.watcher = None
                self.aside = self._elsewhere() - self.watched
            self.now = None
            return
        self.timed.append({**(self.now or {"begun": self.start}), "ended": ended, "place": self.made - 1})
        self.now = None
        if len(self.timed) >= FLUSH:
            self._read()

    def _elsewhere(self) -> float:
        """This moment by a clock that stands still during evaluations and saves."""
        return time.perf_counter() - sum(self.run.spent.values())

    def _read(self) -> None:
        """From moments to seconds."""
        self.clock.settle()
        seconds = self.clock.seconds
        for marks in self.timed:
            self.whole["ready" in marks].append(seconds(marks["begun"], marks["ended"]))
            self.warm["ready" in marks] += marks["place"] < self.window.start
            if "ready" not in marks:
                continue
            updating = marks.get("updating", marks["ended"])  # a step that was skipped updates nothing
            forward, entered = 0.0, None
            for enters, moment in marks["forward"]:
                if enters:
                    entered = moment
                elif entered is not None:
                    forward += seconds(entered, moment)
            self.phases["data"] += seconds(marks["begun"], marks["ready"])
            self.phases["forward"] += forward
            self.phases["backward"] += seconds(marks["ready"], updating) - forward
            self.phases["optimiser"] += seconds(updating, marks["ended"])
        self.drawn += sum(seconds(*pair) for pair in self.epochs)
        self.timed, self.epochs = [], []

    # -- what came out -------------------------------------------------------------------------------------------

    def detach(self) -> None:
        """Take hooks away, so that the network is as it was."""
        for hook in self.hooks:
            hook.remove()
        self.hooks = []

    def told(self) -> dict[str, Any]:
        """JSON values: `steps` (timed in phases), `seconds` (phase -> of the whole run, without what torch.profiler
        took), `total` (their sum), `per_step` (median), `overhead` (share by which timing phases made a step longer;
        None with fewer than `TELLING` steps of each kind), `operators` (name, calls per step, seconds per step, share),
        `joined` (whether forward is not told apart from backward), `device`."""
        self.detach()
        self._read()
        detailed, plain = self.whole[True], self.whole[False]
        if not detailed:
            return {"steps": 0, "seconds": {}, "operators": self.operators}
        mean = statistics.fmean(detailed + plain)
        later = {kind: seconds[self.warm[kind] :] or seconds for kind, seconds in self.whole.items()}
        per_step = statistics.median(later[False] or later[True])
        in_steps = mean * self.made  # those under torch.profiler as long as the others
        watched = len(self.window) if self.aside else 0
        total = time.perf_counter() - self.begun - self.aside + mean * watched
        share = in_steps / sum(self.phases.values()) if sum(self.phases.values()) else 0.0
        seconds = {name: value * share for name, value in self.phases.items()}
        seconds["data"] += self.drawn
        seconds |= {"evaluation": self.run.spent["evaluation_s"], "checkpoint": self.run.spent["checkpoint_s"]}
        seconds["other"] = max(0.0, total - sum(seconds.values()))
        overhead = statistics.median(later[True]) / per_step - 1 if min(map(len, later.values())) >= TELLING else None
        return {
            "steps": len(detailed), "total": total, "seconds": seconds, "per_step": per_step, "overhead": overhead,
            "operators": self.operators, "joined": self.run.settings.compile, "device": self.run.job.device,
        }  # fmt: skip


def _watcher(on_gpu: bool) -> Any:
    from torch.profiler import ProfilerActivity, profile

    return profile(activities=[ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_gpu else [])])


def _slowest(watcher: Any, on_gpu: bool) -> list[dict[str, Any]]:
    """Operators by the time that is their own, longest first."""
    own = "self_device_time_total" if on_gpu else "self_cpu_time_total"
    found = [(event.key, event.count, getattr(event, own) / 1e6) for event in watcher.key_averages()]
    total = sum(seconds for _, _, seconds in found)
    ranked = sorted(found, key=lambda one: (-one[2], one[0]))[:OPERATORS]
    return [
        {"name": name, "calls": calls / WATCHED, "seconds": seconds / WATCHED, "share": seconds / total}
        for name, calls, seconds in ranked if seconds > 0
    ]  # fmt: skip
