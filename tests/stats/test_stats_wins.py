"""Probability of improvement and interquartile means: definitions, exact tests, tasks, refusals, verdicts."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from crucis.errors import Refusal
from crucis.seeds import rng
from crucis.stats import bootstrap, power, verdicts, wins
from crucis.stats.compare import friedman, improvement, paired_t, permutation, wilcoxon
from crucis.stats.describe import iqm
from crucis.stats.table import Pairs, Sample

VALUES = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=2, max_size=6)


def share(a, b):
    return np.mean([(x > y) + 0.5 * (x == y) for x in a for y in b])


@settings(max_examples=40, deadline=None)
@given(VALUES)
def test_effect_and_p_equal_brute_force(pairs):
    a, b = np.array(pairs, dtype=float).T
    if np.array_equal(a, b):
        with pytest.raises(Refusal, match="differences are zero"):
            improvement.estimate(Pairs(a, b))
        return
    found = improvement.estimate(Pairs(a, b))
    assert found["effect"] == pytest.approx(share(a, b), abs=1e-12)
    every = []
    for flips in itertools.product((0, 1), repeat=len(a)):
        left = [y if flip else x for x, y, flip in zip(a, b, flips, strict=True)]
        right = [x if flip else y for x, y, flip in zip(a, b, flips, strict=True)]
        every.append(abs(share(left, right) - 0.5))
    assert found["p"] == pytest.approx(np.mean(np.array(every) >= abs(found["effect"] - 0.5) - 1e-12))


def test_tasks_are_averaged_and_never_compared_with_one_another():
    a, b = np.array([1.0, 2.0, 101.0, 102.0, 103.0]), np.array([0.0, 3.0, 100.0, 104.0, 100.5])
    tasks = ("easy", "easy", "hard", "hard", "hard")
    found = improvement.estimate(Pairs(a, b, tasks=tasks))
    each = [share(a[:2], b[:2]), share(a[2:], b[2:])]
    assert found["effect"] == pytest.approx(np.mean(each)) and found["tasks"] == 2 and found["n"] == 5
    assert found["low"] <= found["effect"] <= found["high"]
    assert improvement.estimate(Pairs(a, b))["tasks"] == 1
    mixed = improvement.estimate(Pairs(a[[2, 0, 3, 1, 4]], b[[2, 0, 3, 1, 4]], tasks=("hard", "easy") * 2 + ("hard",)))
    assert mixed["effect"] == pytest.approx(found["effect"]) and mixed["p"] == found["p"]


def test_interval_of_one_task_is_newcombes_and_turns_with_the_sides():
    a, b = rng(1, "a").standard_normal(6), rng(1, "b").standard_normal(6)
    one, two = improvement.estimate(Pairs(a, b)), improvement.estimate(Pairs(b, a))
    assert (one["low"], one["high"]) == pytest.approx((1 - two["high"], 1 - two["low"]), abs=1e-9)
    assert one["effect"] == pytest.approx(stats.mannwhitneyu(a, b).statistic / 36)


def test_many_pairs_follow_their_stream():
    a, b = rng(2, "a").standard_normal(30) + 0.6, rng(2, "b").standard_normal(30)
    table = Pairs(a, b, tasks=("x", "y", "z") * 10)
    one = improvement.estimate(table, rng(3, "s"))
    assert one == improvement.estimate(table, rng(3, "s"))
    assert round(one["p"] * 10_000) == pytest.approx(one["p"] * 10_000)
    with pytest.raises(ValueError, match="stream"):
        improvement.estimate(table)

    def gap(x, y):
        return np.mean([np.sign(x[i::3, None] - y[None, i::3]).mean() for i in range(3)])

    null = stats.permutation_test((a, b), gap, permutation_type="samples", n_resamples=2000, rng=0).null_distribution
    assert one["p"] == pytest.approx(np.mean(np.abs(null) >= abs(gap(a, b)) - 1e-9), abs=0.04)


# --- interquartile mean ----------------------------------------------------------------------------------------------


def test_iqm_is_scipys_trimmed_mean_and_knows_runs_and_tasks():
    x = rng(4, "x").standard_normal((5, 6))
    out = iqm.estimate(Sample(x.mean(axis=0), scores=x), rng(1, "b"), draws=2000)
    assert out["iqm"] == pytest.approx(stats.trim_mean(x.ravel(), 0.25))
    assert (out["runs"], out["tasks"], out["n"]) == (5, 6, 6)
    assert out["gap"] == pytest.approx(np.maximum(1 - x, 0).mean())
    assert out["median"] == pytest.approx(np.median(x.mean(axis=0)))
    expected = bootstrap.interval(x, bootstrap.iqm, rng(1, "b"), draws=2000)
    assert (out["low"], out["high"]) == (expected.low, expected.high)
    alone = iqm.estimate(Sample(x[:, 0]), rng(1, "b"), draws=500)
    assert (alone["runs"], alone["tasks"]) == (5, 1)


def test_iqm_by_run_and_bca_differ_and_refusals():
    x = rng(5, "x").standard_normal((5, 1)) + 0.1 * rng(5, "y").standard_normal((5, 8))
    table = Sample(x.mean(axis=0), scores=x)
    apart, whole = (iqm.estimate(table, rng(1, "b"), draws=2000, by=by) for by in ("task", "run"))
    assert whole["high"] - whole["low"] > 1.8 * (apart["high"] - apart["low"])
    assert iqm.estimate(table, rng(1, "b"), draws=2000, interval="bca")["low"] != apart["low"]
    with pytest.raises(Refusal, match="at least 2"):
        iqm.estimate(Sample(np.ones(1)), rng(1, "b"))
    with pytest.raises(Refusal, match="no spread"):
        iqm.estimate(Sample(np.ones(4)), rng(1, "b"))
    full = iqm.estimate(Sample(np.array([2.0, 3.0, 4.0])), rng(1, "b"), draws=200)
    assert full["gap"] == 0 and full["gap_low"] is None


# --- verdicts --------------------------------------------------------------------------------------------------------


LEAVES = [paired_t, permutation, wilcoxon, friedman, improvement]


@pytest.mark.parametrize("leaf", LEAVES)
def test_verdicts_say_one_thing_turn_with_the_side_and_with_what_is_better(leaf):
    b = 10 + rng(6, "b").standard_normal(9)
    up = Pairs(b + 2 + 0.1 * rng(6, "e").standard_normal(9), b)
    words = [
        {word for word in verdicts.WORDS if out[word]}
        for out in (leaf.estimate(up), leaf.estimate(Pairs(up.b, up.a)), leaf.estimate(up, higher=False))
    ]
    assert words == [{"better"}, {"worse"}, {"worse"}]
    none = leaf.estimate(Pairs(b + 0.01 * rng(7, "n").standard_normal(9), b))
    assert none["inconclusive"] == 1.0 and none["more_pairs"] != 0
    strict = leaf.estimate(Pairs(up.a, up.b, family=100))
    if leaf is not paired_t:  # which has no smallest p and finds this difference at any level
        assert strict["inconclusive"] == 1.0 and strict["more_pairs"] > 0


def test_margin_makes_the_paired_test_call_things_equivalent():
    b = 10 + rng(8, "b").standard_normal(9)
    table = Pairs(b + 0.05 + 0.01 * rng(8, "e").standard_normal(9), b)
    assert paired_t.estimate(table)["better"] == 1.0  # certainly larger,
    assert paired_t.estimate(table, margin=0.2)["equivalent"] == 1.0  # and certainly too little to matter
    with pytest.raises(Refusal, match="not above 0"):
        paired_t.estimate(table, margin=0.0)


@pytest.mark.parametrize("leaf", [paired_t, permutation, wilcoxon])
def test_more_pairs_is_the_fewest_that_would_decide(leaf):
    """By its definition: with n + more pairs the same mean and deviation reject, with one less they do not."""
    d = np.array([0.9, -0.4, 1.6, 0.3, 1.1, -0.2])
    out = leaf.estimate(Pairs(d + 5, np.full(6, 5.0)))
    n, mean, sd = 6 + int(out["more_pairs"]), d.mean(), d.std(ddof=1)
    assert out["inconclusive"] == 1.0

    def rejects(m):
        if leaf is permutation:
            return power.expected_flip(mean, sd, m, 0.05)
        if leaf is wilcoxon:
            return power.expected_ranks(out["effect"], sd, m, 0.05)
        return 2 * stats.t.sf(mean / (sd / math.sqrt(m)), m - 1) < 0.05

    assert rejects(n) and not rejects(n - 1)


def test_holm_lifts_a_verdict_that_bonferroni_left_open():
    values = {"effect": 0.3, "inconclusive": 1.0, "better": 0.0}
    assert verdicts.after_correction(values, 0.04, 0.05)["better"] == 1.0
    assert verdicts.after_correction(values, 0.04, 0.05, higher=False)["worse"] == 1.0
    assert verdicts.after_correction(values, 0.04, 0.05, neutral=1.0)["worse"] == 1.0  # a ratio below 1
    assert verdicts.after_correction(values, 0.06, 0.05) == {}
    assert verdicts.after_correction({**values, "inconclusive": 0.0, "equivalent": 1.0}, 0.01, 0.05) == {}
    ranks = {"effect": 0.0, "rank_a": 1.0, "rank_b": 2.0, "inconclusive": 1.0}
    assert verdicts.after_correction(ranks, 0.01, 0.05)["worse"] == 1.0


@pytest.mark.parametrize(("n", "kind"), [(6, "flip"), (9, "flip"), (6, "rank"), (12, "rank"), (5, "t"), (9, "t")])
@pytest.mark.parametrize("effect", [0.8, 1.5])
def test_power_of_pairs_by_simulation(n, kind, effect):
    leaf = {"flip": permutation, "rank": wilcoxon, "t": paired_t}[kind]
    stream, draws = rng(9, "power", n, kind), 500
    found = sum(
        leaf.estimate(Pairs(effect + stream.standard_normal(n) + 9, np.full(n, 9.0)))["p"] <= 0.05 for _ in range(draws)
    )
    assert found / draws == pytest.approx(
        power.power_pairs(n, effect, 0.05, kind), abs=0.05 + 2 * 0.5 / math.sqrt(draws)
    )


def test_wins_expected_knows_the_floor():
    assert not wins.expected(0.5, 5, 1, 0.05) and wins.expected(0.5, 6, 1, 0.05)
