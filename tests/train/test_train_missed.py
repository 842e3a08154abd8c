"""Steps that make no update: averages and teachers wait, the courses of rate and weight decay go on; by hand."""

import copy

import pytest
import torch
from test_train_half import Overflowing
from test_train_reactions import Persistent, _interrupted, _same
from torch.nn import functional
from train_cases import Ctx, images, job, mlp, run, vectors

from crucis.train.run import Run, untrained
from crucis.train.selfsupervised import moco_v3

MISSED = (3, 4, 9)
AVERAGES = {
    "plain": {"ema": 0.9},
    "warm": {"ema": 0.9, "ema_warmup": True},
    "seldom": {"ema": 0.5, "ema_every": 3},
    "statistics": {"ema": 0.8, "ema_every": 2, "ema_statistics": True},
}
DECAY = {"weight_decay": 0.02, "weight_decay_end": 0.4, "decay_on": "all", "optimiser": "sgd"}


class Normed(torch.nn.Module):
    """A network with running statistics."""

    def __init__(self):
        super().__init__()
        self.norm, self.inner = torch.nn.BatchNorm1d(5), mlp()()

    def forward(self, x):
        return self.inner(self.norm(x))


def _by_hand(folder, made, build):
    """Every step written out, with torch's scaler under fp16; the average moves behind updates only."""
    s = made.settings
    feed, rates, decays = Run(made, Ctx(folder)).feed, s.multipliers(), s.decays()
    model = untrained(build, 1, 0)
    average = copy.deepcopy(model)
    optimiser = torch.optim.SGD(model.parameters(), lr=1.0, momentum=0.9, nesterov=True)
    scaler = torch.amp.GradScaler("cpu", enabled=s.precision == "fp16")
    updates = 0
    for i in range(s.total_steps):
        x, y = feed.epoch(i // s.steps_per_epoch)(i % s.steps_per_epoch)
        buffers = [value.clone() for value in model.buffers()]
        with torch.autocast("cpu", dtype=torch.float16, enabled=s.precision == "fp16"):
            out = model(x)
        loss = functional.cross_entropy(out.float(), y)
        optimiser.param_groups[0].update(lr=rates[i] * s.lr, weight_decay=decays[i] if decays else 0.0)
        if not torch.isfinite(loss):  # skipped: the statistics are put back, too
            for value, old in zip(model.buffers(), buffers, strict=True):
                value.copy_(old)
            continue
        scaler.scale(loss).backward()
        before = scaler.get_scale()
        scaler.step(optimiser)
        scaler.update()
        optimiser.zero_grad()
        if scaler.get_scale() < before:
            continue
        updates += 1
        if updates % s.ema_every == 0:
            memory = min(s.ema, (1 + updates) / (10 + updates)) if s.ema_warmup else s.ema
            with torch.no_grad():
                for slow, live in zip(average.parameters(), model.parameters(), strict=True):
                    slow.lerp_(live, 1 - memory)
                for slow, live in zip(average.buffers(), model.buffers(), strict=True):
                    if s.ema_statistics and slow.is_floating_point():
                        slow.lerp_(live, 1 - memory)
    if not s.ema_statistics:
        for slow, live in zip(average.buffers(), model.buffers(), strict=True):
            slow.copy_(live)
    return average.eval(), updates


@pytest.mark.parametrize("kind", ["overflow", "skip"])
@pytest.mark.parametrize("name", AVERAGES)
def test_an_average_waits_for_an_update_and_the_decay_goes_on(tmp_path, name, kind):
    if kind == "overflow":
        build, extra = (lambda: Overflowing(Normed(), MISSED)), {"precision": "fp16"}
    else:
        build, extra = (lambda: Stumbling(Normed(), MISSED)), {"on_not_finite": "skip"}
    made = job(vectors(), build, **DECAY, **AVERAGES[name], **extra)
    found, _ = run(tmp_path / "a", made)
    wanted, updates = _by_hand(tmp_path / "b", made, build)
    assert updates == made.settings.total_steps - len(found.reactions) < made.settings.total_steps
    for ours, theirs in zip(found.model.parameters(), wanted.parameters(), strict=True):
        assert torch.allclose(ours, theirs, atol=1e-6)
    for ours, theirs in zip(found.model.buffers(), wanted.buffers(), strict=True):
        assert name == "statistics" or torch.allclose(ours.float(), theirs.float(), atol=1e-6)
    trained = found.notes["trained"]
    assert trained["without_update"] == len(found.reactions) and trained["updates"] == made.settings.total_steps


class Stumbling(torch.nn.Module):
    """A network whose loss is no number for some batches, which it knows by their count outside of its buffers."""

    def __init__(self, inner, when):
        super().__init__()
        self.inner, self.when, self.passes = inner, when, 0

    def forward(self, x):
        self.passes += self.training
        out = self.inner(x)
        return out * torch.nan if self.training and self.passes in self.when else out


def test_an_average_that_moved_would_be_another_one(tmp_path):
    """What the tests above would miss if a step without an update moved the average: the distance is large."""
    made = job(vectors(), lambda: Overflowing(mlp()(), MISSED), precision="fp16", ema=0.9)
    run_ = Run(made, Ctx(tmp_path))
    step, average = run_.step(), []
    for i in range(4):
        step(*run_.feed.epoch(i // 4)(i % 4), 0.1)
        average.append([value.detach().clone() for value in run_.average.parameters()])
    same = [all(torch.equal(a, b) for a, b in zip(average[k], average[k + 1], strict=True)) for k in range(3)]
    assert same == [False, True, True]  # steps 3 and 4 overflowed
    assert not all(torch.allclose(a, b, atol=1e-4) for a, b in zip(average[3], run_.params.values(), strict=True))


def test_a_teacher_waits_and_its_course_goes_on(tmp_path):
    from test_train_selfsupervised import DATA, _params, _plain

    from crucis.train.fit import Job
    from crucis.train.settings import resolve

    params = _params("moco_v3", precision="fp16")
    made = Job(lambda: Overflowing(_plain(), ()), DATA, resolve(params, len(DATA.train)), seed=3,
               objective=moco_v3.made)  # fmt: skip
    run_ = Run(made, Ctx(tmp_path))
    step, teacher = run_.step(), run_.objective.teacher
    for i, overflows in enumerate((False, True, False)):
        run_.scaling.scaler = torch.amp.GradScaler("cpu", init_scale=2.0**127 if overflows else 64.0)
        before = [value.clone() for value in teacher.parameters()]
        step(*run_.feed.epoch(0)(i), 0.1)
        moved = not all(torch.equal(a, b) for a, b in zip(before, teacher.parameters(), strict=True))
        assert moved != overflows and run_.scaling.made != overflows and run_.objective.done == i + 1


@pytest.mark.parametrize("average", AVERAGES)
def test_steps_without_an_update_are_counted_across_stops_and_returns(tmp_path, average):
    def made():
        return job(images(n=110), lambda: Overflowing(Conv(), {2, 3, 8}), precision="fp16", weight_decay_end=0.1,
                   **AVERAGES[average])  # fmt: skip

    whole = run(tmp_path / "whole", made())
    assert whole[0].notes["trained"]["without_update"] == 3
    for k, stops in enumerate(([2], [3, 4])):
        parts = _interrupted(tmp_path / f"cut{k}", made(), stops)
        _same(whole, parts)
        assert parts[0].notes["trained"] == whole[0].notes["trained"]


class Conv(torch.nn.Sequential):
    """Convolution, batch norm, dense."""

    def __init__(self):
        super().__init__(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.Flatten(), torch.nn.Linear(64, 3))


def test_what_a_return_undoes_is_not_counted(tmp_path):
    """A step that overflows again after a return is one step without an update, though it was noted twice."""
    build = lambda: Persistent(Overflowing(mlp()(), {2, 9}), [0], {10})  # noqa: E731
    found, _ = run(tmp_path, job(vectors(), build, precision="fp16", on_not_finite="lower_lr", ema=0.9))
    did = [(one["step"], one["did"]) for one in found.reactions]
    assert did == [(2, "skip"), (9, "skip"), (10, "skip"), (10, "restore"), (9, "skip")]
    assert found.notes["trained"]["without_update"] == 2
