"""The largest stable rate against its closed form: 2 / L, with momentum 2 (1 + m) / L."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from crucis.numerics import rate_range
from crucis.numerics.rate_range import Level, Unstable, find, ramp, settled, smoothed, steepest


def descent(loss, gradient, start, momentum=0.0, damage=None):
    """Gradient descent with heavy-ball momentum; `damage` turns a loss into what is seen of it."""

    def descend(rates, watch):
        weights, velocity, seen = start.copy(), np.zeros_like(start), []
        with np.errstate(all="ignore"):
            for k, rate in enumerate(rates):
                value = float(loss(weights, k))
                seen.append(value if damage is None else damage(value, k))
                if watch(seen):
                    break
                velocity = momentum * velocity + gradient(weights, k)
                weights = weights - rate * velocity
        return seen

    return descend


def quadratic(curvatures, start, momentum=0.0, damage=None):
    return descent(
        lambda w, _: 0.5 * float((curvatures * w * w).sum()), lambda w, _: curvatures * w, start, momentum, damage
    )


@settings(max_examples=25, deadline=None)
@given(
    largest=st.floats(1e-2, 1e3), condition=st.floats(1.0, 1e4), momentum=st.sampled_from([0.0, 0.5, 0.9, 0.95]),
    seed=st.integers(0, 2**31),
)  # fmt: skip
def test_quadratics_have_their_limit_in_closed_form(largest, condition, momentum, seed):
    curvatures = np.geomspace(largest / condition, largest, 12)
    start = np.random.default_rng(seed).standard_normal(12) + 0.1
    found = find(quadratic(curvatures, start, momentum), end=1e4)
    assert found.largest == pytest.approx(2 * (1 + momentum) / largest, rel=0.15)
    assert found.low <= found.largest <= found.high <= 1.06 * found.low


def test_a_ramp_alone_would_have_missed_the_limit():
    """Why there are trials: the ramp is given up at several times the limit."""
    found = find(quadratic(np.array([1.0]), np.array([1.0])), end=1e4)
    assert found.diverged > 4 * 2.0
    assert found.largest == pytest.approx(2.0, rel=0.03)


def test_linear_regression_in_batches():
    draw = np.random.default_rng(0)
    x = draw.standard_normal((512, 10)) * np.linspace(0.2, 2, 10)
    y = x @ draw.standard_normal(10) + 0.5 * draw.standard_normal(512)
    top = np.linalg.eigvalsh(x.T @ x / 512)[-1]

    def part(k, size):
        return np.random.default_rng(k).choice(512, size, replace=False)

    for size in (512, 256):
        found = find(descent(
            lambda w, k, n=size: 0.5 * ((x[part(k, n)] @ w - y[part(k, n)]) ** 2).mean(),
            lambda w, k, n=size: x[part(k, n)].T @ (x[part(k, n)] @ w - y[part(k, n)]) / n, np.zeros(10),
        ))  # fmt: skip
        assert found.largest == pytest.approx(2 / top, rel=0.1)
        assert found.steepest is not None and found.steepest < found.largest


def test_logistic_regression_at_its_minimum():
    """Beyond the limit descent does not blow up here: it ends in a cycle around the minimum, which is seen as well."""
    draw = np.random.default_rng(1)
    x = draw.standard_normal((400, 5)) * np.array([3, 1, 1, 0.5, 0.5])
    y = np.sign(draw.standard_normal(400) + 0.3 * x[:, 1])

    def loss(w, _=0):
        return float(np.logaddexp(0, -y * (x @ w)).mean())

    def gradient(w, _=0):
        return -(x.T @ (y / (1 + np.exp(y * (x @ w))))) / 400

    p = 1 / (1 + np.exp(-x @ minimize(loss, np.zeros(5), jac=gradient, tol=1e-12).x))
    top = np.linalg.eigvalsh((x.T * (p * (1 - p))) @ x / 400)[-1]
    assert find(descent(loss, gradient, np.zeros(5))).largest == pytest.approx(2 / top, rel=0.2)


def test_deep_linear_chain():
    """f = (abc - 1)^2 / 2 has the curvature 3 at its balanced minimum, near which descent begins and ends."""
    found = find(descent(
        lambda w, _: 0.5 * (w.prod() - 1) ** 2,
        lambda w, _: (w.prod() - 1) * np.array([w[1] * w[2], w[0] * w[2], w[0] * w[1]]), np.array([0.9, 1.1, 0.95]),
    ))  # fmt: skip
    assert found.largest == pytest.approx(2 / 3, rel=0.1)


def test_outliers_of_the_ramp_move_nothing():
    curvatures, start = np.geomspace(0.01, 1, 8), np.ones(8)
    clean = find(quadratic(curvatures, start))
    spiked = find(quadratic(curvatures, start, damage=lambda v, k: 50 * v if k % 17 == 16 else v))
    assert spiked.largest == pytest.approx(clean.largest, rel=0.1)
    assert spiked.steepest == pytest.approx(clean.steepest, rel=0.3)


def test_nothing_breaks_and_everything_breaks():
    flat = find(descent(lambda w, _: math.exp(-float(w[0])), lambda w, _: np.array([-1e-3]), np.array([0.0])), end=1.0)
    assert flat.largest is None and flat.low == 1.0 and flat.high == math.inf and flat.diverged is None
    with pytest.raises(Unstable, match="already"):
        find(quadratic(np.array([1e9]), np.array([1.0])), start=1e-3, end=1.0)
    with pytest.raises(Unstable, match="before the first update"):
        find(descent(lambda *_: math.nan, lambda w, _: w, np.ones(1)))
    assert find(descent(lambda *_: 1.0, lambda w, _: 0 * w, np.ones(1)), end=1.0).steepest is None


@given(st.lists(st.floats(-100, 100), min_size=2, max_size=40), st.integers(1, 39))
def test_smoothing_looks_backwards_only(losses, cut):
    assert smoothed(losses)[:cut].tolist() == smoothed(losses[:cut]).tolist()
    assert min(losses) - 1e-9 <= smoothed(losses).min() and smoothed(losses).max() <= max(losses) + 1e-9


def test_smoothing_has_no_bias_and_no_memory_of_outliers():
    assert smoothed([3.0] * 10) == pytest.approx([3.0] * 10)
    assert smoothed([3.0, 3.0, 3.0, 1e9, 1e9, 3.0, 3.0, 3.0]) == pytest.approx([3.0] * 8)
    assert smoothed([1.0, math.nan, 1.0])[-1] == math.inf


def test_steepest_is_where_a_logistic_fall_is_steepest():
    """loss = 1 / (1 + (rate / r)^2) falls fastest per factor of the rate at r; neighbouring rates differ by 10 %."""
    rates = ramp(1e-6, 1e2, 200)
    for middle in (1e-3, 3e-2):
        assert steepest(rates, 1 / (1 + (rates / middle) ** 2), 1e2) == pytest.approx(middle, rel=0.2)


def test_what_a_trial_is_taken_for():
    level, k = Level(first=1.0, noise=0.0, goal=0.0), np.arange(100)
    assert settled(np.exp(-k / 20.0), level) is True
    assert settled(np.full(100, 1.0), level) is True  # a rate too small to move is stable
    assert settled(1.0 + k / 100.0, level) is False
    assert settled(np.where(k < 20, 3.0, 0.9), level) is None  # rose, and did not come down half way
    assert settled(np.where(k < 20, 3.0, 0.1), level) is True
    assert settled(np.where(k < 50, 0.1, 0.8), level) is False
    assert settled(np.where(k < 50, 0.1, 0.3), level) is None
    assert settled(0.5 + 0.3 * (-1.0) ** k, level) is True  # swinging from side to side without growing
    noisy = np.random.default_rng(0).standard_normal(100)
    assert settled(1.0 + noisy, Level(1.0, 1.0, 0.0)) is True
    assert rate_range.BLOCKS * 2 <= 20  # the least length of a trial
