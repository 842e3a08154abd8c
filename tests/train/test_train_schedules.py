import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from crucis import shelf
from crucis.train.settings import SettingsError, resolve


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
    "linear": ({"floor": 0.2}, lambda o, n: S.LinearLR(o, start_factor=1.0, end_factor=0.2, total_iters=n)),
    "polynomial": ({"power": 1.7}, lambda o, n: S.PolynomialLR(o, total_iters=n, power=1.7)),
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


def test_a_stair_begins_at_the_first_step_at_or_after_its_moment():
    """2.4 epochs of 312 steps are 748.8 steps: tf.train.exponential_decay floors step / 748.8."""
    found = _ours("exponential", 8000, 312, gamma=0.97, every="2.4 epochs")
    k = np.arange(8000)
    assert found == pytest.approx(0.97 ** np.floor(k / 748.8), rel=1e-12)
    drops = np.flatnonzero(np.diff(found)) + 1
    assert drops[:4].tolist() == [749, 1498, 2247, 2996] and drops[4] == 3744  # 5 x 748.8 is whole
    assert _ours("exponential", 100, gamma=0.5, every="25%") == _ours("exponential", 100, gamma=0.5, every="25 steps")
    assert _ours("exponential", 100, gamma=0.5, every=0.25) == _ours("exponential", 100, gamma=0.5, every="25 steps")


@pytest.mark.parametrize("name", ["cosine", "linear", "polynomial"])
def test_a_cooldown_stays_at_the_floor(name):
    found = _ours(name, 50, 10, floor=0.1, cooldown="2 epochs")
    assert found[:30] == _ours(name, 30, 10, floor=0.1) and found[30:] == [0.1] * 20
    assert _ours(name, 5, 10, floor=0.1, cooldown="2 epochs") == [0.1] * 5


def test_polynomials_in_closed_form():
    assert _ours("polynomial", 4, power=2.0, floor=0.2) == pytest.approx([1.0, 0.65, 0.4, 0.25])
    assert _ours("linear", 4) == [1.0, 0.75, 0.5, 0.25]


def _course(**params):
    return resolve({"length": "4 epochs", "batch": 10, **params}, 50).multipliers()  # 5 steps an epoch


def test_a_warmup_from_a_share_of_the_rate():
    for start in (0.0, 0.1):
        found = _course(warmup="1 epoch", warmup_from=start, schedule="constant")
        assert found == pytest.approx([start + (1 - start) * k / 5 for k in range(5)] + [1.0] * 15)
    assert (
        _course(warmup="4 steps", warmup_from=0.1, warmup_shape="constant", schedule="constant")
        == [0.1] * 4 + [1.0] * 16
    )
    with pytest.raises(SettingsError, match="warmup_from"):
        _course(warmup_shape="constant")


def test_what_a_warmup_leads_to():
    n, cosine = 20, [(1 + math.cos(math.pi * k / 20)) / 2 for k in range(20)]
    rise = [0.1 + 0.9 * k / 5 for k in range(5)]
    given = {"warmup": "5 steps", "warmup_from": 0.1}
    before = [(1 + math.cos(math.pi * k / 15)) / 2 for k in range(15)]
    assert _course(**given) == _course(**given, warmup_joins="before") == pytest.approx(rise + before)
    assert _course(**given, warmup_joins="replaces") == pytest.approx(rise + cosine[5:])
    products = [a * b for a, b in zip(rise, cosine, strict=False)]
    assert _course(**given, warmup_joins="multiplies") == pytest.approx(products + cosine[5:n])


def test_a_rate_for_each_epoch_is_that_of_its_first_step():
    found = _course(warmup=0, rate_every="epoch")
    assert found == pytest.approx([(1 + math.cos(math.pi * (k // 5) / 4)) / 2 for k in range(20)])


def test_the_strength_of_decay_goes_from_start_to_end():
    settings = resolve({"length": "8 steps", "weight_decay": 0.04, "weight_decay_end": 0.4}, 1000)
    base, final, n = 0.04, 0.4, 8  # the form of DINO's cosine_scheduler
    assert settings.decays() == pytest.approx(final + 0.5 * (base - final) * (1 + np.cos(np.pi * np.arange(n) / n)))
    settings = resolve({"length": "8 steps", "weight_decay": 0.0, "weight_decay_end": 0.4,
                        "weight_decay_schedule": "linear"}, 1000)  # fmt: skip
    assert settings.decays() == pytest.approx(np.linspace(0, 0.4, 9)[:-1])
    assert resolve({}, 1000).decays() is None
