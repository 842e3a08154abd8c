"""The kill campaign: SIGKILL of a supervisor or a worker at random moments, the same command again, many times.

    python benchmarks/kill.py                                  toy steps, 50 kills
    python benchmarks/kill.py --study FILE [--kills 50]        the command line `crucis run FILE`
    python benchmarks/kill.py --search                         two searches of 12 trials, 10 kills

Checked after every kill and at the end: no finished record is lost, changed or recomputed (another attempt), and the
final values equal those of an undisturbed run to the bit. Prints a table and writes `benchmarks/results/kill.json`
and `.txt`.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from crucis.canon import step_key
from crucis.engine import machine
from crucis.engine.steps import Step
from crucis.engine.store import Store

RESULTS = Path(__file__).parent / "results"

TOY = '''
import hashlib, json, time
from crucis.errors import Stopped
from crucis.records import Result


def run(steps, contexts):
    """A chain of hashes with a checkpoint every 50 rounds; its end depends on every round and input."""
    step, ctx = steps[0], contexts[0]
    state, i = json.dumps([step.spec["seed"], [record.values["x"] for record in ctx.records.values()]]), 0
    save = ctx.scratch / "state.json"
    if save.exists():
        state, i = json.loads(save.read_text())
    while i < step.spec["rounds"]:
        state = hashlib.sha256(state.encode()).hexdigest()
        i += 1
        if i % 50 == 0:
            draft = ctx.scratch / "draft"
            draft.write_text(json.dumps([state, i]))
            draft.replace(save)
            ctx.beat(i=i)
            time.sleep(step.hints["pause"])
        if ctx.stopping():
            raise Stopped("saved")
    return [Result(values={"x": int(state[:12], 16) / 16**12})]
'''

CLI = "import sys; from crucis.cli import main; sys.exit(main())"

DRIVER = """
import sys; sys.path[:] = {path!r}
from pathlib import Path
from crucis.engine.store import Store
from crucis.engine.supervisor import Tuning, run
store = Store(Path(sys.argv[1]))
steps = store.read_plan({plan!r})
sys.exit(run(steps, store, runner="kill_toy:run", workers=2, environment={{}}).exit_code)
"""


@dataclass
class Campaign:
    """One command that is killed again and again over one store."""

    command: list[str]
    store: Path
    env: dict[str, str]
    finished: dict[str, tuple[str, str]] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    kills: dict[str, int] = field(default_factory=lambda: {"supervisor": 0, "worker": 0, "too late": 0})

    def start(self) -> subprocess.Popen[bytes]:
        """The command, in a session of its own."""
        quiet = subprocess.DEVNULL
        return subprocess.Popen(self.command, env=self.env, stdout=quiet, stderr=quiet, start_new_session=True)

    def workers(self) -> list[int]:
        """Living workers of this store (their logs carry their pids)."""
        logs = [path for path in (self.store / "journal").glob("*.log") if not path.name.endswith("server.log")]
        pids = [int(path.name.split(".")[-2]) for path in logs]
        return [pid for pid in pids if machine.started(pid) is not None]

    def look(self) -> None:
        """Compare with what was finished before."""
        if not (self.store / "store.json").exists():
            return
        store = Store(self.store)
        for key in store.all_keys():
            record = store.read(key)
            if record is None:
                self.faults.append(f"{key[:12]} was damaged")
                continue
            now = (record.body["content"], record.body["attempt"]["id"])
            if self.finished.setdefault(key, now) != now:
                self.faults.append(f"{key[:12]} was computed again")
        self.faults += [f"{key[:12]} was lost" for key in self.finished if not store.has(key)]

    def once(self, dice: random.Random, longest: float) -> bool:
        """Start, wait, kill; whether the kill came in time."""
        process = self.start()
        limit = time.monotonic() + dice.uniform(0.0, longest)
        while time.monotonic() < limit and process.poll() is None:
            time.sleep(0.005)
        if process.poll() is not None:
            self.kills["too late"] += 1
            self.look()
            return False
        pids = self.workers()
        who = dice.choice(["supervisor", "worker"]) if pids else "supervisor"
        try:
            os.kill(process.pid if who == "supervisor" else dice.choice(pids), signal.SIGKILL)
        except ProcessLookupError:
            who = "too late"
        self.kills[who] += 1
        if who == "worker":  # the command lives on and tries again; end it, too, at another moment
            time.sleep(dice.uniform(0.0, 0.5))
            process.kill()
        process.wait()
        while self.workers():
            time.sleep(0.005)
        self.look()
        return who != "too late"


def toy(folder: Path, pause: float) -> tuple[list[str], list[Step]]:
    """The command and the steps of the toy study: 12 trainings, 12 measurements on them, one step on all."""
    (folder / "kill_toy.py").write_text(TOY, encoding="utf-8")

    def one(inputs: dict[str, str | list[str]], seed: int, rounds: int) -> Step:
        spec = {"kind": "toy", "inputs": inputs, "seed": seed, "rounds": rounds}
        return Step(step_key(spec), spec, inputs, hints={"pause": pause})

    trains = [one({}, seed, 1000) for seed in range(12)]
    measures = [one({"of": train.key}, 0, 100) for train in trains]
    steps = [*trains, *measures, one({f"m{i}": each.key for i, each in enumerate(measures)}, 1, 100)]
    plan = Store(folder / "plans").write_plan(steps)
    code = DRIVER.format(path=[str(folder), *sys.path], plan=str(plan))
    return [sys.executable, "-c", code], steps


def contents(store: Path) -> dict[str, str]:
    """Content by key."""
    opened = Store(store)
    return {key: record.body["content"] for key in opened.all_keys() if (record := opened.read(key)) is not None}


def main() -> int:
    """Run the campaign."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--study", type=Path, help="a study file for `crucis run` instead of the toy")
    parser.add_argument("--search", action="store_true", help="the study kill_search.yaml beside this file")
    parser.add_argument("--kills", type=int)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--longest", type=float, help="longest time before a kill, seconds")
    parser.add_argument("--pause", type=float, default=0.1, help="seconds per checkpoint of the toy")
    arguments = parser.parse_args()
    if arguments.search:
        arguments.study = Path(__file__).parent / "kill_search.yaml"
    arguments.kills = arguments.kills or (10 if arguments.search else 50)
    dice = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        store, calm = folder / "store", folder / "calm"
        if arguments.study:
            copy = folder / "study"
            shutil.copytree(arguments.study.resolve().parent, copy, ignore=shutil.ignore_patterns(".crucis", "report"))
            base = [sys.executable, "-c", CLI, "run", str(copy / arguments.study.name), "--store"]
            command, undisturbed = [*base, str(store)], [*base, str(calm)]
        else:
            base, _ = toy(folder, arguments.pause)
            command, undisturbed = [*base, str(store)], [*base, str(calm)]
        env = dict(os.environ)
        begun = time.monotonic()
        quiet = subprocess.run(undisturbed, env=env, capture_output=True)
        plain_s = time.monotonic() - begun
        if quiet.returncode:
            print(quiet.stderr.decode()[-3000:])
            print(f"the undisturbed run ended with {quiet.returncode}")
            return 1
        longest = arguments.longest or max(0.3, plain_s / 6)
        campaign = Campaign(command, store, env)
        begun = time.monotonic()
        while campaign.kills["supervisor"] + campaign.kills["worker"] < arguments.kills:
            campaign.once(dice, longest)
            if campaign.kills["too late"] > 3 and not remove_some(campaign, dice):
                break
        last = subprocess.run(command, env=env, capture_output=True)
        took = time.monotonic() - begun
        campaign.look()
        same = contents(store) == contents(calm)
        rows = {
            "kills of the supervisor": campaign.kills["supervisor"],
            "kills of a worker": campaign.kills["worker"],
            "came when all was done": campaign.kills["too late"],
            "records at the end": len(campaign.finished),
            "records lost, damaged or computed again": len(campaign.faults),
            "exit code of the last run": last.returncode,
            "final values equal to an undisturbed run": "yes" if same else "NO",
            "seconds: undisturbed / campaign": f"{plain_s:.1f} / {took:.1f}",
        }
    text = "\n".join(f"{what:<45}{value!s:>14}" for what, value in rows.items())
    text += "".join(f"\n{fault}" for fault in campaign.faults[:20])
    print(text)
    RESULTS.mkdir(exist_ok=True)
    stem = "kill_search" if arguments.search else "kill_study" if arguments.study else "kill"
    (RESULTS / f"{stem}.txt").write_text(text + "\n", encoding="utf-8")
    (RESULTS / f"{stem}.json").write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    return 0 if same and not campaign.faults and last.returncode == 0 else 1


def remove_some(campaign: Campaign, dice: random.Random) -> bool:
    """When everything is finished before enough kills: delete half of the records, so that there is work again.

    Checkpoints stay: nothing would make them again once the steps that read them have their records.
    """
    campaign.kills["too late"] = 0
    store = Store(campaign.store)
    for key in store.all_keys():
        record = store.read(key)
        if dice.random() < 0.5 and record is not None and record.spec["kind"] != "at":
            shutil.rmtree(store.folder(key))
            campaign.finished.pop(key, None)
    return True


if __name__ == "__main__":
    sys.exit(main())
