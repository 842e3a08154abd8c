"""Which steps of a plan are ready, done, failed or blocked. Decides nothing by clocks and touches no process."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Sequence

from ..records import Record
from .steps import EngineError, Step
from .weights import reads_files

Cost = Callable[[Step], float]


class Frontier:
    """The state of a run over one plan.

    Args:
        steps: the plan; a key that comes twice counts once.
        has: whether a record exists (`Store.has`).
        read: the record of a key, to see whether a producer of missing checkpoints was refused (`Store.read`).
        cost: predicted seconds; what takes longest goes first, then plan order.
        whole: whether a record has all its files (`Store.whole`); default: every record has.

    Raises:
        EngineError: an input that is neither stored nor planned, or a cycle, by name.
    """

    def __init__(
        self,
        steps: Sequence[Step],
        has: Callable[[str], bool],
        read: Callable[[str], Record | None],
        cost: Cost | None = None,
        whole: Callable[[str], bool] | None = None,
    ) -> None:
        self.steps: dict[str, Step] = {}
        for step in steps:
            self.steps.setdefault(step.key, step)
        self.producer = {key: step.key for step in self.steps.values() for key in step.publishes}
        self.order = {key: i for i, key in enumerate(self.steps)}
        self._rank = {key: -cost(step) for key, step in self.steps.items()} if cost else {}
        self._has, self._read, self._whole = has, read, whole or has
        self.state: dict[str, str] = {}
        self.replay: set[str] = set()
        self.refused_inputs: dict[str, list[str]] = {}  # step -> inputs that will never come: their producer diverged
        self.needed: dict[str, set[str]] = {}  # producer -> its published keys that some step waits for
        self.waiting: dict[str, set[str]] = {}
        self.wanted: dict[str, list[str]] = {}
        self._ready: list[tuple[float, int, str]] = []
        self._by_group: dict[str, set[str]] = {}
        self.cached = sum(has(key) for key in self.steps)
        self._open()
        self._check_cycles()

    # --- beginning ---------------------------------------------------------------------------------------------

    def _open(self) -> None:
        queue = []
        for key, step in self.steps.items():
            self.state[key] = "done" if self._has(key) else "sealed" if step.sealed else "waiting"
            if self.state[key] == "waiting":
                queue.append(key)
        for key in [key for key, state in self.state.items() if state == "done"]:
            hints = self.steps[key].hints
            lost = {made for made in hints.get("keep", ()) if not self._has(made)}
            if hints.get("weights"):
                lost |= {
                    made for made in (key, *self.steps[key].publishes) if self._has(made) and not self._whole(made)
                }
            if lost and self._revive(key, queue):
                self.needed.setdefault(key, set()).update(lost)
        present: dict[tuple[str, bool], bool] = {}
        while queue:
            key = queue.pop()
            missing: set[str] = set()
            opens = reads_files(self.steps[key])
            usable = self._whole if opens else self._has
            for role, source in self._inputs(self.steps[key]):
                if (source, opens) not in present:
                    done = self.state.get(source) == "done" or source in self.replay
                    present[source, opens] = (done or source not in self.steps) and usable(source)
                if not present[source, opens]:
                    self._expect(key, role, source, missing, queue)
            self.waiting[key] = missing
            for source in missing:
                self.wanted.setdefault(source, []).append(key)
        for key in self.steps:
            if self.state[key] == "waiting" and not self.waiting[key]:
                self._push(key)
        for key in [key for key, state in self.state.items() if state == "sealed"]:
            self._block(key)

    @staticmethod
    def _inputs(step: Step) -> Iterable[tuple[str, str]]:
        for role, value in step.inputs.items():
            for key in [value] if isinstance(value, str) else value:
                yield role, key

    def _expect(self, key: str, role: str, source: str, missing: set[str], queue: list[str]) -> None:
        """Note that `key` waits for `source`; a finished producer of a lost checkpoint runs again (replay)."""
        if source in self.steps:
            if self.state[source] != "done" or self._revive(source, queue):
                missing.add(source)
                if source in self.replay:  # for weights that were given up
                    self.needed.setdefault(source, set()).add(source)
            else:
                self.refused_inputs.setdefault(key, []).append(source)
            return
        producer = self.producer.get(source)
        if producer is None:
            label = self.steps[key].label or key[:12]
            what = "which is neither stored nor planned"
            if self._has(source):
                what = ("whose weights were given up (crucis gc --weights), and no step of this plan makes them; run "
                        "the study that trained it with --weights")  # fmt: skip
            raise EngineError(f"{label}: the input '{role}' needs the record {source[:12]}, {what}")
        if self.state[producer] == "done" and not self._revive(producer, queue):
            self.refused_inputs.setdefault(key, []).append(source)
            return
        self.needed.setdefault(producer, set()).add(source)
        missing.add(source)

    def _revive(self, producer: str, queue: list[str]) -> bool:
        """Let a finished step run again for its checkpoints; False if it was refused or diverged and has none."""
        record = self._read(producer)
        if record is not None and record.outcome != "ok":
            return False
        if record is not None:
            self.replay.add(producer)
        self.cached -= 1
        self.state[producer] = "waiting"
        queue.append(producer)
        return True

    def _check_cycles(self) -> None:
        """Walk what waits in topological order; what is left over goes round in a circle."""
        count = {key: len(missing) for key, missing in self.waiting.items()}
        queue = [key for key, n in count.items() if n == 0]
        while queue:
            key = queue.pop()
            for made in (key, *self.steps[key].publishes):
                for user in self.wanted.get(made, ()):
                    count[user] -= 1
                    if count[user] == 0:
                        queue.append(user)
        # What waits for a sealed step is held by it, not by a circle.
        held = {key for key, state in self.state.items() if state in ("sealed", "blocked")}
        left = {key for key, n in count.items() if n > 0} - held
        if not left:
            return
        path = [min(left, key=self.order.__getitem__)]
        while True:
            sources = {self.producer.get(source, source) for source in self.waiting[path[-1]]} & left
            following = min(sources, key=self.order.__getitem__)
            if following in path:
                names = [self.steps[key].label or key[:12] for key in path[path.index(following) :]]
                raise EngineError(f"the plan goes round in a circle: {' -> '.join([*names, names[0]])}")
            path.append(following)

    # --- handing out -------------------------------------------------------------------------------------------

    def _push(self, key: str) -> None:
        self.state[key] = "ready"
        heapq.heappush(self._ready, (self._rank.get(key, 0.0), self.order[key], key))
        group = self.steps[key].group
        if group is not None:
            self._by_group.setdefault(group, set()).add(key)

    def peek(self) -> str | None:
        """The next ready step, or None."""
        while self._ready and self.state[self._ready[0][2]] != "ready":
            heapq.heappop(self._ready)
        return self._ready[0][2] if self._ready else None

    def take(self, key: str) -> None:
        """Mark a ready step as handed out (or set aside)."""
        self.state[key] = "taken"
        group = self.steps[key].group
        if group is not None:
            self._by_group.get(group, set()).discard(key)

    def companions(self, key: str, most: int) -> list[str]:
        """Other ready steps of the same group, in plan order, at most `most`."""
        group = self.steps[key].group
        if group is None or most < 1:
            return []
        others = self._by_group.get(group, set()) - {key}
        return sorted(others, key=self.order.__getitem__)[:most]

    def back(self, key: str) -> None:
        """Make a taken step ready again."""
        if self.state[key] == "taken":
            self._push(key)

    # --- results -----------------------------------------------------------------------------------------------

    def _arrive(self, key: str) -> None:
        for user in self.wanted.pop(key, ()):
            missing = self.waiting.get(user)
            if missing is not None:
                missing.discard(key)
                if not missing and self.state[user] == "waiting":
                    self._push(user)

    def published(self, key: str) -> None:
        """A checkpoint record was committed."""
        self.needed.get(self.producer.get(key, key), set()).discard(key)
        self._arrive(key)

    def done(self, key: str, outcome: str = "ok") -> list[str]:
        """The step has its record. Returns needed checkpoints that it did not leave, although its outcome is ok."""
        self.state[key] = "done"
        self.replay.discard(key)
        self._arrive(key)
        lost: list[str] = []
        for made in sorted(self.needed.pop(key, set())):
            if self._whole(made):
                self._arrive(made)
            elif outcome == "ok":
                lost.append(made)
            else:
                for user in self.wanted.get(made, ()):
                    self.refused_inputs.setdefault(user, []).append(made)
                self._arrive(made)
        return lost

    def failed(self, key: str) -> list[str]:
        """The step will have no record in this run; returns the steps that this blocks."""
        if self.state[key] != "done":
            self.state[key] = "failed"
        return self._block(key)

    def _block(self, key: str) -> list[str]:
        blocked, queue = [], [key]
        while queue:
            step = self.steps[queue.pop()]
            for made in (step.key, *step.publishes):
                for user in self.wanted.get(made, ()):
                    if self.state[user] == "waiting" and made in self.waiting[user]:
                        self.state[user] = "blocked"
                        blocked.append(user)
                        queue.append(user)
        return blocked

    def reopen(self, key: str) -> bool:
        """An input turned out damaged and is absent again: let its producer run again. False if none is planned."""
        maker = key if key in self.steps else self.producer.get(key)
        if maker is None or self.state[maker] not in ("done", "ready", "taken", "waiting"):
            return False
        if self._has(maker):
            self.replay.add(maker)
        if maker != key or maker in self.replay:
            self.needed.setdefault(maker, set()).add(key)
        if self.state[maker] == "done":
            self.waiting[maker] = set()
            self._push(maker)
        return True

    def wait_for(self, key: str, sources: Iterable[str]) -> None:
        """Put a taken step back until these records exist again."""
        self.state[key] = "waiting"
        self.waiting[key] = set(sources)
        for source in self.waiting[key]:
            self.wanted.setdefault(source, []).append(key)

    def count(self, *states: str) -> int:
        """How many steps are in one of these states."""
        return sum(state in states for state in self.state.values())

    def listed(self, *states: str) -> list[str]:
        """Keys in one of these states, in plan order."""
        return [key for key in self.steps if self.state[key] in states]
