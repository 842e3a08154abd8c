"""The failure table of the engine's specification: steps that go wrong, stopping, batches, plans."""

from __future__ import annotations

import errno
import json
import os
import signal
import time
from dataclasses import replace

import pytest
from engine_setup import (
    RUNNER,
    alive,
    commit,
    ended,
    go,
    held,
    notes,
    other,
    quick,
    supervisor,
    until,
    values,
    worker_pids,
)
from engine_toys import at_key, step

from crucis import canon
from crucis.engine import failures, gc, machine
from crucis.engine.frontier import Frontier
from crucis.engine.inline import run_inline
from crucis.engine.journal import Tail
from crucis.engine.lease import Leases
from crucis.engine.steps import EngineError
from crucis.engine.store import Store
from crucis.engine.supervisor import run
from crucis.records import Result


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


# --- workers and supervisors that die ---------------------------------------------------------------------------


def test_row_03_worker_dies_by_signal(store, tmp_path):
    steps = [step("die", times=1, where=str(tmp_path / "n")), *[step("hash", seed=i, rounds=300) for i in range(4)]]
    outcome = go(steps, store)
    assert outcome.exit_code == 0 and outcome.done == 5
    assert notes(store, steps[0].key) == [("transient", "died_sigkill")]
    attempt = store.read(steps[0].key).body["attempt"]
    assert attempt["number"] == 2 and attempt["failures"][0]["code"] == "died_sigkill"
    assert all(store.read(each.key).body["attempt"]["number"] == 1 for each in steps[1:])


def test_row_03_at_most_three_tries(store, tmp_path):
    steps = [step("leave"), step(x=1.0)]
    outcome = go(steps, store)
    assert outcome.failed == [steps[0].key] and outcome.exit_code == 3
    assert notes(store, steps[0].key) == [("transient", "died_exit")] * 3
    for tries in (4, 5):  # over restarts, too: asking again gives one more each
        again = go(steps, store)
        assert again.failed == [steps[0].key] and len(notes(store, steps[0].key)) == tries


def test_row_04_supervisor_killed(store, tmp_path):
    steps = [step("hash", seed=i, rounds=2000, hints={"pause": 0.05}) for i in range(3)]
    first = supervisor(steps, store, tmp_path)
    until(lambda: len(list((store.path / "scratch").glob("*/state.json"))) >= 2)
    pids = worker_pids(store)
    os.kill(first.pid, signal.SIGKILL)
    assert len(pids) == 2
    until(lambda: not alive(pids))
    first.wait()
    outcome = go(steps, store)
    assert outcome.exit_code == 0
    reference = Store(tmp_path / "reference")
    run_inline([replace(each, hints={}) for each in steps], reference, RUNNER)
    assert values(store, steps) == values(reference, steps)
    assert held(store) == []


# --- memory, hanging, dying ------------------------------------------------------------------------------------


def test_row_15_out_of_memory_kill(store, tmp_path):
    counter = [0]

    def oom_kills():
        counter[0] += 1
        return counter[0]

    this = step("die", times=9, where=str(tmp_path / "n"))
    outcome = go([this, step(x=1.0)], store, tuning=quick(oom_kills=oom_kills))
    assert outcome.failed == [this.key]
    assert notes(store, this.key) == [("memory", "out_of_memory")] * 2


def test_row_16_gpu_out_of_memory(store, tmp_path):
    """With an exception of the name that the framework raises; on a real GPU this belongs to the trainer's tests."""
    steps = [
        step("raise_first", n=1, kind="gpu", where=str(tmp_path / "n")),
        *[step("sleep", seconds=0.02 * i) for i in range(4)],
    ]
    outcome = go(steps, store, workers=1)
    assert outcome.exit_code == 0
    assert notes(store, steps[0].key) == [("memory", "gpu_out_of_memory")]
    assert len(worker_pids(store)) >= 2  # the worker was replaced
    final = step("raise_first", n=9, kind="gpu", where=str(tmp_path / "m"))
    assert go([final], store).failed == [final.key]
    assert len(notes(store, final.key)) == 2


@pytest.mark.parametrize(("do", "frame"), [("hang", "do_hang"), ("hold_lock", "do_hold_lock")])
def test_row_17_a_worker_hangs(store, tmp_path, do, frame):
    this = step(do, times=1, where=str(tmp_path / "n"))
    outcome = go([this, step(x=1.0)], store, stall_s=3.0)  # longer than a worker needs to begin
    assert outcome.exit_code == 0 and outcome.done == 2
    (note,) = store.failures(this.key)
    assert (note["class"], note["code"]) == ("transient", "stall")
    assert frame in note["log_tail"]


def test_row_18_nan_loss(store):
    train = step("nan_at", at=7)
    steps = [train, step("add", {"of": train.key}, x=1.0)]
    outcome = go(steps, store)
    assert outcome.exit_code == 0 and (outcome.diverged, outcome.refused) == (1, 1)
    record = store.read(train.key)
    assert record.outcome == "diverged" and record.body["reason"]["where"] == "step 7"
    assert store.read(steps[1].key).body["reason"]["code"] == "input_refused"
    assert notes(store, train.key) == []
    again = go(steps, store)
    assert (again.done, again.cached) == (0, 2)


def test_row_19_values_that_may_not_be_recorded(store):
    steps = {name: step("value", which=name) for name in ("nan", "inner", "float32", "large", "bytes")}
    outcome = go(list(steps.values()), store)
    for name, where in (("nan", "x"), ("inner", "curve.20")):
        record = store.read(steps[name].key)
        assert record.outcome == "refused" and record.body["reason"]["code"] == "not_finite"
        assert where in record.body["reason"]["text"] and record.values == {}
    import numpy as np

    assert store.read(steps["float32"].key).values == {"x": float(np.float32(0.1)), "n": 3}
    assert set(outcome.failed) == {steps["large"].key, steps["bytes"].key}
    assert "1,000,000" in store.failures(steps["large"].key)[0]["text"]
    assert "values.x" in store.failures(steps["bytes"].key)[0]["text"]


def test_row_20_exception_in_a_leaf(store):
    bad = step("raise", text="no such column")
    steps = [bad, step("add", {"of": bad.key}), *[step(x=float(i)) for i in range(5)]]
    outcome = go(steps, store)
    assert outcome.exit_code == 3
    assert outcome.failed == [bad.key] and outcome.blocked == [steps[1].key] and outcome.done == 5
    (note,) = store.failures(bad.key)
    assert (
        note["class"] == "deterministic" and "no such column" in note["traceback"] and "do_raise" in note["traceback"]
    )
    assert go(steps, store).failed == [bad.key] and len(store.failures(bad.key)) == 1
    assert go(steps, store, again="failed").failed == [bad.key]
    assert len(store.failures(bad.key, forgiven=True)) == 2


def test_row_21_a_poisoned_step(store, tmp_path):
    poison = step("die", times=99, where=str(tmp_path / "n"))
    marks = tmp_path / "marks"
    steps = [poison, *[step("sleep", seconds=0.1, marks=str(marks), i=i) for i in range(4)]]
    running = []
    last = []

    def progress(event):
        if event.kind == "begin" and event.key == poison.key:
            last.append(event.running)
        running.append(event.running)

    outcome = go(steps, store, progress=progress)
    assert outcome.failed == [poison.key] and outcome.done == 4
    assert len(last) == 3 and last[-1] == 1  # the last try was alone


# --- stopping --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1])
def test_row_25_one_signal_finishes_cleanly(store, tmp_path, number):
    steps = [step("hash", seed=i, rounds=1500, hints={"pause": 0.2}) for i in range(3)]
    first = supervisor(steps, store, tmp_path)
    until(lambda: len(list((store.path / "scratch").glob("*/state.json"))) >= 2)
    os.killpg(first.pid, number)
    end = ended(first)
    assert end["exit"] == 130 and end["stopped"]
    assert held(store) == []
    until(lambda: not alive(worker_pids(store)))
    assert not list((store.path / "failures").iterdir())
    steps = [replace(each, hints={}) for each in steps]
    assert go(steps, store).exit_code == 0
    reference = Store(tmp_path / "reference")
    run_inline(steps, reference, RUNNER)
    assert values(store, steps) == values(reference, steps)


def test_row_25_two_signals_stop_now(store, tmp_path):
    steps = [step("stubborn", seconds=60.0, i=i) for i in range(2)]
    first = supervisor(steps, store, tmp_path)
    until(lambda: len(list((store.path / "leases").rglob("*.1"))) >= 2 and len(worker_pids(store)) == 2)
    os.killpg(first.pid, signal.SIGINT)
    time.sleep(0.3)
    assert first.poll() is None  # the grace time runs
    os.killpg(first.pid, signal.SIGINT)
    assert ended(first, timeout=25)["exit"] == 130  # the grace time is longer
    assert held(store) == []
    until(lambda: not alive(worker_pids(store)))


def test_row_25_the_grace_time_ends(store, tmp_path):
    steps = [step("stubborn", seconds=60.0)]
    first = supervisor(steps, store, tmp_path, tuning={"grace_s": 0.3})
    until(lambda: len(worker_pids(store)) == 1)
    os.kill(first.pid, signal.SIGTERM)
    assert ended(first, timeout=50)["exit"] == 130 and held(store) == []  # the step takes longer


def test_row_25_walltime(store):
    steps = [step("sleep", seconds=60.0)]
    outcome = go(steps, store, tuning=quick(walltime_s=120.3))
    assert outcome.exit_code == 130 and outcome.left == [steps[0].key] and held(store) == []


# --- owned by other rooms --------------------------------------------------------------------------------------


def test_row_26_code_is_kept_as_it_was_when_planned(store):
    """The engine's half: digested bytes lie in the store. That workers import from there is the study's to show."""
    folder = store.code({"net.py": b"x = 1\n", "sub/other.py": b"y = 2\n"})
    assert (folder / "sub/other.py").read_bytes() == b"y = 2\n"
    assert store.code({"net.py": b"x = 1\n", "sub/other.py": b"y = 2\n"}) == folder
    assert store.code({"net.py": b"x = 3\n"}) != folder
    for bad in ("../x.py", "/etc/x.py", "a\\b.py"):
        with pytest.raises(EngineError):
            store.code({bad: b""})


def test_row_29_same_key_other_content(store):
    this = step("clock")
    first = commit(store, this, Result(values={"x": 1.0}))
    assert commit(store, this, Result(values={"x": 1.0})).state == "same"
    second = commit(store, this, Result(values={"x": 2.0}))
    assert (first.state, second.state) == ("committed", "differs")
    (note,) = store.failures(this.key)
    assert note["code"] == "not_reproducible" and note["parts"] == ["values.x"]
    assert store.read(this.key).values == {"x": 1.0}
    elsewhere = {**machine.plain_numerics(), "machine": "other"}
    commit(store, this, Result(values={"x": 3.0}), numerics=elsewhere)
    assert len(store.failures(this.key)) == 1  # other hardware may differ


# --- batches, fork server, journal -----------------------------------------------------------------------------


def test_row_31_a_batch_of_seeds(store, tmp_path):
    def seed(n, **more):
        return step("company", group="g", seed=n, **more)

    steps = [seed(1), seed(2, fate="nan"), seed(3, fate="raise"), seed(4)]
    stolen = seed(5)
    theirs = Leases(store.root, owner=other())
    assert theirs.claim(stolen.key)
    commit(store, stolen, Result(values={"x": 10.0, "company": 1.0}))
    outcome = go([*steps, stolen], store, workers=1, stack=lambda each: 16)
    assert outcome.exit_code == 0
    assert store.read(steps[1].key).outcome == "diverged"
    assert [store.read(each.key).values for each in (steps[0], steps[3])] == [
        {"x": 2.0, "company": 4.0},
        {"x": 8.0, "company": 4.0},
    ]
    assert store.read(steps[2].key).values == {"x": 6.0, "company": 1.0}  # ran alone before a failure was counted
    assert notes(store, steps[2].key) == []


def test_row_31_a_batch_that_raises_runs_one_by_one(store):
    steps = [step("company", group="g", seed=i, fate="raise_batch" if i == 1 else "") for i in range(3)]
    outcome = go(steps, store, workers=1, stack=lambda each: 16)
    assert outcome.done == 3
    assert [store.read(each.key).values["company"] for each in steps] == [1.0] * 3


def test_row_33_a_preload_that_fails(store, tmp_path, monkeypatch):
    with pytest.raises(EngineError, match="no_such_module_anywhere"):
        go([step(x=1.0)], store, preload=["no_such_module_anywhere"])
    with pytest.raises(EngineError, match="no_such_runner"):
        run([step(x=1.0)], store, runner="no_such_runner:run", environment={})
    with pytest.raises(EngineError, match="no_function"):
        run([step(x=1.0)], store, runner="engine_toys:no_function", environment={})
    (tmp_path / "lib" / "torch").mkdir(parents=True)
    (tmp_path / "lib" / "torch" / "__init__.py").write_text("from . import cuda\n")
    (tmp_path / "lib" / "torch" / "cuda.py").write_text("def is_initialized():\n    return True\n")
    monkeypatch.syspath_prepend(str(tmp_path / "lib"))
    with pytest.raises(EngineError, match="CUDA was initialised"):
        go([step(x=1.0)], store, preload=["torch"])
    assert notes(store, step(x=1.0).key) == [] and held(store) == []


def test_row_34_a_flood_of_output(store):
    this = step("print", lines=100_000)
    assert go([this], store).exit_code == 0
    logs = [path for path in (store.path / "journal").iterdir() if ".log" in path.name]
    assert sum(path.stat().st_size for path in logs) < 12 << 20
    assert any(path.name.endswith(".log.1") for path in logs)  # however fast it came
    lines = [line for line in Tail(str(store.path / "journal")).poll() if line["k"] == this.key[:12]]
    assert lines[-1]["e"] == "end" and lines[-1]["dropped"] + len(lines) > 100_000
    assert len(lines) <= 210 * (lines[-1]["m"] - lines[0]["m"] + 2)  # 200 a second, and those that are never dropped


def test_row_35_torn_and_foreign_journal_lines(tmp_path):
    tail = Tail(str(tmp_path))
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"e":"up","k":""}\nnot json\n[1]\n{"e":"begin","k":"ab"}\n{"e":"st')
    assert [line["e"] for line in tail.poll()] == ["up", "begin"]
    assert tail.skipped == 2
    with path.open("ab") as file:
        file.write(b'ep","k":"ab"}\n')
    assert [line["e"] for line in tail.poll()] == ["step"]
    assert tail.poll() == []


# --- garbage, values, plans ------------------------------------------------------------------------------------


def test_row_36_a_plan_written_during_a_sweep(store):
    old, used, fresh = step(x=1.0), step(x=2.0), step(x=3.0)
    run_inline([old, used, fresh], store, RUNNER)
    for path in (store.path / "plans").iterdir():
        path.unlink()
    later = time.time() + 30 * gc.DAY
    plan = [used, step("add", {"of": fresh.key})]

    def fault(point):
        if point == "marked":
            file = store.write_plan(plan)
            os.utime(file, (later, later))

    sweep = gc.collect(store, now=later, fault=fault)
    assert sweep.records == [old.key]
    assert not store.has(old.key) and store.has(used.key) and store.has(fresh.key)
    assert run_inline(plan, store, RUNNER).done == 1


def test_row_39_canonical_form():
    with pytest.raises(ValueError, match="become equal"):
        canon.canonical({"\u00e9": 1, "e\u0301": 2})
    with pytest.raises(ValueError, match=r"a\.lr"):
        canon.canonical({"a": {"lr": float("nan")}})
    with pytest.raises(TypeError, match="no text"):
        canon.canonical({1: 2})
    assert len({canon.step_key({"v": value}) for value in (1, 1.0, True, "1", None)}) == 5
    assert canon.step_key({"v": -0.0}) == canon.step_key({"v": 0.0})


def test_row_40_a_large_plan_with_a_cycle_or_a_hole(store):
    many = [step(x=float(i)) for i in range(2)]
    chain = [many[0]]
    spec = {"kind": "toy"}
    for i in range(100_000):
        key = f"{i:064x}"
        chain.append(type(many[0])(key, spec, {"of": chain[-1].key}, label=f"link {i}"))
    begun = time.process_time()
    frontier = Frontier(chain, store.has, store.read)
    assert frontier.peek() == many[0].key
    assert time.process_time() - begun < 60
    a, b = f"{1:063x}a", f"{1:063x}b"
    circle = [*chain[:10], type(many[0])(a, spec, {"of": b}, label="A"), type(many[0])(b, spec, {"of": a}, label="B")]
    with pytest.raises(EngineError, match=r"A -> B -> A"):
        Frontier(circle, store.has, store.read)
    with pytest.raises(EngineError, match=r"hole.*'of' needs the record ffff"):
        Frontier([type(many[0])(a, spec, {"of": "f" * 64}, label="hole")], store.has, store.read)


def test_every_line_of_the_classifier():
    def named(name, text):
        return type(name, (RuntimeError,), {})(text)

    cases = [
        (named("OutOfMemoryError", "CUDA out of memory"), "memory", "gpu_out_of_memory"),
        (RuntimeError("CUDA out of memory. Tried"), "memory", "gpu_out_of_memory"),
        (RuntimeError("CUBLAS_STATUS_ALLOC_FAILED"), "memory", "gpu_out_of_memory"),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"), "memory", "out_of_memory"),
        (MemoryError(), "memory", "out_of_memory"),
        (named("_ArrayMemoryError", "Unable to allocate"), "memory", "out_of_memory"),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), "memory", "out_of_memory"),
        (RuntimeError("CUDA error: unspecified launch failure"), "transient", "device_error"),
        (named("AcceleratorError", "CUDA error: device-side assert"), "transient", "device_error"),
        (ConnectionResetError("reset"), "transient", "connection"),
        (EOFError("end"), "transient", "connection"),
        (OSError(errno.EIO, "Input/output error"), "transient", "eio"),
        (OSError(errno.ENOSPC, "No space left on device"), "place", "enospc"),
        (OSError(errno.EROFS, "Read-only"), "place", "erofs"),
        (RuntimeError("write failed: No space left on device (os error 28)"), "place", "enospc"),
        (KeyError("x"), "deterministic", "key_error"),
        (FileNotFoundError(errno.ENOENT, "no"), "deterministic", "file_not_found_error"),
        (RuntimeError("shapes do not match"), "deterministic", "runtime_error"),
        (named("Stopped", "asked"), "stopped", "stopped"),
        (named("ReplayDiffers", "x"), "deterministic", "replay_differs"),
    ]
    for error, kind, code in cases:
        assert failures.classify(error) == (kind, code), error


def test_checkpoints_that_were_not_kept_are_made_by_a_replay(store):
    base = step("train", rounds=4)
    key = at_key(base.key, 2)
    train = type(base)(base.key, base.spec, {}, publishes=(key,), label="train")
    assert go([base], store).done == 1  # nobody needed checkpoints then
    probe = step("add", {"of": key}, x=1.0)
    outcome = go([train, probe], store)
    assert outcome.exit_code == 0 and outcome.done == 2
    assert json.loads(json.dumps(store.read(key).spec)) == {"kind": "at", "of": base.key, "at": 2}
    assert (go([train, probe], store).done, outcome.failed) == (0, [])
