"""Profiles: not a bit of the training changes, and the phases add up to what the whole took."""

import time

import pytest
import torch
from train_cases import Quirky, contents, images, job, mlp, run, vectors

from crucis.train import profiling
from crucis.train import run as runs
from crucis.train.profiling import PHASES
from crucis.train.stacked import why_not

RECIPES = {
    "plain": {},
    "rich": {"augment": [{"crop": {"padding": 1}}, "flip"], "ema": 0.9, "clip": 0.5, "optimiser": "adamw"},
    "chunks": {"accumulate": 2, "precision": "bf16"},
}


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_profile_changes_no_bit(tmp_path, recipe):
    settings = {"length": "20 epochs", **RECIPES[recipe]}
    plain, ctx = run(tmp_path / "plain", job(images(), Quirky, **settings))
    seen, again = run(tmp_path / "seen", job(images(), Quirky, extra={"profile": True}, **settings))
    assert plain.values == seen.values and plain.uncertainty == seen.uncertainty and contents(ctx) == contents(again)
    assert "profile" not in plain.notes
    told = seen.notes["profile"]
    assert set(told["seconds"]) == {*PHASES, "evaluation", "checkpoint", "other"}
    assert sum(told["seconds"].values()) == pytest.approx(told["total"], rel=1e-9)
    assert all(told["seconds"][name] > 0 for name in PHASES) and told["steps"] >= 16
    assert sum(one["share"] for one in told["operators"]) <= 1 + 1e-9
    assert any(one["name"].startswith("aten::") for one in told["operators"])
    assert told["operators"] == sorted(told["operators"], key=lambda one: -one["seconds"])
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in seen.model.modules())


def test_slow_evaluations_under_the_profiler_are_counted_once(tmp_path, monkeypatch):
    evaluate = runs.evaluate

    def slow(*arguments):
        time.sleep(0.05)
        return evaluate(*arguments)

    monkeypatch.setattr(runs, "evaluate", slow)
    told = run(tmp_path, job(images(), Quirky, length="8 epochs", extra={"profile": True}))[0].notes["profile"]
    assert told["operators"] and told["seconds"]["evaluation"] >= 8 * 0.05
    assert sum(told["seconds"].values()) == pytest.approx(told["total"], rel=1e-9)


class Slow(torch.nn.Module):
    """A network whose forward pass takes 4 s and whose backward pass takes 8 s of a clock that only it moves."""

    def __init__(self, clock):
        super().__init__()
        self.head, self.clock = torch.nn.Linear(5, 3), clock

    def forward(self, x):
        out = self.head(x)
        if self.training:
            self.clock[0] += 4.0
            out.register_hook(self._wait)
        return out

    def _wait(self, _):
        self.clock[0] += 8.0


def test_time_is_put_down_to_the_phase_that_takes_it(tmp_path, monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(profiling.Clock, "mark", lambda _: clock[0])
    made = job(vectors(), lambda: Slow(clock), length="40 epochs", accumulate=2, extra={"profile": True})
    told = run(tmp_path, made)[0].notes["profile"]
    steps = 40 * 4
    assert told["seconds"]["forward"] == pytest.approx(steps * 8.0)
    assert told["seconds"]["backward"] == pytest.approx(steps * 16.0)
    assert told["seconds"]["data"] == told["seconds"]["optimiser"] == 0.0
    assert told["per_step"] == 24.0 and told["overhead"] == 0.0


def test_too_short_for_operators_and_never_stacked(tmp_path):
    told = run(tmp_path, job(vectors(), mlp(), length="2 steps", extra={"profile": True}))[0].notes["profile"]
    assert told["operators"] == [] and told["overhead"] is None and told["steps"] == 2
    jobs = [job(vectors(), mlp(), seed=seed, extra={"profile": True}) for seed in (1, 2)]
    assert why_not(jobs) == "profiles are of one training"
