"""Bootstrap intervals, interquartile mean, profiles, improvement: against SciPy, exact enumeration and definitions."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from crucis.errors import Refusal
from crucis.seeds import rng
from crucis.stats import bootstrap

X = rng(1, "scores").standard_normal((5, 10))


# --- aggregates ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(5, 10), (3, 1), (2, 2), (7, 3)])
def test_aggregates_by_definition(shape):
    x = rng(2, "x", *shape).standard_normal(shape)
    assert bootstrap.iqm(x) == pytest.approx(stats.trim_mean(x, 0.25, axis=None))
    assert bootstrap.mean(x) == pytest.approx(x.mean())
    assert bootstrap.median(x) == pytest.approx(np.median(x.mean(axis=0)))
    assert bootstrap.optimality_gap(x, 0.5) == pytest.approx(0.5 - np.minimum(x, 0.5).mean())
    many = np.stack([x, 2 * x])
    for statistic in (bootstrap.iqm, bootstrap.mean, bootstrap.median, bootstrap.optimality_gap):
        assert statistic(many) == pytest.approx([float(statistic(x)), float(statistic(2 * x))])


# --- intervals -----------------------------------------------------------------------------------------------


def test_the_seed_is_honoured():
    """The same stream gives the same interval, and nothing global is drawn from or changed."""
    np.random.seed(3)
    before = np.random.get_state()[1].copy()
    first, again, other = (bootstrap.interval(X, bootstrap.iqm, rng(s), draws=2000) for s in (7, 7, 8))
    assert (np.random.get_state()[1] == before).all()
    np.random.seed(4)
    assert first == again == bootstrap.interval(X, bootstrap.iqm, rng(7), draws=2000) != other


def test_percentile_interval_against_all_resamples():
    x = np.array([0.0, 1, 3, 7])
    every = np.sort([np.mean(pick) for pick in itertools.product(x, repeat=4)])
    found = bootstrap.interval(x, bootstrap.mean, rng(1), draws=100_000, confidence=0.8)
    assert (found.low, found.high) == tuple(np.quantile(every, [0.1, 0.9]))
    assert found.se == pytest.approx(every.std(), rel=0.01) and found.value == 2.75


@pytest.mark.parametrize("method", ["percentile", "bca"])
def test_agrees_with_scipy_on_one_task(method):
    x = rng(5, "skewed").exponential(size=12)
    found = bootstrap.interval(x, bootstrap.mean, rng(1), draws=60_000, method=method)
    expected = stats.bootstrap((x,), np.mean, n_resamples=60_000, method=method, rng=np.random.default_rng(2))
    low, high = expected.confidence_interval
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.03 * (high - low))
    assert found.se == pytest.approx(expected.standard_error, rel=0.02)


def test_strata_are_resampled_each_on_its_own_and_rows_together():
    shared = rng(6, "shared").standard_normal((8, 1)) + 0.1 * rng(6, "own").standard_normal((8, 10))
    spread = float(shared.std(axis=0).mean())
    apart = bootstrap.resampled(shared, bootstrap.mean, rng(1), draws=20_000, by="task").std()
    rows = bootstrap.resampled(shared, bootstrap.mean, rng(1), draws=20_000, by="run").std()
    assert apart == pytest.approx(spread / math.sqrt(8 * 10), rel=0.03)
    assert rows == pytest.approx(float(shared.mean(axis=1).std()) / math.sqrt(8), rel=0.03) and rows > 3 * apart


def test_stratified_acceleration_is_that_of_independent_means():
    # For the mean over tasks each value's influence is its distance from its task's mean, up to one factor.
    x = rng(7, "strata").exponential(size=(5, 3))
    found = bootstrap.jackknife(x, bootstrap.mean).reshape(3, 5)
    assert found == pytest.approx((x - x.mean(axis=0)).T / (4 * 3), rel=1e-9)
    one = bootstrap.jackknife(x[:, :1], bootstrap.mean)
    assert one == pytest.approx((x[:, 0] - x[:, 0].mean()) / 4, rel=1e-9)


@pytest.mark.parametrize(("runs", "tasks", "nominal"), [(5, 10, 0.92), (10, 10, 0.94), (5, 1, 0.89)])
def test_coverage_is_what_the_docstring_says(runs, tasks, nominal):
    made, hits, draws = rng(8, "coverage", runs, tasks), 0, 700
    for x in made.standard_normal((draws, runs, tasks)):
        found = bootstrap.interval(x, bootstrap.iqm, made, draws=800)
        hits += found.low <= 0.0 <= found.high
    assert hits / draws == pytest.approx(nominal, abs=0.02 + 2 * math.sqrt(nominal * (1 - nominal) / draws))


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_nan_is_refused_aloud(bad):
    x = X.copy()
    x[3, 2] = bad
    calls = (
        lambda: bootstrap.interval(x, bootstrap.iqm, rng(1)), lambda: bootstrap.profile(x, [0.0]),
        lambda: bootstrap.improvement(X, x, rng(1)), lambda: bootstrap.improvement(x, X, rng(1)),
    )  # fmt: skip
    for call in calls:
        with pytest.raises(Refusal, match="not finite") as caught:
            call()
        assert "rows 3" in str(caught.value)


def test_other_refusals():
    with pytest.raises(Refusal, match="at least 2"):
        bootstrap.interval(X[:1], bootstrap.iqm, rng(1))
    with pytest.raises(Refusal, match="every resample"):
        bootstrap.interval(np.ones((3, 2)), bootstrap.iqm, rng(1), draws=50)
    with pytest.raises(Refusal, match="cannot be held against"):
        bootstrap.improvement(X, X[:, :4], rng(1))
    with pytest.raises(Refusal, match="cannot be held against"):
        bootstrap.improvement(X, X[:4], rng(1), paired=True)


# --- profiles and improvement --------------------------------------------------------------------------------


def test_profile_is_a_share_with_the_band_of_its_bootstrap():
    at = np.linspace(-1.5, 1.5, 7)
    found = bootstrap.profile(X, at, confidence=0.9)
    assert found.share == pytest.approx([(t < X).mean() for t in at])
    for k, t in enumerate(at):
        drawn = bootstrap.resampled((t < X).astype(float), bootstrap.mean, rng(9, k), draws=40_000)
        expected = np.quantile(drawn, [0.05, 0.95], method="inverted_cdf")
        assert (found.low[k], found.high[k]) == pytest.approx(expected, abs=0.0201)
    assert (np.diff(found.share) <= 0).all()


def test_improvement_is_the_share_of_wins():
    a, b = np.array([[1.0, 2], [3, 2], [5, 0]]), np.array([[1.0, 1], [2, 2]])
    wins = [np.mean([(p > q) + 0.5 * (p == q) for p in a[:, t] for q in b[:, t]]) for t in range(2)]
    found = bootstrap.improvement(a, b, rng(1), draws=20_000)
    assert found.value == pytest.approx(np.mean(wins))
    every = [
        np.mean([[(p > q) + 0.5 * (p == q) for p in left for q in right]])
        for left in itertools.product(a[:, 0], repeat=3)
        for right in itertools.product(b[:, 0], repeat=2)
    ]
    one = bootstrap.improvement(a[:, 0], b[:, 0], rng(2), draws=40_000, confidence=0.8)
    assert one.se == pytest.approx(np.std(every), rel=0.02)
    assert (one.low, one.high) == pytest.approx(tuple(np.quantile(every, [0.1, 0.9])), abs=1e-9)


def test_improvement_uses_pairs_if_told_so():
    seed = rng(3, "s").standard_normal((9, 1))
    a, b = seed + 0.3, seed + 0.05 * rng(3, "n").standard_normal((9, 1))
    loose, tied = (bootstrap.improvement(a, b, rng(4), draws=4000, paired=p) for p in (False, True))
    assert loose.value == tied.value and tied.se < 0.6 * loose.se
