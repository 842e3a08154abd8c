"""The event loop of one node: hand out ready steps, listen, renew leases, kill what hangs, retry, stop.

Several supervisors may work on one plan and store; leases keep them apart. Results go through the store, only keys and
small dicts cross the pipes.
"""

from __future__ import annotations

import heapq
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from . import machine
from .admission import Admission, crowded
from .failures import classify, judge
from .frontier import Frontier
from .lease import Lease, Leases, Owner
from .place import Place
from .pool import Hand, Pool, died_of
from .steps import EngineError, Event, Outcome, Step
from .stopping import StopSignals
from .store import Store
from .tuning import Tuning

_STACK_S = 1.0  # between asking a worker for its stack and killing it; a busy machine needs some of it
_TICK_S = 1.0


class Supervisor:
    """One run. Made and used by `run`."""

    def __init__(
        self,
        store: Store,
        frontier: Frontier,
        pool: Pool,
        tuning: Tuning,
        *,
        workers: int,
        gpus: Sequence[str],
        stall_s: float,
        progress: Callable[[Event], None] | None,
        stack: Callable[[Step], int] | None,
    ) -> None:
        self.store, self.frontier, self.pool, self.tuning = store, frontier, pool, tuning
        self.workers, self.gpus, self.stall_s = workers, list(gpus), stall_s
        self.progress, self.stack = progress, stack
        self.leases = Leases(store.root, tuning.ttl_s, tuning.owner or Owner.me())
        self.held: dict[str, Lease] = {}
        self.elsewhere: dict[str, tuple[float, float]] = {}
        self.delayed: list[tuple[float, str]] = []
        self.alone: list[str] = []
        self.solo: set[str] = set()
        self.alone_running = False
        self.shy: set[str] = set()  # steps that run only when nothing else does
        self.last_chance: set[str] = set()
        self.noted = store.notes.keys()
        self.outcome = Outcome(cached=frontier.cached)
        self.blocked = 0
        self.admission = Admission(workers)
        self.oom_before = tuning.oom_kills()
        self.begun = self.last_beat = time.monotonic()
        self.place = Place(store, tuning)
        self.stopping = False
        self.stop_by = 0.0
        self.fatal: EngineError | None = None

    # --- the loop ----------------------------------------------------------------------------------------------

    def work(self) -> Outcome:
        """Run until nothing is left, or until stopped."""
        with StopSignals(self.pool.poke) as signals:
            try:
                while True:
                    self._stop_protocol(signals.level)
                    if not self.stopping and not self.fatal:
                        self._hand_out()
                    if self._finished():
                        break
                    for kind, hand, message in self.pool.poll(self._timeout()):
                        self._hear(kind, hand, message)
                    self._timers(time.monotonic())
            finally:
                self.pool.close()  # first, so that nobody takes up a step whose worker is still at it
                for lease in self.held.values():
                    self._quietly(lease.release)
        if self.fatal:
            raise self.fatal
        return self._close()

    def _close(self) -> Outcome:
        out, frontier = self.outcome, self.frontier
        out.sealed = frontier.listed("sealed")
        out.left = frontier.listed("ready", "taken", "waiting")
        out.stopped = self.stopping and bool(out.left)
        out.blocked = frontier.listed("blocked")
        if not out.stopped:
            out.blocked += out.left
            out.left = []
        return out

    def _finished(self) -> bool:
        if any(hand.keys for hand in self.pool.hands.values()):
            return False
        if self.stopping or self.fatal:
            return True
        return not (self.frontier.peek() or self.delayed or self.elsewhere or self.alone)

    def _timeout(self) -> float:
        now = time.monotonic()
        due = [self.last_beat + self.tuning.beat_s]
        due += [self.delayed[0][0]] if self.delayed else []
        due += [at for at, _ in self.elsewhere.values()] if len(self.elsewhere) < 100 else [now + 0.2]
        due += [self.place.next_look] if self.place.paused else []
        due += [self.stop_by] if self.stopping else []
        for hand in self.pool.hands.values():
            if hand.doom:
                due.append(hand.kill_at if hand.kill_at > now else now + _STACK_S)
            elif hand.keys:
                due.append(hand.heard + hand.quiet_s)
        return min(_TICK_S, max(0.0, min(due) - now))

    def _tell(self, kind: str, key: str = "", **data: Any) -> None:
        if self.progress is None:
            return
        out = self.outcome
        label = self.frontier.steps[key].label if key in self.frontier.steps else ""
        total, failed = len(self.frontier.steps), len(out.failed)
        self.progress(Event(kind, key, label, data, total, out.done, out.cached, failed, self.blocked, len(self.held)))

    @staticmethod
    def _quietly(action: Callable[[], None]) -> None:
        """A lease that cannot be written on a full disk is no reason to end; others see it go stale."""
        try:
            action()
        except OSError:
            return

    # --- handing out -------------------------------------------------------------------------------------------

    def _hand_out(self) -> None:
        if self.place.paused or self.alone_running:
            return
        aside: list[str] = []
        while (key := self.frontier.peek()) is not None and self.admission.fits(self.frontier.steps[key]):
            step = self.frontier.steps[key]
            if self._settled(key):
                continue
            if key in self.shy:
                self.frontier.take(key)
                self.alone.append(key)
                continue
            hand = self._slot(step)
            if hand is None and not self._needs_gpu(step):
                break
            self.frontier.take(key)
            if hand is None:
                aside.append(key)
            else:
                self._begin(hand, key)
                if self.place.paused:
                    break
        for key in aside:
            self.frontier.back(key)
        if self.alone and not self.held and self.frontier.peek() is None:
            self._begin_alone()

    def _begin_alone(self) -> None:
        key = self.alone.pop(0)
        if self.frontier.state[key] != "taken" or self._settled(key):
            return
        hand = self._slot(self.frontier.steps[key])
        if hand is None:
            self.alone.append(key)
            return
        self._begin(hand, key)
        self.alone_running = key in self.held

    def _needs_gpu(self, step: Step) -> bool:
        return step.needs.gpu > 0 and bool(self.gpus)

    def _wide(self) -> list[int]:
        held = [hand.keys for hand in self.pool.hands.values() if hand.keys]
        return [max(self.frontier.steps[key].needs.world for key in keys) for keys in held]

    def _slot(self, step: Step) -> Hand | None:
        """An idle worker for this step, or a new one if there may be more."""
        if crowded(step, self._wide(), self.workers):
            return None
        on_gpu = self._needs_gpu(step)
        hands = [hand for hand in self.pool.hands.values() if not hand.leaving and not hand.doom]
        for hand in hands:
            if not hand.keys and (hand.gpu is not None) == on_gpu:
                return hand
        if on_gpu:
            free = [gpu for gpu in self.gpus if gpu not in {hand.gpu for hand in self.pool.hands.values()}]
            return self.pool.fork(free[0]) if free else None
        return self.pool.fork() if sum(hand.gpu is None for hand in hands) < self.workers else None

    def _settled(self, key: str) -> bool:
        """Whether the step was done by somebody else in the meantime."""
        step = self.frontier.steps[key]
        for made in list(self.frontier.needed.get(key, ())):
            if self.store.whole(made):
                self.frontier.published(made)
        if not self.store.has(key) or (key in self.frontier.replay and self.frontier.needed.get(key)):
            return False
        record = self.store.read(key) if step.publishes else None
        if step.publishes and record is None:
            return False
        self.outcome.cached += 1
        self._arrived(key, record.outcome if record else "ok")
        self._tell("cached", key)
        return True

    def _begin(self, hand: Hand, key: str) -> None:
        """Claim the step, and others of its group that may run with it, and hand them out."""
        step, keys = self.frontier.steps[key], [key]
        if self.stack is not None and key not in self.solo and not hand.gpu:
            most = min(self.tuning.most_stacked, self.stack(step)) - 1
            keys += [other for other in self.frontier.companions(key, most) if other not in self.solo]
        orders = []
        for each in keys:
            if self.frontier.state[each] == "ready":
                self.frontier.take(each)
            if self._claim(each):
                orders.append(self._order(each))
        if not orders:
            return
        hand.keys = [order["step"]["key"] for order in orders]
        hand.heard = time.monotonic()
        hand.quiet_s = max(self._quiet(each) for each in hand.keys)
        hand.tell({"m": "step", "orders": orders})
        for each in hand.keys:
            self.admission.begin(self.frontier.steps[each])
            self._tell("begin", each, worker=hand.number)

    def _quiet(self, key: str) -> float:
        return float(self.frontier.steps[key].hints.get("quiet_s", self.stall_s))

    def _claim(self, key: str) -> bool:
        done = None if key in self.frontier.replay else self.store.has
        try:
            lease = self.leases.claim(key, done)
        except OSError as error:
            self.frontier.back(key)
            self._pause(str(error), classify(error)[0])
            return False
        if lease is None:
            if not self._settled(key):
                first = self.tuning.look_again_s[0]
                self.elsewhere[key] = (time.monotonic() + first, first)
            return False
        self.held[key] = lease
        return True

    def _order(self, key: str) -> dict[str, Any]:
        step = self.frontier.steps[key]
        history = self.store.failures(key, forgiven=True) if key in self.noted else []
        tries = [note for note in history if note.get("class") != "notice"]
        short = [{name: note.get(name) for name in ("n", "class", "code")} for note in tries]
        refused = self.frontier.refused_inputs.get(key, [])
        return {"step": step.pack(), "refused": refused, "replay": key in self.frontier.replay, "history": short}

    # --- hearing -----------------------------------------------------------------------------------------------

    def _hear(self, kind: str, hand: Hand | None, message: Mapping[str, Any]) -> None:
        if hand is None:
            return  # the fork server died; its workers' exits were told before, a new one starts when needed
        if kind == "exit":
            self._exited(hand, message["status"])
            return
        what, key = message["m"], message.get("key", "")
        if what == "up":
            hand.log = message["log"]
        elif "progress" in message:  # a beat, or something to be said
            self._tell(what, key, **message["progress"])
        elif what == "published":
            self.frontier.published(key)
            self._tell("published", key)
        elif what == "broken":
            self.fatal = EngineError(f"the workers cannot start: {message['text']}")
        elif key in hand.keys:
            self._ended(hand, key, message)
        if message.get("idle"):
            hand.keys, hand.log_at = [], message["log_at"]
            if message["retire"] or self.stopping:
                self.pool.quit(hand)

    def _ended(self, hand: Hand, key: str, message: Mapping[str, Any]) -> None:
        hand.keys.remove(key)
        lease = self._let_go(key)
        if message["m"] == "done":
            self.admission.end(self.frontier.steps[key], message["cost"].get("peak_ram_mb", 0))
            outcome = message["outcome"]
            self.outcome.done += 1
            self.outcome.refused += outcome == "refused"
            self.outcome.diverged += outcome == "diverged"
            self._arrived(key, outcome)
            self._quietly(lease.drop)
            self._tell("done", key, outcome=outcome, wall_s=message["cost"]["wall_s"], landing=message["landing"])
            return
        self._quietly(lease.release)
        if message["m"] == "failed":
            self._failed(key, message["note"])
        elif message["m"] == "lost":
            self._lost_inputs(key, message["inputs"])
        elif message["m"] == "stopped":
            self.frontier.back(key)

    def _let_go(self, key: str) -> Lease:
        self.admission.end(self.frontier.steps[key])
        self.alone_running = False
        return self.held.pop(key)

    def _arrived(self, key: str, outcome: str) -> None:
        lost = self.frontier.done(key, outcome)
        if lost:
            text = f"the step ended without leaving {len(lost)} of its checkpoints: {', '.join(k[:12] for k in lost)}"
            self._final(key, self._note(key, "deterministic", "not_published", text))

    def _blocked(self, keys: list[str]) -> None:
        self.blocked += len(keys)
        for key in keys:
            self._tell("blocked", key)

    def _lost_inputs(self, key: str, inputs: list[str]) -> None:
        """An input was damaged and went to quarantine: make it again, or fail where nothing in the plan makes it."""
        self.frontier.wait_for(key, inputs)
        for source in inputs:
            self._tell("warn", key, text=f"the input {source[:12]} was damaged or given up and is computed again")
            if source in self.frontier.steps and self.frontier.state[source] == "done":
                self.outcome.cached = max(0, self.outcome.cached - 1)
            if not self.frontier.reopen(source):
                text = f"the input {source[:12]} is gone and nothing in the plan makes it"
                self._failed(key, self._note(key, "deterministic", "input_gone", text))
                return

    # --- failing -----------------------------------------------------------------------------------------------

    def _note(self, key: str, kind: str, code: str, text: str, **more: Any) -> dict[str, Any]:
        note = {"class": kind, "code": code, "text": text, "step": self.frontier.steps[key].label}
        try:
            return self.store.fail(key, {**note, "host": machine.host(), **more})
        except OSError as error:
            return {**note, "class": classify(error)[0], "text": str(error)}

    def _failed(self, key: str, note: Mapping[str, Any]) -> None:
        self.noted.add(key)
        if note["class"] == "place":
            self.frontier.back(key)
            self._pause(note["text"], "place")
            return
        following = judge(self.store.failures(key), self.tuning.backoff)
        if following.final or key in self.last_chance:
            self._final(key, note)
            return
        if following.alone:
            self.shy.add(key)
        self._tell("retry", key, code=note["code"], text=note["text"], delay=following.delay)
        heapq.heappush(self.delayed, (time.monotonic() + following.delay, key))

    def _final(self, key: str, note: Mapping[str, Any]) -> None:
        self.outcome.failed.append(key)
        blocked = self.frontier.failed(key)
        self._tell("failed", key, code=note.get("code", ""), text=note.get("text", ""))
        self._blocked(blocked)

    def fail_final(self) -> None:
        """Before anything is handed out: steps whose notes allow no further try, and what hangs on them.

        What was killed or ran out of memory too often may have met bad luck rather than a fault of its own, so asking
        for the study again gives it one more try, alone and after everything else. A deterministic failure stays.
        """
        for key in self.frontier.listed("ready", "waiting"):
            if key not in self.noted:
                continue
            notes = self.store.failures(key)
            following = judge(notes, self.tuning.backoff)
            if following.final and any(note["class"] == "deterministic" for note in notes):
                self._final(key, notes[-1])
            elif following.final:
                self.last_chance.add(key)
                self.shy.add(key)
            elif following.alone:
                self.shy.add(key)

    def tell_plan(self) -> None:
        """Say what is planned, found and blocked, before the first step."""
        self._tell("plan")

    def _exited(self, hand: Hand, status: int) -> None:
        keys, hand.keys = hand.keys, []
        kills = self.tuning.oom_kills()
        oom, self.oom_before = kills > self.oom_before, kills
        for key in keys:
            lease = self._let_go(key)
            if key not in self.frontier.replay and self.store.has(key):
                record = self.store.read(key)
                self.outcome.done += 1
                self._arrived(key, record.outcome if record else "ok")
                self._quietly(lease.drop)
                continue
            if hand.doom == "fence":
                self.elsewhere[key] = (time.monotonic(), self.tuning.look_again_s[0])
                continue
            self._quietly(lease.release)
            if hand.doom == "stop" or self.fatal:
                self.frontier.back(key)
            elif len(keys) > 1:
                self.solo.add(key)  # who of them it was shows when they run alone
                self.frontier.back(key)
            else:
                kind, code, text = died_of(status, oom)
                if hand.doom == "stall":
                    kind, code, text = "transient", "stall", f"nothing was heard for {hand.quiet_s:g} s"
                more = {"exit": max(status, 0), "signal": max(-status, 0), "log_tail": hand.log_tail()}
                self._failed(key, self._note(key, kind, code, text, **more))

    # --- time --------------------------------------------------------------------------------------------------

    def _timers(self, now: float) -> None:
        while self.delayed and self.delayed[0][0] <= now:
            self.frontier.back(heapq.heappop(self.delayed)[1])
        if self.elsewhere:
            self._look_elsewhere(now)
        if now - self.last_beat >= self.tuning.beat_s:
            self.last_beat = now
            self._beat()
        for hand in self.pool.hands.values():
            if hand.doom and hand.kill_at and now >= hand.kill_at:
                hand.kill_at = 0.0
                self.pool.signal(hand, signal.SIGKILL)
            elif hand.keys and not hand.doom and now - hand.heard > hand.quiet_s:
                hand.doom, hand.kill_at = "stall", now + _STACK_S
                self.pool.signal(hand, signal.SIGUSR2)
        if self.place.paused:
            found = self.place.look(now)
            if found == "room":
                self._tell("resumed")
            elif found == "over" and not self.stopping:
                self._begin_stop(now, "no space was freed")

    def _look_elsewhere(self, now: float) -> None:
        for key, (at, delay) in list(self.elsewhere.items()):
            if at > now:
                continue
            if self._settled(key):
                del self.elsewhere[key]
            elif not self.stopping and self._open_again(key):
                del self.elsewhere[key]
                self.frontier.back(key)
            else:
                longer = min(self.tuning.look_again_s[1], 1.5 * delay)
                self.elsewhere[key] = (now + longer, longer)

    def _open_again(self, key: str) -> bool:
        """Whether the lease that kept us from this step is dead by now."""
        n = self.leases.highest(key)
        return n == 0 or self.leases.dead(key, n)

    def _beat(self) -> None:
        holder = {key: hand for hand in self.pool.hands.values() for key in hand.keys}
        for key, lease in self.held.items():
            if lease.superseded():
                if key in holder:
                    self.pool.kill(holder[key], "fence")
            else:
                self._quietly(lease.beat)

    def _pause(self, text: str, kind: str) -> None:
        """Hand out nothing until there is space again; an error that is not about the place ends the run."""
        if kind != "place":
            self.fatal = EngineError(f"the store {self.store.root} cannot be used: {text}")
        elif self.place.pause(time.monotonic()):
            self._tell("paused", text=text)

    # --- stopping ----------------------------------------------------------------------------------------------

    def _stop_protocol(self, level: int) -> None:
        now = time.monotonic()
        if not self.stopping:
            wall = self.tuning.walltime_s
            if level or (wall is not None and now - self.begun >= wall - 120.0):
                self._begin_stop(now, "asked to stop" if level else "the time allowed is nearly over")
        if self.stopping and (level >= 2 or now >= self.stop_by):
            for hand in self.pool.hands.values():
                if hand.keys and not hand.doom:
                    self.pool.kill(hand, "stop")

    def _begin_stop(self, now: float, text: str) -> None:
        self.stopping, self.stop_by = True, now + self.tuning.grace_s
        self._tell("stopping", text=text)
        for hand in self.pool.hands.values():
            if hand.keys:
                hand.tell({"m": "stop"})
            else:
                self.pool.quit(hand)
