"""What the engine's tests share: a quick run over a fresh store, processes to kill, waiting for a condition."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from crucis.engine import machine
from crucis.engine.drafts import Draft
from crucis.engine.lease import Owner
from crucis.engine.steps import Step
from crucis.engine.store import Store
from crucis.engine.supervisor import Tuning, run
from crucis.records import Result

RUNNER = "engine_toys:run"
QUICK = {"backoff": (0.05, 0.05, 0.05), "look_again_s": (0.05, 0.3), "place_poll_s": 0.1}


def quick(**changes):
    return Tuning(**{**QUICK, **changes})


def go(steps, store, *, tuning=None, workers=2, **more):
    return run(steps, store, runner=RUNNER, workers=workers, tuning=tuning or quick(), environment={}, **more)


def commit(store: Store, step: Step, result: Result | None = None, files=None, **more):
    """Commit a record in this process, as a worker would."""
    out = store.workfolder(step.key)
    for name, data in (files or {}).items():
        Path(out, name).write_bytes(data)
    more.setdefault("numerics", machine.plain_numerics())
    more.setdefault("attempt", {"id": os.urandom(8).hex(), "number": 1})
    result = result or Result(values={"x": 1.0})
    return store.commit(Draft(step.key, step.spec, result, out, **more), durable=False)


def supervisor(steps, store: Store, folder: Path, **keywords) -> subprocess.Popen:
    """A supervisor in a process of its own; its outcome is printed as JSON."""
    plan = store.write_plan(steps)
    code = f"""
import sys; sys.path[:] = {sys.path!r}
import json
from pathlib import Path
from crucis.engine.store import Store
from engine_setup import go, quick
store = Store(Path({store.root!r}))
tuning = quick(**{keywords.pop("tuning", {})!r})
outcome = go(store.read_plan({str(plan)!r}), store, tuning=tuning, **{keywords!r})
print(json.dumps([outcome.done, outcome.cached, outcome.failed, outcome.stopped, outcome.exit_code]))
sys.exit(outcome.exit_code)
"""
    log = (folder / "supervisor.err").open("ab")
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=log, start_new_session=True)


def ended(process: subprocess.Popen, timeout=200):
    out, _ = process.communicate(timeout=timeout)
    done, cached, failed, stopped, code = json.loads(out.splitlines()[-1])
    return {"done": done, "cached": cached, "failed": failed, "stopped": stopped, "exit": code}


def until(condition, timeout=100.0):
    """Wait for something to become true; fail if it does not."""
    limit = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < limit, "waited in vain"
        time.sleep(0.005)


def worker_pids(store: Store) -> list[int]:
    """Processes that ever were workers of this store (their logs carry the pid)."""
    return [
        int(path.name.split(".")[-2]) for path in (store.path / "journal").glob("*.log") if "server" not in path.name
    ]


def alive(pids):
    return [pid for pid in pids if machine.started(pid) is not None]


def held(store: Store) -> list[str]:
    """Leases that are neither removed nor marked as released."""
    files = [path for path in (store.path / "leases").rglob("*.*") if path.is_file()]
    return [path.name for path in files if not released(path)]


def released(path: Path) -> bool:
    try:
        return json.loads(path.read_text())["released"]
    except FileNotFoundError:
        return True


def values(store: Store, steps):
    return {step.key: store.read(step.key).body["content"] for step in steps}


def in_child(action) -> int:
    """Run `action` in a forked process; its exit status (negative: signal)."""
    pid = os.fork()
    if pid == 0:
        try:
            action()
        except BaseException:
            import traceback

            traceback.print_exc()
            os._exit(9)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def kill_at(point: int):
    """A fault that kills this process at the n-th point that it passes."""
    seen = [0]

    def fault(_name):
        if seen[0] == point:
            os.kill(os.getpid(), signal.SIGKILL)
        seen[0] += 1

    return fault


def notes(store: Store, key: str):
    return [(note["class"], note["code"]) for note in store.failures(key, forgiven=True)]


def other(**changes) -> Owner:
    me = Owner.me()
    return Owner(**{"host": "other", "boot": "b", "pidns": me.pidns, "pid": 1, "started": 1, **changes})
