"""Single statistics against SciPy, statsmodels, brute force and closed forms."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from crucis.errors import Refusal
from crucis.seeds import rng
from crucis.stats import effects, flips, ranks
from crucis.stats.compare import paired_t, permutation
from crucis.stats.correlate import kendall, partial_spearman, pearson, spearman
from crucis.stats.describe import summary
from crucis.stats.table import Frame, Pairs, Points, Sample

RNG = np.random.default_rng(11)


def pairs(n, effect=0.3, seed=0):
    made = np.random.default_rng(seed)
    shared = 3 * made.standard_normal(n)
    return shared + effect + made.standard_normal(n) + 20, shared + made.standard_normal(n) + 20


def units(n, seed=0, rounded=None):
    made = np.random.default_rng(seed)
    x, y = made.standard_normal((2, n))
    y = 0.5 * x + y
    return (np.round(x, rounded), np.round(y, rounded)) if rounded is not None else (x, y)


# --- tables --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_refused_aloud(bad):
    x = np.array([1.0, bad, 3.0])
    ok = np.arange(3.0)
    for make in (
        lambda: Sample(x), lambda: Pairs(x, ok), lambda: Pairs(ok, x), lambda: Points(x, ok), lambda: Points(ok, x),
        lambda: Points(ok, ok, x[:, None]), lambda: Frame({"a": x}),
    ):  # fmt: skip
        with pytest.raises(Refusal, match="not finite") as caught:
            make()
        assert caught.value.code == "not_finite" and "rows 1" in str(caught.value)


def test_unequal_lengths_are_refused():
    with pytest.raises(Refusal, match="b has 2 rows, expected 3"):
        Pairs(np.arange(3.0), np.arange(2.0))


# --- paired t and effect sizes -------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [2, 3, 5, 30])
@pytest.mark.parametrize("confidence", [0.9, 0.95])
def test_paired_t_agrees_with_scipy(n, confidence):
    a, b = pairs(n, seed=n)
    out = paired_t.estimate(Pairs(a, b), confidence=confidence)
    expected = stats.ttest_rel(a, b)
    ci = expected.confidence_interval(confidence)
    assert out["p_raw"] == pytest.approx(expected.pvalue, rel=1e-10)
    assert (out["low"], out["high"]) == pytest.approx((ci.low, ci.high), rel=1e-10)
    assert out["se"] == pytest.approx(stats.sem(a - b)) and out["n"] == n
    assert out["dz"] == pytest.approx((a - b).mean() / (a - b).std(ddof=1))


def test_paired_t_reference_case_and_statsmodels():
    out = paired_t.estimate(Pairs([1.0, 2, 3], [0.0, 0, 0]))
    assert out["effect"] == 2 and out["p"] == pytest.approx(0.0742, abs=5e-5)
    low, high = sm.stats.DescrStatsW([1.0, 2, 3]).tconfint_mean()
    assert (out["low"], out["high"]) == pytest.approx((low, high), rel=1e-12)


def test_ratio_is_the_geometric_mean_and_refuses_what_is_not_positive():
    a, b = np.array([2.0, 4.0, 8.5]), np.array([1.0, 2.0, 4.0])
    out = paired_t.estimate(Pairs(a, b), scale="ratio")
    assert out["effect"] == pytest.approx(stats.gmean(a / b))
    assert 0 < out["low"] < out["effect"] < out["high"] and out["smallest_detectable"] > 1
    with pytest.raises(Refusal, match="positive"):
        paired_t.estimate(Pairs(a, b - 1), scale="ratio")


@pytest.mark.parametrize("shift", [0.0, 0.1, 1 / 3])
def test_equal_differences_are_degenerate_despite_rounding(shift):
    b = np.array([0.71, 0.83, 0.9123456789, 1e3])
    with pytest.raises(Refusal) as caught:
        paired_t.estimate(Pairs(b + shift, b))
    assert caught.value.code == "degenerate"


@pytest.mark.parametrize(("t", "df"), [(0.0, 4), (2.5, 4), (-2.5, 4), (8.0, 2), (40.0, 4), (3.0, 60)])
def test_noncentral_interval_inverts_the_distribution(t, df):
    low, high = effects.shift_interval(t, df, 0.95)
    assert stats.nct.cdf(t, df, low) == pytest.approx(0.975, abs=1e-6)
    assert stats.nct.cdf(t, df, high) == pytest.approx(0.025, abs=1e-6)


def test_interval_of_dz_covers():
    made, hits, draws, truth = rng(3, "dz"), 0, 2000, 0.8
    for _ in range(draws):
        d = made.standard_normal(6) + truth
        out = effects.paired(float(d.mean()), float(d.std(ddof=1)), 6, 0.95)
        hits += out["dz_low"] <= truth <= out["dz_high"]
    assert abs(hits / draws - 0.95) < 0.02


def test_hedges_correction_removes_the_bias():
    draws = rng(4, "g").standard_normal((40_000, 6)) + 0.8
    dz = draws.mean(axis=1) / draws.std(axis=1, ddof=1)
    assert dz.mean() > 0.92
    assert dz.mean() * effects.small_sample(5) == pytest.approx(0.8, abs=0.01)
    assert effects.small_sample(10) == pytest.approx(1 - 3 / (4 * 10 - 1), abs=1e-3)


def test_independent_effect_against_its_own_definition():
    a, b = RNG.standard_normal(8) + 1, RNG.standard_normal(12)
    out = effects.independent(a, b, 0.95)
    pooled = math.sqrt((7 * a.var(ddof=1) + 11 * b.var(ddof=1)) / 18)
    assert out["d"] == pytest.approx((a.mean() - b.mean()) / pooled)
    assert stats.ttest_ind(a, b).statistic == pytest.approx(out["d"] / math.sqrt(1 / 8 + 1 / 12))
    assert out["d_low"] < out["d"] < out["d_high"] and abs(out["g"]) < abs(out["d"])


# --- sign flips ----------------------------------------------------------------------------------------------


def brute_flip(d):
    signs = np.array(list(itertools.product((-1, 1), repeat=len(d))))
    return float((np.abs(signs @ d) >= abs(d.sum()) - 1e-9).mean())


@pytest.mark.parametrize("n", [2, 3, 6, 9])
def test_exact_p_equals_brute_force_and_scipy(n):
    a, b = pairs(n, seed=20 + n)
    out = permutation.estimate(Pairs(a, b))
    assert out["p"] == pytest.approx(brute_flip(a - b), abs=1e-15)
    scipy = stats.permutation_test((a, b), lambda x, y: np.mean(x - y), permutation_type="samples", n_resamples=np.inf)
    assert out["p"] == pytest.approx(scipy.pvalue, abs=1e-12)


def test_ties_of_sums_do_not_depend_on_rounding():
    d = np.array([0.1, 0.2, 0.3, -0.1, -0.2, 0.1])
    integer = np.array([1, 2, 3, -1, -2, 1.0])
    assert flips.flip(d, 0.95, None)[0] == brute_flip(integer)


def test_permutation_reference_case_and_unattainable_interval():
    out = permutation.estimate(Pairs(np.arange(1.0, 7), np.zeros(6)))
    assert (out["p"], out["low"], out["high"], out["effect"]) == (2 / 64, 1.0, 6.0, 3.5)
    few = permutation.estimate(Pairs(np.arange(1.0, 6), np.zeros(5)))
    assert few["p"] == few["smallest_p"] == 2 / 32
    assert few["low"] is None and few["high"] is None and few["smallest_detectable"] is None


@given(arrays(np.float64, 7, elements=st.floats(-10, 10, width=32)), st.floats(-5, 5, width=32))
@settings(max_examples=200, deadline=None)
def test_interval_holds_exactly_what_the_test_does_not_reject(d, at):
    _, low, high = flips.flip(d, 0.95, None)
    assert low is not None and low <= high
    if abs(at - low) < 1e-6 or abs(at - high) < 1e-6:
        return
    rejected = flips.flip(d - at, 0.95, None)[0] <= 0.05
    # the interval is the union of both one-sided tests at 2.5 %; the two-sided p doubles the symmetric tail
    assert rejected == (not low < at < high)


def test_monte_carlo_follows_its_stream_and_nears_the_exact_p():
    a, b = pairs(20, 0.5, seed=1)
    one = permutation.estimate(Pairs(a, b), rng(1, "x"))
    assert one == permutation.estimate(Pairs(a, b), rng(1, "x"))
    assert one["p"] != permutation.estimate(Pairs(a, b), rng(2, "x"))["p"]
    assert round(one["p"] * 10_000) == pytest.approx(one["p"] * 10_000) and one["p"] >= 1e-4
    scipy = stats.permutation_test(
        (a, b), lambda x, y: np.mean(x - y), permutation_type="samples", n_resamples=9999, random_state=0)  # fmt: skip
    assert one["p"] == pytest.approx(scipy.pvalue, abs=5 * math.sqrt(scipy.pvalue / 1e4) + 1e-3)
    with pytest.raises(ValueError, match="stream"):
        permutation.estimate(Pairs(a, b))


def test_all_zero_is_degenerate_but_a_constant_shift_is_not():
    b = np.arange(6.0)
    with pytest.raises(Refusal):
        permutation.estimate(Pairs(b, b))
    out = permutation.estimate(Pairs(b + 1, b))
    assert out["p"] == 2 / 64 and out["dz"] is None and out["low"] == out["high"] == pytest.approx(1)


# --- describe ------------------------------------------------------------------------------------------------


def test_summary_against_scipy():
    x = RNG.standard_normal(9) * 3 + 1
    out = summary.estimate(Sample(x))
    low, high = stats.t.interval(0.95, 8, x.mean(), stats.sem(x))
    assert (out["low"], out["high"]) == pytest.approx((low, high), rel=1e-12)
    variance = 8 * x.var(ddof=1) / stats.chi2.ppf([0.975, 0.025], 8)
    assert (out["sd_low"], out["sd_high"]) == pytest.approx(np.sqrt(variance), rel=1e-10)
    assert (out["min"], out["max"], out["median"], out["n"]) == (x.min(), x.max(), np.median(x), 9)
    ordered = np.sort(x)
    assert (out["median_low"], out["median_high"]) == (ordered[1], ordered[7])  # 1 - 2 P(B(9) <= 1) = 0.961
    assert 1 - 2 * stats.binom.cdf(1, 9, 0.5) >= 0.95 > 1 - 2 * stats.binom.cdf(2, 9, 0.5)


def test_summary_of_few_and_equal_values():
    one = summary.estimate(Sample([2.0]))
    assert one["mean"] == one["min"] == one["median"] == 2 and one["low"] is None and one["sd"] is None
    flat = summary.estimate(Sample([0.1 + 0.2, 0.3, 0.3]))
    assert flat["sd"] == 0 and flat["low"] == flat["high"] == flat["mean"]
    assert summary.estimate(Sample(np.arange(5.0)))["median_low"] is None
    assert summary.estimate(Sample(np.arange(6.0)))["median_low"] == 0


# --- correlations --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [9, 19, 60])
@pytest.mark.parametrize("rounded", [None, 0])
def test_correlations_agree_with_scipy(n, rounded):
    x, y = units(n, n, rounded)
    table = Points(x, y)
    for leaf, function, name in ((pearson, stats.pearsonr, "r"), (spearman, stats.spearmanr, "rho"),
                                 (kendall, stats.kendalltau, "tau")):  # fmt: skip
        out, expected = leaf.estimate(table), function(x, y)
        assert out[name] == pytest.approx(expected.statistic, abs=1e-12)
        if name == "tau" and n == 60 and rounded is None:
            continue  # SciPy switches to the normal approximation for the same sizes; held separately below
        assert out["p"] == pytest.approx(expected.pvalue, rel=1e-9, abs=1e-14), name
    ci = stats.pearsonr(x, y).confidence_interval(0.95)
    out = pearson.estimate(table)
    assert (out["low"], out["high"]) == pytest.approx((ci.low, ci.high), abs=1e-10)


def test_kendall_of_many_units_is_the_normal_approximation():
    x, y = units(60, 60)
    expected = stats.kendalltau(x, y, method="asymptotic")
    assert kendall.estimate(Points(x, y))["p"] == pytest.approx(expected.pvalue, rel=1e-9)


@pytest.mark.parametrize("n", [3, 4, 5, 6])
@pytest.mark.parametrize("rounded", [None, 0])
def test_exact_rank_p_equals_brute_force(n, rounded):
    x, y = units(n, n + 1, rounded)
    if len(set(x)) == 1 or len(set(y)) == 1:
        y = np.arange(n, dtype=float)
    everyone = list(itertools.permutations(range(n)))
    for leaf, name, function in ((spearman, "rho", stats.spearmanr), (kendall, "tau", stats.kendalltau)):
        out = leaf.estimate(Points(x, y))
        null = [abs(function(x, y[list(order)]).statistic) for order in everyone]
        assert out["p"] == pytest.approx(np.mean(np.array(null) >= abs(out[name]) - 1e-9), abs=1e-12)


def test_exact_p_is_uniform_under_the_null():
    made = rng(5, "null")
    levels = (0.05, 0.1, 0.3, 0.5)
    p = np.array([spearman.estimate(Points(*made.standard_normal((2, 7))))["p"] for _ in range(2000)])
    null = [spearman.estimate(Points(np.arange(7.0), np.array(o, float)))["p"]
            for o in list(itertools.permutations(range(7)))[::9]]  # fmt: skip
    for level in levels:
        assert np.mean(p <= level) == pytest.approx(np.mean(np.array(null) <= level), abs=0.03)
        assert np.mean(p <= level) <= level + 0.02


def test_reference_cases():
    out = spearman.estimate(Points([1.0, 2, 3, 4, 5], [2.0, 1, 4, 3, 5]))
    assert out["rho"] == pytest.approx(0.8) and out["p"] == pytest.approx(16 / 120)
    out = kendall.estimate(Points([1.0, 2, 3, 4], [1.0, 2, 4, 3]))
    assert out["tau"] == pytest.approx(2 / 3) and out["p"] == pytest.approx(8 / 24) and out["low"] is None
    assert pearson.estimate(Points([1.0, 2, 3], [1.0, 3, 2]))["p"] == pytest.approx(2 / 3)


def test_a_perfect_order_keeps_an_interval():
    line = np.arange(8.0)
    for leaf, name in ((spearman, "rho"), (kendall, "tau")):
        up, down = leaf.estimate(Points(line, line**3)), leaf.estimate(Points(line, -line))
        assert up[name] == 1 and up["high"] == 1 and 0.3 < up["low"] < 1
        assert down["low"] == -1 and down["high"] == pytest.approx(-up["low"])


def test_ties_are_counted():
    out = spearman.estimate(Points([0.0, 0, 0, 1, 2, 3], [1.0, 2, 3, 4, 5, 5]))
    assert out["ties"] == 5
    assert spearman.estimate(Points(np.arange(6.0), np.arange(6.0)))["ties"] == 0


@pytest.mark.parametrize("k", [1, 2])
def test_partial_spearman_is_the_residual_correlation_of_ranks(k):
    x, y = units(19, 4)
    z = np.random.default_rng(8).standard_normal((19, k)) + x[:, None]
    out = partial_spearman.estimate(Points(x, y, z))
    design = sm.add_constant(np.column_stack([stats.rankdata(z[:, i]) for i in range(k)]))
    rx, ry = (sm.OLS(stats.rankdata(v), design).fit().resid for v in (x, y))
    r = np.corrcoef(rx, ry)[0, 1]
    assert out["rho"] == pytest.approx(r, abs=1e-10)
    t = r * math.sqrt((17 - k) / (1 - r * r))
    assert out["p"] == pytest.approx(2 * stats.t.sf(abs(t), 17 - k), rel=1e-9)
    # the same t is that of x in the regression of y's ranks on x and what is given
    full = sm.OLS(stats.rankdata(y), np.column_stack([design, stats.rankdata(x)])).fit()
    assert t == pytest.approx(full.tvalues[-1], rel=1e-9)


def test_partial_spearman_refuses_what_it_cannot_tell():
    x, y = units(8)
    for given_, word in ((None, "at least one"), (np.ones((8, 1)), "equal"), (x[:, None], "determine the ranks of x"),
                         (np.column_stack([y, 2 * y]) + 0 * x[:, None], "determine")):  # fmt: skip
        with pytest.raises(Refusal, match=word):
            partial_spearman.estimate(Points(x, y, given_))


@given(st.permutations(range(8)), st.sampled_from([spearman, kendall]))
@settings(max_examples=60, deadline=None)
def test_rank_statistics_ignore_monotone_changes_and_order_of_units(order, leaf):
    x, y = units(8, 3)
    one = leaf.estimate(Points(x, y))
    two = leaf.estimate(Points(np.exp(x)[list(order)], (y**3)[list(order)]))
    assert {k: pytest.approx(v) for k, v in one.items()} == two


def test_ranks_and_inversions():
    x = np.array([3.0, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5])
    assert ranks.midranks(x) == pytest.approx(stats.rankdata(x))
    assert ranks.smallest_tau(5, 0.05) == 1.0 and ranks.smallest_tau(4, 0.05) is None
    assert ranks.smallest_rho(5, 0.05) == 1.0 and ranks.smallest_rho(4, 0.05) is None
    assert ranks.smallest_rho(7, 0.05) == pytest.approx(0.786, abs=1e-3)  # the printed table's value
    assert ranks.smallest_tau(10, 0.05) == pytest.approx(23 / 45)
