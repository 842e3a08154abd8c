"""The failure table of the engine's specification, row by row: commits, leases, file systems, damaged things.

The number in a test's name is the row's. Steps that go wrong, stopping, batches and plans are in
test_engine_failures_steps.py. Rows that other rooms hold: 2, 30 and 38 in tests/train/test_train_resume.py, 27 in
tests/laws, 28 in tests/study and tests/stats, 32 in tests/endtoend/test_endtoend_ranks.py, 37 in
tests/study/test_study_bundle_attacks.py.
"""

from __future__ import annotations

import errno
import multiprocessing
import os
import signal
import time
from pathlib import Path

import pytest
from engine_setup import (
    RUNNER,
    commit,
    ended,
    go,
    held,
    in_child,
    kill_at,
    notes,
    other,
    quick,
    supervisor,
    until,
    values,
)
from engine_toys import step

from crucis.engine import gc, machine
from crucis.engine.index import Index
from crucis.engine.inline import run_inline
from crucis.engine.journal import Journal
from crucis.engine.lease import Leases, Owner
from crucis.engine.steps import EngineError
from crucis.engine.store import Store
from crucis.records import Result


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


# --- commits and checkpoints -----------------------------------------------------------------------------------


def test_row_01_killed_at_any_point_of_a_commit(tmp_path):
    passed = []
    counting = Store(tmp_path / "count", fault=passed.append)
    commit(counting, step(x=1.0), files={"a.txt": b"abc"})
    assert len(passed) >= 8
    states = []
    for point in range(len(passed)):
        root = tmp_path / f"s{point}"
        Store(root)
        this = step(x=1.0)
        offset = 1  # opening passes one point, too
        status = in_child(lambda: commit(Store(root, fault=kill_at(point + offset)), this, files={"a.txt": b"abc"}))
        plain = Store(root)
        if point + offset < len(passed):
            assert status == -signal.SIGKILL
        record = plain.read(this.key, deep=True)
        states.append(record is not None)
        if record is None:
            assert len(list((root / "tmp").iterdir())) == 1
        assert commit(plain, this, files={"a.txt": b"abc"}).state == ("same" if record else "committed")
        assert plain.read(this.key, deep=True) is not None
        sweep = gc.collect(plain, now=time.time() + 2 * gc.DAY)
        assert len(sweep.tmp) == (0 if record else 1)
        assert list((root / "tmp").iterdir()) == []
    assert True in states and False in states


# --- leases ----------------------------------------------------------------------------------------------------


def test_row_05_host_vanishes(store):
    clock = [100.0]
    theirs = Leases(store.root, ttl=1.0, owner=other())
    mine = Leases(store.root, ttl=99.0, clock=lambda: clock[0])
    lease = theirs.claim("ab" * 32)
    assert lease is not None and mine.claim("ab" * 32) is None
    clock[0] += 0.9
    lease.beat()
    assert mine.claim("ab" * 32) is None
    clock[0] += 0.9
    assert mine.claim("ab" * 32) is None  # the beat moved: the time begins anew
    clock[0] += 1.1
    taken = mine.claim("ab" * 32)
    assert taken is not None and taken.n == 2 and lease.superseded()


def test_row_06_paused_owner_wakes_after_a_takeover(store):
    this = step(x=1.0)
    ready, pid = os.pipe()[0], os.fork()
    if pid == 0:
        late = Leases(store.root, ttl=0.2)
        assert late.claim(this.key)
        os.kill(os.getpid(), signal.SIGSTOP)
        state = commit(Store(store.path), this, Result(values={"x": 2.0})).state
        os._exit(0 if state == "differs" else 1)
    until(lambda: os.waitpid(pid, os.WUNTRACED | os.WNOHANG)[0] == pid)
    mine = Leases(store.root, ttl=0.2)
    assert mine.claim(this.key) is None  # the process lives
    time.sleep(0.3)
    taken = mine.claim(this.key)
    assert taken is not None and taken.n == 2
    assert commit(store, this).state == "committed"
    os.kill(pid, signal.SIGCONT)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert store.read(this.key).values == {"x": 1.0}
    assert notes(store, this.key) == [("deterministic", "not_reproducible")]
    os.close(ready)


def _race(root, keys, barrier, winners, number):
    leases = Leases(root)
    for i, key in enumerate(keys):
        barrier.wait()
        if leases.claim(key) is not None:
            winners[number * len(keys) + i] = 1
    barrier.wait()  # an owner that has ended would be replaced, rightly


def test_row_07_six_takers_for_one_dead_lease(store):
    rounds, takers = 300, 6
    keys = [f"{i:064x}" for i in range(rounds)]
    dead = Leases(store.root, owner=other(host=machine.host(), boot="an earlier one"))
    assert all(dead.claim(key) for key in keys)
    fork = multiprocessing.get_context("fork")
    barrier, winners = fork.Barrier(takers), fork.Array("i", rounds * takers)
    racers = [fork.Process(target=_race, args=(store.root, keys, barrier, winners, n)) for n in range(takers)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join()
        assert racer.exitcode == 0
    counts = [sum(winners[n * rounds + i] for n in range(takers)) for i in range(rounds)]
    assert counts == [1] * rounds


def test_row_08_reused_pids(store):
    me = Owner.me()
    key = "cd" * 32
    reused = Leases(store.root, owner=Owner(me.host, me.boot, me.pidns, me.pid, me.started + 1))
    assert reused.claim(key) is not None
    assert Leases(store.root).claim(key).n == 2  # my pid, but not my start: that process is gone
    key = "ce" * 32
    container = Leases(store.root, owner=Owner(me.host, me.boot, "pid:[1]", 999_999, 5))
    assert container.claim(key) is not None
    assert Leases(store.root).claim(key) is None  # no such pid here says nothing about another namespace
    key = "cf" * 32
    dead = Leases(store.root, owner=Owner(me.host, me.boot, me.pidns, 999_999_9, 5))
    assert dead.claim(key) is not None
    assert Leases(store.root).claim(key).n == 2


@pytest.mark.parametrize("jump", [86_400.0, -86_400.0])
def test_row_09_the_clock_jumps_by_a_day(store, monkeypatch, jump):
    theirs, mine = Leases(store.root, owner=other()), Leases(store.root)
    assert theirs.claim("ab" * 32)
    assert mine.claim("ab" * 32) is None
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + jump)
    assert mine.claim("ab" * 32) is None
    this = step("sleep", seconds=0.05)
    assert run_inline([this], store, RUNNER).done == 1
    assert 0.05 <= store.read(this.key).body["cost"]["wall_s"] < 30.0


def test_row_10_two_supervisors_on_one_store(store, tmp_path):
    marks = tmp_path / "marks"
    steps = [step(x=float(i), marks=str(marks)) for i in range(400)]
    steps += [step("add", {"of": [steps[i].key, steps[i + 1].key]}, x=1.0, marks=str(marks)) for i in range(100)]
    both = [supervisor(steps, store, tmp_path) for _ in range(2)]
    ends = [ended(process) for process in both]
    assert [end["exit"] for end in ends] == [0, 0]
    begun = marks.read_text().split()
    assert len(begun) == len(set(begun)) == 500
    assert sum(end["done"] for end in ends) == 500
    assert len(store.hits(each.key for each in steps)) == 500
    assert held(store) == []


# --- file systems ----------------------------------------------------------------------------------------------


def test_row_11_a_rename_or_link_that_succeeded_and_answered_with_an_error(tmp_path):
    def lie(point):
        if point in ("commit.renamed", "linked"):
            raise OSError(errno.EIO, "the answer was lost")

    store = Store(tmp_path / "store", fault=lie)
    this = step(x=1.0)
    assert commit(store, this).state == "committed"
    assert store.read(this.key) is not None and notes(store, this.key) == []
    lease = Leases(store.root, fault=lie).claim(this.key)
    assert lease is not None and Path(lease.path).exists()


class Forgetful(Store):
    """A store whose first look at each key misses (a stale listing)."""

    def __init__(self, root):
        self.lied = set()
        super().__init__(root)

    def has(self, key):
        if key not in self.lied:
            self.lied.add(key)
            return False
        return super().has(key)


def test_row_12_a_stale_listing(tmp_path):
    steps = [step(x=float(i)) for i in range(5)]
    root = tmp_path / "store"
    assert run_inline(steps, Store(root), RUNNER).done == 5
    before = values(Store(root), steps)
    stale = Forgetful(root)
    outcome = run_inline(steps, stale, RUNNER)
    assert outcome.exit_code == 0
    assert values(stale, steps) == before
    assert not list((root / "failures").iterdir()) and not list((root / "tmp").iterdir())


@pytest.mark.parametrize("point", ["commit.begin", "commit.files", "commit.written", "commit.rename"])
def test_row_13_the_disk_is_full_in_a_commit(tmp_path, point):
    full = [True]

    def fault(name):
        if full[0] and name == point:
            raise OSError(errno.ENOSPC, "No space left on device")

    store = Store(tmp_path / "store", fault=fault)
    this = step(x=1.0)
    with pytest.raises(EngineError, match="No space left"):
        run_inline([this], store, RUNNER)
    assert store.read(this.key) is None and notes(store, this.key) == []
    assert not list((store.path / "tmp").iterdir())
    full[0] = False
    assert run_inline([this], store, RUNNER).done == 1


def test_row_13_a_full_disk_pauses_and_goes_on(store, tmp_path):
    steps = [step("fill", where=str(tmp_path / "n")), step(x=1.0)]
    events = []
    outcome = go(steps, store, tuning=quick(place_free=0), progress=lambda event: events.append(event.kind))
    assert outcome.exit_code == 0 and outcome.done == 2
    assert "paused" in events and "resumed" in events
    assert notes(store, steps[0].key) == []
    assert store.read(steps[0].key).body["attempt"]["number"] == 1


def test_row_13_a_disk_that_stays_full_stops_the_run(store, tmp_path):
    steps = [step("fill", where=str(tmp_path / "n"))]
    outcome = go(steps, store, tuning=quick(place_free=1 << 62, place_wait_s=0.3))
    assert outcome.exit_code == 130 and outcome.left == [steps[0].key]
    assert held(store) == []


def test_row_13_a_journal_without_space_loses_lines_only(tmp_path):
    journal = Journal(str(tmp_path / "nowhere"))
    journal.write("begin", "k")
    journal.flush()
    assert journal.lost == 1


def test_row_14_read_only_store(tmp_path):
    def fault(point):
        if point == "probe":
            raise OSError(errno.EROFS, "Read-only file system")

    store = Store(tmp_path / "store", fault=fault)
    with pytest.raises(EngineError, match=str(tmp_path / "store")):
        go([step(x=1.0)], store)
    assert not list((store.path / "plans").iterdir())
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(EngineError, match="file"):
        Store(tmp_path / "file" / "store")
    if os.geteuid() != 0:
        plain = Store(tmp_path / "plain")
        (plain.path / "tmp").chmod(0o500)
        with pytest.raises(EngineError, match="plain"):
            go([step(x=1.0)], plain)
        (plain.path / "tmp").chmod(0o700)


# --- damaged things --------------------------------------------------------------------------------------------


def _flip(folder):
    data = bytearray((folder / "record.json").read_bytes())
    data[len(data) // 2] ^= 1
    (folder / "record.json").write_bytes(data)


def _value(folder):
    text = (folder / "record.json").read_text()
    (folder / "record.json").write_text(text.replace('"x":1.0', '"x":9.0'))


DAMAGE = {
    "bit": _flip,
    "value": _value,
    "short_file": lambda folder: (folder / "a.txt").write_bytes(b"zz"),
    "no_file": lambda folder: (folder / "a.txt").unlink(),
    "empty": lambda folder: (folder / "record.json").write_bytes(b""),
}


@pytest.mark.parametrize("kind", [*DAMAGE, "other_key", "content"])
def test_row_22_damaged_records(store, kind):
    this, another = step("write", size=10), step("write", size=10, name="b.txt")
    run_inline([this, another], store, RUNNER)
    folder = Path(store.folder(this.key))
    before = store.read(this.key).body["content"]
    if kind == "other_key":
        (folder / "record.json").write_bytes((Path(store.folder(another.key)) / "record.json").read_bytes())
    elif kind == "content":
        (folder / "a.txt").write_bytes(b"y" * 10)  # same size: only deep reading sees it
        assert store.read(this.key) is not None
        assert [problem.key for problem in store.verify()] == [this.key]
    else:
        DAMAGE[kind](folder)
    assert store.read(this.key) is None
    assert not store.has(this.key) and len(list((store.path / "quarantine").iterdir())) == 1
    assert notes(store, this.key) == [("notice", "corrupt")]
    assert run_inline([this, another], store, RUNNER).done == 1
    assert store.read(this.key, deep=True).body["content"] == before


def test_row_22_a_damaged_input_is_made_again(store):
    base = step("write", size=10)
    run_inline([base], store, RUNNER)
    (Path(store.folder(base.key)) / "a.txt").unlink()
    steps = [base, step("add", {"of": base.key}, x=1.0)]
    outcome = go(steps, store)
    assert outcome.exit_code == 0 and outcome.done == 2
    assert store.read(base.key, deep=True) is not None
    alone = [step("add", {"of": base.key}, x=2.0)]
    (Path(store.folder(base.key)) / "a.txt").unlink()
    assert go(alone, store).failed == [alone[0].key]
    assert notes(store, alone[0].key) == [("deterministic", "input_gone")]


def test_row_22_a_folder_without_a_record_is_moved_out_of_the_way(store):
    this = step(x=1.0)
    folder = Path(store.folder(this.key))
    folder.mkdir(parents=True)
    (folder / "left.txt").write_text("by a power loss")
    assert not store.has(this.key) and store.read(this.key) is None
    assert commit(store, this).state == "committed"
    assert store.read(this.key) is not None


@pytest.mark.parametrize("kind", ["deleted", "truncated", "garbage", "old", "locked"])
def test_row_23_index_lost(store, tmp_path, kind):
    import sqlite3

    steps = [step(x=float(i)) for i in range(6)]
    run_inline(steps, store, RUNNER)
    keys = [each.key for each in steps]
    index = Index(store, tmp_path / "cache")
    truth = index.bodies(keys)
    assert len(truth) == 6
    index.close()
    if kind == "deleted":
        index.delete()
    elif kind == "truncated":
        index.path.write_bytes(index.path.read_bytes()[:3000])
    elif kind == "garbage":
        index.path.write_bytes(b"no database" * 500)
    elif kind == "old":
        with sqlite3.connect(index.path) as db:
            db.execute("update meta set version = 0")
        db.close()
    else:
        holder = sqlite3.connect(index.path, isolation_level=None)
        holder.execute("pragma journal_mode=delete")
        holder.execute("begin exclusive")
        assert Index(store, tmp_path / "cache", patience_s=0.1).bodies(keys) == truth
        holder.close()
        return
    for suffix in ("-wal", "-shm"):
        Path(f"{index.path}{suffix}").unlink(missing_ok=True)
    assert Index(store, tmp_path / "cache").bodies(keys) == truth


def test_row_24_index_on_a_network_mount(store, tmp_path):
    mounts = f"/dev/vda / ext4 rw 0 0\nserver:/x {tmp_path} nfs4 rw 0 0\n"
    with pytest.raises(EngineError, match="nfs4"):
        Index(store, tmp_path / "cache", mounts=mounts)
    assert str(tmp_path) not in str(Index(store).path)
