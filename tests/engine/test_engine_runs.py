"""Whole runs: workers against in-process, checkpoints as records, kills, extension, events, leases left by others."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest
from engine_setup import RUNNER, alive, commit, go, held, quick, supervisor, until, values, worker_pids
from engine_toys import at_key, step

from crucis.engine import machine
from crucis.engine.inline import run_inline
from crucis.engine.journal import Journal, Tail
from crucis.engine.lease import Leases
from crucis.engine.pool import Pool
from crucis.engine.steps import EngineError, Step
from crucis.engine.store import Store
from crucis.records import Result


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


def study(marks="", rounds=800, pause=0.0, n=6):
    """Trainings, measurements on them, and a pooled step."""
    more = {"marks": str(marks)} if marks else {}
    hints = {"pause": pause}
    trains = [step("hash", seed=i, rounds=rounds, hints=hints, **more) for i in range(n)]
    measures = [step("hash", {"of": train.key}, seed=9, rounds=200, hints=hints, **more) for train in trains]
    return [*trains, *measures, step("add", {"of": [each.key for each in measures]}, x=0.5, **more)]


def test_workers_against_in_process(store, tmp_path):
    steps = study()
    inline = Store(tmp_path / "inline")
    assert go(steps, store).done == run_inline(steps, inline, RUNNER).done == 13
    assert values(store, steps) == values(inline, steps)
    body = store.read(steps[0].key).body
    assert body["numerics"] == inline.read(steps[0].key).body["numerics"]
    assert body["cost"]["peak_ram_mb"] > 0 and body["cost"]["cpu_s"] > 0
    assert held(store) == [] and not list((store.path / "scratch").iterdir())
    assert not list((store.path / "tmp").iterdir())


def test_reissuing_finds_everything_and_extending_runs_only_what_is_new(store):
    steps = study(rounds=100)
    assert go(steps, store).done == 13
    assert (again := go(steps, store)).cached == 13 and again.done == 0
    more = study(rounds=100, n=8)
    outcome = go(more, store)
    assert (outcome.done, outcome.cached) == (5, 12)


def test_kill_campaign(store, tmp_path):
    """Five kills of supervisor or worker at random moments: nothing finished lost or recomputed, equal to the bit."""
    marks = tmp_path / "marks"
    steps = study(marks, pause=0.3)
    dice = random.Random(20)
    finished: dict[str, tuple[str, int]] = {}  # key -> content, how often it was begun

    def look():
        begun = marks.read_text().split() if marks.exists() else []
        for each in steps:
            record = store.read(each.key)
            now = (record.body["content"], begun.count(each.key)) if record else None
            assert finished.get(each.key, now) == now
            if now:
                finished[each.key] = now

    kills = 0
    while kills < 5:
        process = supervisor(steps, store, tmp_path)
        until(lambda: process.poll() is not None or alive(worker_pids(store)))
        time.sleep(dice.uniform(0.05, 0.3))
        victim = dice.choice([process.pid, *alive(worker_pids(store))])
        with suppress(ProcessLookupError):
            os.kill(victim, signal.SIGKILL)
        kills += 1
        if victim != process.pid:
            time.sleep(0.2)
            process.kill()
        process.wait()
        until(lambda: not alive(worker_pids(store)))
        look()
    assert len(finished) < len(steps)  # otherwise the kills came too late to mean anything
    assert go(study(marks), store).exit_code == 0
    look()
    undisturbed = Store(tmp_path / "undisturbed")
    run_inline(study(marks), undisturbed, RUNNER)
    assert values(store, steps) == values(undisturbed, steps)


def test_checkpoints_are_records_and_release_measurements_early(store, tmp_path):
    measured = tmp_path / "measured"
    base = step("train", rounds=6, wait=str(measured))
    keys = [at_key(base.key, i) for i in (1, 6)]
    train = Step(base.key, base.spec, publishes=tuple(keys), label="train")
    probes = [step("add", {"of": key}) for key in keys]
    events = []

    def progress(event):
        events.append((event.kind, event.key))
        if events[-1] == ("done", probes[0].key):
            measured.touch()

    outcome = go([train, *probes], store, progress=progress)
    assert outcome.exit_code == 0 and outcome.done == 3
    assert events.index(("done", probes[0].key)) < events.index(("done", train.key))
    record = store.read(keys[0], deep=True)
    assert record.values == {"step": 1, "x": 1.0} and record.spec["at"] == 1
    assert (record.folder / "model.txt").read_text() == "1.0"


def test_a_replay_that_differs_publishes_nothing(store):
    base = step("train", rounds=3)
    key = at_key(base.key, 2)
    train = Step(base.key, base.spec, publishes=(key,), label="train")
    commit(store, train, Result(values={"x": 99.0}), numerics={"device": "another"})
    probe = step("add", {"of": key})
    outcome = go([train, probe], store)
    assert outcome.failed == [train.key] and outcome.blocked == [probe.key]
    (note,) = store.failures(train.key)
    assert note["code"] == "replay_differs" and "device" in note["text"] and "values.x" in note["text"]
    assert not store.has(key) and store.read(train.key).values == {"x": 99.0}
    assert not list((store.path / "tmp").iterdir())


def test_a_training_that_diverges_refuses_the_users_of_its_checkpoints(store):
    base = step("train", rounds=6, diverge=3)
    keys = [at_key(base.key, i) for i in (2, 5)]
    train = Step(base.key, base.spec, publishes=tuple(keys), label="train")
    probes = [step("add", {"of": key}) for key in keys]
    assert go([train, *probes], store).exit_code == 0
    assert [store.read(each.key).outcome for each in (train, *probes)] == ["diverged", "ok", "refused"]
    late = step("add", {"of": keys[1]}, x=7.0)
    assert go([train, late], store).exit_code == 0 and store.read(late.key).outcome == "refused"


def test_promised_checkpoints_that_never_come_fail_the_training(store):
    base = step("train", rounds=3, forget=True)
    train = Step(base.key, base.spec, publishes=(at_key(base.key, 2),), label="train")
    probe = step("add", {"of": train.publishes[0]})
    outcome = go([train, probe], store)
    assert outcome.exit_code == 3 and outcome.blocked == [probe.key]
    assert store.failures(train.key)[0]["code"] == "not_published"


def test_sealed_steps_never_run(store):
    sealed = step("add", sealed=True)
    user = step("add", {"of": sealed.key}, x=3.0)
    outcome = go([sealed, user, step(x=1.0)], store)
    assert outcome.sealed == [sealed.key] and outcome.blocked == [user.key] and outcome.exit_code == 4
    assert not store.has(sealed.key)


def test_failed_only_until_retried(store, tmp_path):
    where = tmp_path / "n"
    this = step("raise_first", n=3, kind="connection", where=str(where))
    assert go([this], store).failed == [this.key]
    outcome = go([this], store, again=[this.key])
    assert outcome.exit_code == 0
    attempt = store.read(this.key).body["attempt"]
    assert attempt["number"] == 4 and [note["class"] for note in attempt["failures"]] == ["transient"] * 3


def test_events_count_and_carry_progress(store):
    seen = []
    steps = [step("hash", seed=i, rounds=600, hints={"pause": 0.1}) for i in range(2)]
    go(steps, store, progress=seen.append)
    beats = [event for event in seen if event.kind == "beat"]
    assert seen[0].kind == "plan" and seen[0].total == 2
    assert beats and beats[0].data["of"] == 600 and beats[0].label
    assert [event.done for event in seen if event.kind == "done"] == [1, 2]


def test_a_step_held_elsewhere_is_waited_for(store):
    this = step(x=1.0)
    theirs = Leases(store.root).claim(this.key)

    def finish():
        time.sleep(0.3)
        commit(store, this)
        theirs.drop()

    thread = threading.Thread(target=finish)
    thread.start()
    outcome = go([this, step(x=2.0)], store)
    thread.join()
    assert (outcome.done, outcome.cached, outcome.exit_code) == (1, 1, 0)


def test_a_lease_given_back_elsewhere_is_taken(store):
    this = step(x=1.0)
    theirs = Leases(store.root).claim(this.key)
    timer = threading.Timer(0.3, theirs.release)
    timer.start()
    outcome = go([this], store)
    timer.join()
    assert outcome.done == 1 and held(store) == []


def test_a_supervisor_that_lost_its_lease_drops_the_step(store):
    """Somebody takes a beaten lease over (as after a long pause): the worker is killed, the other's record counts."""
    this = step("sleep", seconds=60.0)

    def steal():
        until(lambda: Path(Leases(store.root).path(this.key, 1)).exists())
        body = Path(Leases(store.root).path(this.key, 1)).read_text()
        Path(Leases(store.root).path(this.key, 2)).write_text(body.replace('"token": "', '"token": "x'))
        time.sleep(0.5)
        commit(store, this, Result(values={"x": 5.0}))

    thief = threading.Thread(target=steal)
    thief.start()
    begun = time.monotonic()
    outcome = go([this], store, tuning=quick(beat_s=0.1))
    thief.join()
    assert outcome.exit_code == 0 and time.monotonic() - begun < 50
    assert outcome.cached + outcome.done == 1  # a worker that is slow to die finds the record there when it has ended
    assert store.read(this.key).values == {"x": 5.0} and store.failures(this.key) == []


def test_a_worker_can_be_killed_before_its_process_is_known(store, tmp_path):
    """On a busy machine the fork server answers late, and a kill that was lost would never be sent again."""
    config = {"store": store.root, "runner": RUNNER, "environment": ""}
    pool = Pool(config, [RUNNER.partition(":")[0]], str(tmp_path / "server.log"))
    hand = pool.fork()
    assert hand.pid == 0
    pool.kill(hand, "stop")
    found = []
    until(lambda: found.extend(pool.poll(0.05)) or not pool.hands)
    assert found[-1] == ("exit", hand, {"status": -signal.SIGKILL})
    pool.close()


def test_the_caller_keeps_its_signal_handlers(store):
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)]
    go([step(x=1.0)], store)
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)] == before


def test_a_run_works_outside_the_main_thread(store):
    found = []
    thread = threading.Thread(target=lambda: found.append(go([step(x=1.0)], store)))
    thread.start()
    thread.join()
    assert found[0].done == 1


def test_memory_keeps_steps_apart(store, monkeypatch):
    from crucis.records import Need

    monkeypatch.setattr(machine, "memory_budget_mb", lambda: 1000)
    most = []
    steps = [step("sleep", seconds=0.1, i=i, needs=Need(ram_mb=600), hints={}) for i in range(3)]
    steps = [Step(**{**vars(each), "spec": {**each.spec}, "group": f"g{i}"}) for i, each in enumerate(steps)]
    go(steps[:2], store, progress=lambda event: most.append(event.running))
    assert max(most) == 1


def test_gpu_steps_go_one_at_a_time_to_their_device(store):
    from crucis.records import Need

    steps = [step("device", i=i, needs=Need(gpu=1.0)) for i in range(3)] + [step("device", i=9)]
    most = []
    go(steps, store, workers=2, gpus=["5"], progress=lambda event: most.append(event.running))
    assert [store.read(each.key).values["device"] for each in steps] == ["5", "5", "5", ""]


def test_inline_waits_for_nobody(store):
    this = step(x=1.0)
    lease = Leases(store.root).claim(this.key)
    with pytest.raises(EngineError, match="another process"):
        run_inline([this], store, RUNNER)
    lease.release()
    assert run_inline([this], store, lambda steps, contexts: [Result(values={"x": 3.0})]).done == 1


def test_journal_rotates_and_tails(tmp_path, monkeypatch):
    from crucis.engine import journal as module

    monkeypatch.setattr(module, "MAX_BYTES", 2000)
    clock = [0.0]
    journal, tail = Journal(str(tmp_path), lambda: clock[0]), Tail(str(tmp_path))
    for i in range(100):
        clock[0] += 1.0
        journal.write("eval", "ab" * 32, i=i)
    journal.close()
    lines = tail.poll()
    assert [line["i"] for line in lines if line["e"] == "eval"] == list(range(100)) and lines[-1]["e"] == "down"
    assert len(list(tmp_path.glob("*.jsonl"))) > 2
    assert all(path.stat().st_size <= 6000 for path in tmp_path.glob("*.jsonl"))


def test_step_lines_are_thinned_but_epochs_kept(tmp_path):
    clock = [0.0]
    journal = Journal(str(tmp_path), lambda: clock[0])
    for i in range(1000):
        clock[0] += 0.001
        journal.write("step", "k", i=i, epoch=i // 250)
    journal.write("end", "k")
    journal.flush()
    lines = Tail(str(tmp_path)).poll()
    steps = [line for line in lines if line["e"] == "step"]
    assert [line["epoch"] for line in steps if line["i"] % 250 == 0] == [0, 1, 2, 3]
    assert len(steps) <= 6 and lines[-1]["dropped"] == 1000 - len(steps)


def test_the_begin_and_the_end_of_a_step_are_told_however_much_was_said_before(tmp_path):
    journal = Journal(str(tmp_path), lambda: 0.0)
    for i in range(500):
        journal.write("eval", "k", i=i)
    for event in ("end", "begin", "eval", "end"):
        journal.write(event, "k")
    journal.flush()
    lines = Tail(str(tmp_path)).poll()
    assert [line["e"] for line in lines] == ["eval"] * 200 + ["end", "begin", "end"]
    assert [line.get("dropped") for line in lines[200:]] == [300, None, 1]


def test_long_lines_are_cut(tmp_path):
    journal = Journal(str(tmp_path))
    journal.write("alert", "k", text="x" * 10_000)
    journal.flush()
    (line,) = Tail(str(tmp_path)).poll()
    assert line["e"] == "alert" and line["cut"] > 10_000
