import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from crucis import shelf
from crucis.train.settings import resolve


def _ours(name, total, per_epoch=10, **params):
    return shelf.load(shelf.leaf("schedules", name))(total, per_epoch, **params)


def _torch(build, total):
    optimiser = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = build(optimiser)
    out = []
    for _ in range(total):
        out.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        scheduler.step()
    return out


S = torch.optim.lr_scheduler
PAIRS = {
    "constant": ({}, lambda o, n: S.ConstantLR(o, factor=1.0)),
    "cosine": ({"floor": 0.1}, lambda o, n: S.CosineAnnealingLR(o, n, eta_min=0.1)),
    "step": ({"every": "2 epochs", "gamma": 0.3}, lambda o, n: S.StepLR(o, 20, 0.3)),
    "multi_step": ({"at": ["7 steps", "50%"], "gamma": 0.5}, lambda o, n: S.MultiStepLR(o, [7, n // 2], 0.5)),
    "exponential": ({"gamma": 0.9, "every": "1 steps"}, lambda o, n: S.ExponentialLR(o, 0.9)),
    "plateau": ({"patience": 1}, lambda o, n: S.ConstantLR(o, factor=1.0)),  # what follows: test_train_plateau.py
    "one_cycle": ({"rise": 0.25}, lambda o, n: S.OneCycleLR(o, 1.0, n, pct_start=0.25, cycle_momentum=False)),
}  # fmt: skip


def test_every_schedule_is_held_against_torch():
    assert set(shelf.names("schedules")) == set(PAIRS)


@pytest.mark.parametrize("name", PAIRS)
def test_equal_to_the_scheduler_of_torch(name):
    params, build = PAIRS[name]
    for total in (8, 62, 100):
        ours = _ours(name, total, **params)
        assert ours == pytest.approx(_torch(lambda o: build(o, total), total), abs=1e-12)


def test_closed_forms():
    assert _ours("cosine", 4) == pytest.approx([1.0, (1 + math.sqrt(0.5)) / 2, 0.5, (1 - math.sqrt(0.5)) / 2])
    assert _ours("exponential", 25, gamma=0.5, stairs=False)[20] == pytest.approx(0.25)
    assert _ours("exponential", 25, gamma=0.5)[19:21] == [0.5, 0.25]
    cycle = _ours("one_cycle", 101, rise=0.5, start_divisor=10.0, end_divisor=100.0)
    assert cycle[0] == pytest.approx(0.1) and cycle[-1] == pytest.approx(0.001)
    assert max(cycle) == pytest.approx(1.0, abs=1e-3) and cycle.index(max(cycle)) in (49, 50)


@pytest.mark.parametrize("name", PAIRS)
@given(total=st.integers(0, 40), per_epoch=st.integers(1, 15))
def test_one_finite_multiplier_per_step(name, total, per_epoch):
    values = _ours(name, total, per_epoch, **PAIRS[name][0])
    assert len(values) == total
    assert all(0 <= value <= 1 + 1e-12 for value in values)


@pytest.mark.parametrize("name", ["step", "exponential"])
def test_an_interval_of_no_steps_is_refused(name):
    with pytest.raises(ValueError, match="at least one step"):
        _ours(name, 5, every="0 epochs")


def test_warmup_is_linear_and_the_cosine_follows_it():
    settings = resolve({"length": "20 steps", "warmup": 0.25}, 10_000)
    values = settings.multipliers()
    assert values[:5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert values[5:] == pytest.approx([(1 + math.cos(math.pi * k / 15)) / 2 for k in range(15)])


def test_warmup_leaves_milestones_where_they_are_written():
    settings = resolve(
        {"length": "20 steps", "warmup": "4 steps", "schedule": {"multi_step": {"at": ["10 steps"]}}}, 10_000
    )
    values = settings.multipliers()
    assert values == pytest.approx([0.25, 0.5, 0.75, *[1.0] * 7, *[0.1] * 10])


def test_warmup_over_everything():
    assert resolve({"length": "4 steps", "warmup": 1.0}, 100).multipliers() == [0.25, 0.5, 0.75, 1.0]
