"""Two ranks train one network in a run: stopped, robbed of a rank, taken up again; the end is as if undisturbed."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from lab import clean_error, environment

from crucis.engine.journal import Tail

#: A network that takes its time, so that a group can be met in the middle; its dropout differs from rank to rank.
NET = """\
import time
from torch import nn

class Slow(nn.Module):
    def __init__(self, size, classes):
        super().__init__()
        self.body = nn.Sequential(nn.Flatten(), nn.Linear(size, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.2))
        self.head = nn.Linear(8, classes)

    def forward(self, x):
        if self.training:
            time.sleep(0.02)
        return self.head(self.body(x))

def build(input, classes):
    size = 1
    for n in input:
        size *= n
    return Slow(size, classes)
"""
STUDY = """\
study: pair
seeds: 1
stages:
  model: {train: supervised, net: ./slow.py, data: digits, batch: 128, for: 320 steps, evaluate_every: 160 steps}
  half: {measure: classification, of: model@at=50%}
"""


def _until(condition, timeout=250.0):
    limit = time.monotonic() + timeout
    while not (found := condition()):
        assert time.monotonic() < limit, "waited in vain"
        time.sleep(0.02)
    return found


def _reached(store: Path) -> int:
    """The furthest optimiser step that a worker has written down."""
    lines = Tail(str(store / "journal")).poll()
    return max((line["step"] for line in lines if line["e"] == "step" and "step" in line), default=0)


def _ranks_under(folder: Path) -> dict[int, int]:
    """Rank -> pid of the processes that train under this folder for temporary files."""
    found = {}
    for path in Path("/proc").glob("[0-9]*"):
        try:
            words, env = (path / "cmdline").read_bytes(), (path / "environ").read_bytes()
        except OSError:
            continue
        if b"crucis.study.rank\0" in words and str(folder).encode() in words and b"\0RANK=" in env:
            found[int(env.split(b"\0RANK=")[1].split(b"\0")[0])] = int(path.name)
    return found


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="finds the ranks in /proc")
def test_a_group_that_is_stopped_and_then_loses_a_rank_ends_as_if_undisturbed(lab, tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    lab.write(STUDY)
    lab.write(NET, "slow.py")
    words = ("run", "study.yaml", "--quiet", "--workers", "1", "--ranks", "2")

    first = lab.process(*words)
    _until(lambda: _reached(lab.store) > 10)
    os.kill(first.pid, signal.SIGINT)
    out, err = first.communicate(timeout=200)
    assert first.returncode == 130, out + err
    assert not lab.of_kind("train/supervised") and not _ranks_under(tmp_path)
    assert "--ranks 2" in out  # the command that goes on means the same step

    (saved,) = {json.loads(path.read_text())["position"] for path in (lab.store / "scratch").rglob("state.json")}
    second = lab.process(*words)
    _until(lambda: _reached(lab.store) > saved + 5)
    os.kill(_ranks_under(tmp_path)[1], signal.SIGKILL)
    out, err = second.communicate(timeout=250)
    assert second.returncode == 0, out + err

    (training,) = lab.of_kind("train/supervised").values()
    assert training["spec"]["world"] == training["numerics"]["world"] == training["notes"]["trained"]["ranks"] == 2
    assert training["attempt"]["resumed_at"] == [saved]  # the killed attempt had gone on from there, too
    (note,) = [json.loads(path.read_text()) for path in (lab.store / "failures").rglob("1.json")]
    assert (note["class"], note["code"]) == ("transient", "died_rank") and "rank 1 of 2 was killed" in note["text"]
    assert len(lab.of_kind("at")) == 1
    assert not _ranks_under(tmp_path) and not list(tmp_path.glob("crucis-ranks-*"))

    # The same by torchrun from outside, undisturbed: rank 0 runs the study, the other computes along.
    start = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m", "crucis"]
    words = ["run", str(lab.folder / "study.yaml"), "--quiet", "--store", str(tmp_path / "other")]
    done = subprocess.run([*start, *words], env=environment(), capture_output=True, text=True, timeout=250)
    assert done.returncode == 0, done.stdout + done.stderr
    assert lab.contents(tmp_path / "other") == lab.contents()


def test_what_ranks_cannot_do_is_one_sentence(lab):
    lab.write(STUDY.replace("batch: 128", "batch: 129"))
    lab.write(NET, "slow.py")
    clean_error(lab("run", "--ranks", "2"), "2 ranks cannot share a batch of 129 examples evenly; write batch: 128")
    clean_error(lab("run", "--ranks", "0"), "at least one rank")
    clean_error(lab("plan", "--ranks", "-1"), "at least one rank")
    clean_error(lab("run", "--ranks", "2", "--device", "cuda:1"), "names one GPU")
    lab.write("def train(job, ctx):\n    return None\n", "mine.py")
    lab.write(STUDY.replace("supervised", "./mine.py").split(", batch")[0] + "}\n")
    clean_error(lab("plan", "--ranks", "2"), "the protocol './mine.py' trains on one rank; leave out --ranks")


def test_ranks_are_part_of_the_key_of_trainings_alone(lab):
    lab.study()
    one, same, two, four = (lab.keys(*words) for words in ((), ("--ranks", "1"), ("--ranks", "2"), ("--ranks", "4")))
    assert one == same
    assert not set(one.values()) & set(two.values()) and not set(two.values()) & set(four.values())
