"""Runs as processes: two at once, killed and taken up again, stopped with Ctrl-C; the same bits in every case."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import time
from collections import Counter

import pytest
from lab import STUDY, Lab

from crucis.engine.inline import run_inline
from crucis.engine.store import Store
from crucis.study import session as sessions

#: Long enough to be killed in the middle: a training with some hundred steps and a measurement of it.
LONG = STUDY.format(seeds=2).replace("batch: 256, for: 2 epochs", "batch: 32, for: 30 epochs, evaluate_every: 5 steps")


def begun(lab, store=None):
    """How often each step was begun, by what the workers wrote."""
    found = Counter()
    for path in ((store or lab.store) / "journal").glob("*.jsonl"):
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            with contextlib.suppress(ValueError):
                if (entry := json.loads(line)).get("e") == "begin":
                    found[entry["k"]] += 1
    return found


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The contents of the long study, run once in one go; stacked where seeds may be."""
    folder = tmp_path_factory.mktemp("undisturbed")
    lab = Lab(folder)
    lab.write(LONG)
    assert lab("run").code == 0
    return lab


def test_two_runs_of_one_study_at_once(lab, undisturbed):
    """Acceptance 5: one record per key, no step begun twice, both end well."""
    lab.write(LONG)
    Store(lab.store)
    both = [lab.process("run", "study.yaml", "--quiet", "--workers", "1") for _ in range(2)]
    said = [process.communicate(timeout=240) for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert lab.contents() == undisturbed.contents()
    counts = begun(lab)
    assert len(counts) == 8
    assert set(counts.values()) == {1}
    assert all(body["attempt"]["number"] == 1 for body in lab.bodies().values())
    assert not list((lab.store / "tmp").iterdir())
    assert not [path for path in (lab.store / "leases").rglob("*") if path.is_file()]
    assert not list((lab.store / "failures").iterdir())
    assert "8 cached, 0 run" in lab("run").out


def test_killed_again_and_again_it_ends_the_same(lab, undisturbed):
    """SIGKILL of everything at random moments, then the same command: no finished record lost or made again."""
    lab.write(LONG)
    draw = random.Random(20)
    kept: dict[str, str] = {}
    kills = 0
    for delay in (0.0, draw.uniform(0.0, 0.3), draw.uniform(0.0, 0.6)):
        running = lab.process("run", "study.yaml", "--quiet", "--workers", "1")
        wait_for_work(lab, running)
        time.sleep(delay)
        if running.poll() is None:
            kills += 1
        with contextlib.suppress(ProcessLookupError):
            os.killpg(running.pid, signal.SIGKILL)
        running.communicate()
        now = lab.contents()
        assert kept.items() <= now.items()
        kept = now
    assert kills >= 1
    attempts = {key: body["attempt"]["id"] for key, body in lab.bodies().items()}
    last = lab("run")
    assert last.code == 0, last.all
    assert lab.contents() == undisturbed.contents()
    after = {key: body["attempt"]["id"] for key, body in lab.bodies().items()}
    assert attempts.items() <= after.items()


def wait_for_work(lab, running):
    """Until a worker has begun something."""
    before = sum(path.stat().st_size for path in (lab.store / "journal").glob("*.jsonl"))
    while running.poll() is None:
        if sum(path.stat().st_size for path in (lab.store / "journal").glob("*.jsonl")) > before:
            return
        time.sleep(0.02)


def test_ctrl_c_once_saves_and_the_next_run_goes_on(lab, undisturbed):
    lab.write(LONG.replace("30 epochs", "400 epochs").split("analysis:")[0])
    running = lab.process("run", "study.yaml", "--quiet", "--workers", "1")
    wait_for_work(lab, running)
    time.sleep(0.7)
    os.killpg(running.pid, signal.SIGINT)
    out, err = running.communicate(timeout=200)
    assert running.returncode == 130, out + err
    assert "to go on: crucis run study.yaml" in out
    assert "Traceback" not in out + err
    held = [json.loads(path.read_bytes()) for path in (lab.store / "leases").rglob("*") if path.is_file()]
    assert all(lease["released"] for lease in held)
    assert not list((lab.store / "failures").iterdir())
    assert list((lab.store / "scratch").iterdir())


def test_a_stopped_training_goes_on_bit_for_bit(lab, undisturbed):
    lab.write(LONG)
    running = lab.process("run", "study.yaml", "--quiet", "--workers", "1")
    wait_for_work(lab, running)
    os.killpg(running.pid, signal.SIGINT)
    running.communicate(timeout=200)
    assert running.returncode in (0, 130)
    assert lab("run").code == 0
    assert lab.contents() == undisturbed.contents()


def test_workers_in_this_process_and_alone_or_stacked_say_the_same(lab, undisturbed):
    """Pool against in-process, stacked seeds against solo runs: equal to the bit."""
    stacked = {body["attempt"]["executor"] for body in undisturbed.of_kind("train/supervised").values()}
    assert stacked == {"stacked"}, stacked
    lab.write(LONG)
    session = sessions.open_session(lab.folder / "study.yaml")
    session.plan.code.keep(session.store.path / "code")
    outcome = run_inline(session.plan.steps(), session.store)
    assert outcome.exit_code == 0
    assert {body["attempt"]["executor"] for body in lab.bodies().values()} == {"solo"}
    assert lab.contents() == undisturbed.contents()
    assert "8 cached, 0 run" in lab("run").out


def test_a_worker_that_is_told_the_plan_only(lab, undisturbed):
    """`crucis work`: a bare supervisor on a plan that another run wrote."""
    (plan,) = (undisturbed.store / "plans").glob("*.json")
    from lab import said

    answer = said(["work", str(plan), "--store", str(lab.store), "--workers", "1", "--quiet"])
    assert answer.code == 0, answer.all
    assert "0 cached, 8 run" in answer.out
    assert lab.contents() == undisturbed.contents()
