"""Effects of components: against ordinary least squares, brute force over orders, scikit-learn, and the axioms."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from crucis import shelf
from crucis.errors import Refusal
from crucis.stats import factorial
from crucis.stats.attribute import forest, interactions, main_effects, shapley
from crucis.stats.table import Design

NAMES = ("gating", "shift", "norm", "skip")


def lattice(count: int) -> np.ndarray:
    return np.array(list(itertools.product((0.0, 1.0), repeat=count)))


def design(y, coded, *focus: int, **more) -> Design:
    return Design(y, coded, NAMES[: coded.shape[1]], focus, **more)


def noisy(coded: np.ndarray, blocks: int = 5, seed: int = 1) -> np.ndarray:
    stream = np.random.default_rng(seed)
    truth = coded @ np.linspace(1.0, -0.5, coded.shape[1]) + 0.7 * coded[:, 0] * coded[:, 1]
    return 3.0 * stream.standard_normal((blocks, 1)) + truth + 0.3 * stream.standard_normal((blocks, len(coded)))


def test_main_effects_and_interactions_are_those_of_least_squares_in_every_block():
    coded = lattice(3)
    y = noisy(coded)
    signs = 2 * coded - 1
    both = signs[:, 0] * signs[:, 2]
    model = sm.add_constant(np.column_stack([signs, signs[:, 0] * signs[:, 1], both, signs[:, 1] * signs[:, 2]]))
    fitted = np.array([sm.OLS(row, model).fit().params for row in y])
    for i in range(3):
        out = main_effects.estimate(design(y, coded, i))
        expected = stats.ttest_1samp(2 * fitted[:, 1 + i], 0.0)
        ends = expected.confidence_interval(0.95)
        assert out["effect"] == pytest.approx((2 * fitted[:, 1 + i]).mean())
        assert (out["low"], out["high"], out["p"]) == pytest.approx((ends.low, ends.high, expected.pvalue))
        assert (out["contexts"], out["aliased"]) == (4, 0)
    out = interactions.estimate(design(y, coded, 0, 2))
    assert out["effect"] == pytest.approx((4 * fitted[:, 5]).mean())
    assert out["p"] == pytest.approx(stats.ttest_1samp(4 * fitted[:, 5], 0.0).pvalue)


def test_leave_one_out_is_full_minus_without_and_add_one_in_is_only_minus_baseline():
    full, none = [1, 1, 1], [0, 0, 0]
    out = np.array([full, [0, 1, 1], [1, 0, 1], [1, 1, 0], none], dtype=float)
    y = noisy(out)
    for i in range(3):
        got = main_effects.estimate(design(y, out, i))
        assert got["effect"] == pytest.approx((y[:, 0] - y[:, 1 + i]).mean())
        assert got["contexts"] == 1
    one = np.array([none, [1, 0, 0], [0, 1, 0], [0, 0, 1], full], dtype=float)
    y = noisy(one)
    assert main_effects.estimate(design(y, one, 1))["effect"] == pytest.approx((y[:, 2] - y[:, 0]).mean())
    with pytest.raises(Refusal, match="no four runs differ in gating and shift alone"):
        interactions.estimate(design(y, one, 0, 1))


def test_a_fraction_estimates_halves_and_names_its_aliases():
    coded = np.array([row for row in lattice(4) if (2 * row - 1).prod() > 0])  # resolution IV: I = ABCD
    y = noisy(coded)
    out = main_effects.estimate(design(y, coded, 0))
    inside = coded[:, 0] == 1
    assert out["effect"] == pytest.approx((y[:, inside].mean(axis=1) - y[:, ~inside].mean(axis=1)).mean())
    assert (out["contexts"], out["aliased"]) == (0, 0)
    pair = interactions.estimate(design(y, coded, 0, 1))
    assert factorial.aliases(coded, (0, 1), NAMES) == ["norm-skip"] and pair["aliased"] == 1
    assert pair["excess"] is None
    ragged = coded[:-1]
    with pytest.raises(Refusal, match="no balanced fraction"):
        main_effects.estimate(design(y[:, :-1], ragged, 0))


def test_excess_says_whether_removing_both_hurts_more_than_the_sum():
    coded = lattice(2)  # none, second, first, both; either one alone is as good as both
    y = np.array([[0.0, 1.0, 1.0, 1.0], [0.0, 1.1, 1.0, 1.0], [0.0, 0.9, 1.1, 1.1]])
    out = interactions.estimate(design(y, coded, 0, 1))
    full, first, second, none = y[:, 3], y[:, 2], y[:, 1], y[:, 0]
    assert out["excess"] == pytest.approx(((full - none) - (full - second) - (full - first)).mean())
    assert out["excess"] > 0.5 and out["effect"] == pytest.approx(-out["excess"])


def brute(y: np.ndarray, coded: np.ndarray) -> np.ndarray:
    """Mean marginal gain over all orders of adding the components."""
    value = {tuple(row): v for row, v in zip(coded.astype(int).tolist(), y, strict=True)}
    count, out = coded.shape[1], np.zeros(coded.shape[1])
    for order in itertools.permutations(range(count)):
        state = [0] * count
        for i in order:
            before = value[tuple(state)]
            state[i] = 1
            out[i] += value[tuple(state)] - before
    return out / math.factorial(count)


def values(y: np.ndarray, coded: np.ndarray) -> np.ndarray:
    return np.array([y @ factorial.shapley(coded, i, NAMES) for i in range(coded.shape[1])])


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 4).flatmap(lambda n: st.lists(st.floats(-9, 9), min_size=2**n, max_size=2**n)))
def test_shapley_is_the_mean_over_orders_and_keeps_efficiency(game):
    coded = lattice(len(game).bit_length() - 1)
    y = np.array(game)
    found = values(y, coded)
    assert found == pytest.approx(brute(y, coded), abs=1e-9)
    assert found.sum() == pytest.approx(y[-1] - y[0], abs=1e-9)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.floats(-9, 9), min_size=8, max_size=8), st.lists(st.floats(-9, 9), min_size=8, max_size=8),
    st.floats(-3, 3),
)  # fmt: skip
def test_shapley_keeps_symmetry_dummy_and_linearity(one, two, factor):
    coded = lattice(3)
    a, b = np.array(one), np.array(two)
    assert values(a + factor * b, coded) == pytest.approx(values(a, coded) + factor * values(b, coded), abs=1e-8)
    swapped = [int(np.flatnonzero((coded == row[[1, 0, 2]]).all(axis=1))[0]) for row in coded]
    same = values(a + a[swapped], coded)
    assert same[0] == pytest.approx(same[1], abs=1e-8)
    without = [int(np.flatnonzero((coded == row * [1, 1, 0]).all(axis=1))[0]) for row in coded]
    assert values(a[without], coded)[2] == pytest.approx(0.0, abs=1e-8)


def test_shapley_tests_over_blocks_and_refuses_holes():
    coded = lattice(3)
    y = noisy(coded)
    each = np.array([brute(row, coded)[1] for row in y])
    out = shapley.estimate(design(y, coded, 1))
    assert (out["effect"], out["p"]) == pytest.approx((each.mean(), stats.ttest_1samp(each, 0.0).pvalue))
    with pytest.raises(Refusal, match="all 8 subsets, and 1 are lacking: gating \\+ norm"):
        shapley.estimate(design(np.delete(y, 5, axis=1), np.delete(coded, 5, axis=0), 1))


def test_verdicts_say_keep_drop_or_undecided():
    coded = lattice(2)
    stream = np.random.default_rng(3)
    noise = 0.01 * stream.standard_normal((6, 4))
    y = coded @ np.array([1.0, 0.0]) + noise
    keep = main_effects.estimate(design(y, coded, 0))
    assert keep["better"] == 1.0
    drop = main_effects.estimate(design(y, coded, 1), margin=0.1)
    assert drop["equivalent"] == 1.0
    small = main_effects.estimate(design(y, coded, 0), higher=False)
    assert small["worse"] == 1.0
    open_ = main_effects.estimate(design(y, coded, 1))
    assert open_["inconclusive"] == 1.0


def test_forest_is_scikit_learn_on_blocks_left_out():
    from sklearn.ensemble import RandomForestRegressor
    from sklearn.inspection import permutation_importance

    coded = lattice(3)
    y = noisy(coded, 3)
    out = forest.estimate(design(y, coded, 0), np.random.default_rng(4), trees=10, repeats=3)
    seed = int(np.random.default_rng(4).integers(2**31))
    flat = y - y.mean(axis=1, keepdims=True)
    expected = []
    for block in range(3):
        rest = [i for i in range(3) if i != block]
        model = RandomForestRegressor(10, random_state=seed + block).fit(np.vstack([coded] * 2), flat[rest].ravel())
        expected.append(
            permutation_importance(
                model, coded, flat[block], scoring="neg_mean_absolute_error", n_repeats=3, random_state=seed + block
            ).importances_mean[0]
        )
    assert out["importance"] == pytest.approx(np.mean(expected))
    ends = stats.ttest_1samp(expected, 0.0).confidence_interval(0.95)
    assert (out["importance_low"], out["importance_high"]) == pytest.approx((ends.low, ends.high))


def test_forest_ranks_components_as_they_were_made():
    coded = lattice(3)
    y = np.tile(coded @ np.array([1.0, 0.0, 0.3]), (4, 1)) + 0.01 * np.random.default_rng(0).standard_normal((4, 8))
    found = [forest.estimate(design(y, coded, i), np.random.default_rng(1), trees=20)["importance"] for i in range(3)]
    assert found[0] > found[2] > found[1]
    assert abs(found[1]) < 0.02 and 0.3 < found[0] < 0.7


def test_coverage_of_the_interval_of_an_effect():
    coded, hits = lattice(2), 0
    stream = np.random.default_rng(8)
    for _ in range(400):
        y = 5 * stream.standard_normal((4, 1)) + coded @ np.array([0.5, 0.0]) + stream.standard_normal((4, 4))
        out = main_effects.estimate(design(y, coded, 0))
        hits += out["low"] <= 0.5 <= out["high"]
    assert abs(hits / 400 - 0.95) < 0.035


@pytest.mark.parametrize("name", shelf.names("attribute"))
def test_declarations_and_refusals(name):
    leaf = shelf.leaf("attribute", name)
    for column, about in leaf.columns.items():
        assert set(about) >= {"unit", "range", "axes"}, column
        assert all(end in leaf.columns for end in about.get("interval", ()))
    if name not in ("main_effects", "interactions", "shapley", "forest"):
        return
    run = shelf.load(leaf)
    stream = (np.random.default_rng(0),) if leaf.random else ()
    table = design(np.zeros((4, 4)), lattice(2), *((0, 1) if name == "interactions" else (0,)))
    for broken in (table, replace(table, y=np.arange(4.0).reshape(1, 4))):
        with pytest.raises(Refusal):
            run(broken, *stream)


def test_tables_that_are_no_design_are_refused():
    with pytest.raises(Refusal, match="the same components"):
        design(np.zeros((2, 2)), np.zeros((2, 1)), 0)
    with pytest.raises(Refusal, match="nothing between"):
        design(np.zeros((2, 2)), np.array([[0.0], [0.5]]), 0)
