"""Rankings, trajectories, groups, ties and the bias of a search, against SciPy, enumeration and published values."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from crucis.errors import Refusal
from crucis.stats import concordance, explained
from crucis.stats.compare import kruskal_wallis
from crucis.stats.describe import agreement, selection_bias, ties, trajectory
from crucis.stats.panel import Groups, Panel, Selection
from crucis.stats.table import Sample

#: Six targets rated by four judges: Shrout and Fleiss (1979), table 2.
RATINGS = np.array(
    [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]], dtype=float
)  # fmt: skip


def stream():
    return np.random.default_rng(7)


# --- agreement -------------------------------------------------------------------------------------------------


def test_icc_is_that_of_shrout_and_fleiss():
    value, low, high = concordance.icc(RATINGS, 0.95)
    assert (round(value, 2), round(low, 3), round(high, 3)) == (0.17, -0.133, 0.723)


@given(st.integers(0, 10_000), st.integers(3, 7), st.integers(2, 5), st.integers(2, 9))
def test_w_is_friedmans_chi_squared_and_mean_spearman_without_ties(seed, n, m, distinct):
    draw = np.random.default_rng(seed)
    values = draw.integers(0, distinct, (n, m)).astype(float)
    if (values == values[0]).all(axis=0).any():
        return
    assert concordance.kendall_w(values)[1] == pytest.approx(stats.friedmanchisquare(*values).statistic, abs=1e-9)
    plain = draw.permuted(np.tile(np.arange(n, dtype=float)[:, None], (1, m)), axis=0)
    rhos = [stats.spearmanr(a, b).statistic for a, b in itertools.combinations(plain.T, 2)]
    assert concordance.spearman_pairs(plain) == pytest.approx(rhos)
    assert concordance.kendall_w(plain)[0] == pytest.approx((1 + (m - 1) * np.mean(rhos)) / m)


def test_p_of_concordance_is_that_of_all_orders():
    values = np.array([[1, 2, 1], [2, 1, 3], [3, 3, 2], [4, 4, 4]], dtype=float)
    seen = concordance.kendall_w(values)[0]
    orders = list(itertools.permutations(range(4)))
    hits = [
        concordance.kendall_w(np.array([range(4), a, b], dtype=float).T)[0] >= seen - 1e-12
        for a, b in itertools.product(orders, orders)
    ]
    found = agreement.estimate(Panel(values), stream(), draws=20_000)
    assert found["p"] == pytest.approx(np.mean(hits), abs=0.012)
    assert found["p_chi2"] == pytest.approx(stats.chi2.sf(found["chi2"], 3))


def test_equal_orders_agree_and_ties_count_half():
    same = agreement.estimate(
        Panel(np.array([[1, 10, 5], [2, 20, 6], [3, 30, 7], [4, 40, 8]], float)), stream(), draws=99
    )
    assert (same["concordance"], same["chi2"], same["alike"], same["spearman"]) == (1.0, 9.0, 1.0, 1.0)
    # pairs of units: (0, 1) up and tied, (0, 2) up and up, (1, 2) up and up
    assert concordance.alike(np.array([[1, 0], [2, 0], [3, 1]], float)) == pytest.approx(2.5 / 3)
    assert concordance.alike(np.array([[1, 3], [2, 2], [3, 1]], float)) == 0.0


def test_levels_that_share_no_whole_unit_still_compare_pair_by_pair():
    nan = math.nan
    found = agreement.estimate(
        Panel(np.array([[1, 2, nan], [2, 3, nan], [nan, 4, 1], [nan, 5, 0]], float)), stream(), draws=99
    )
    assert found["concordance"] is None and found["p"] is None and found["icc"] is None
    assert found["spearman"] == 0.0 and found["alike"] == 0.5 and found["n"] == 4
    with pytest.raises(Refusal, match="nothing agrees"):
        agreement.estimate(Panel(np.array([[1, nan], [nan, 2.0]])), stream())
    with pytest.raises(Refusal, match="infinite"):
        Panel(np.array([[1.0, math.inf]]))


# --- trajectory ------------------------------------------------------------------------------------------------


def test_slope_and_change_against_polyfit_and_t():
    at = (0.0, 0.25, 0.5, 1.0)
    values = stream().normal(size=(5, 4)) + np.array(at)
    found = trajectory.estimate(Panel(values, places=at), confidence=0.9)
    slopes = [np.polyfit(at, row, 1)[0] for row in values]
    assert found["slope"] == pytest.approx(np.mean(slopes))
    assert (found["low"], found["high"]) == pytest.approx(stats.t.interval(0.9, 4, np.mean(slopes), stats.sem(slopes)))
    change = values[:, 3] - values[:, 0]
    assert (found["change"], found["change_low"]) == pytest.approx(
        (change.mean(), stats.t.interval(0.9, 4, change.mean(), stats.sem(change))[0])
    )
    assert found["rising"] == pytest.approx((np.diff(values, axis=1) > 0).mean())
    turned = trajectory.estimate(Panel(values[:, ::-1], places=at[::-1]), confidence=0.9)
    assert turned == pytest.approx(found)


def test_a_run_that_lacks_a_level_is_left_out():
    found = trajectory.estimate(Panel(np.array([[0, 1, 2], [0, math.nan, 4], [2, 2, 0]], float)))
    assert (found["n"], found["slope"], found["start"], found["end"]) == (2, 0.0, 1.0, 1.0)
    assert (found["rising"], found["falling"]) == (0.5, 0.25)
    one = trajectory.estimate(Panel(np.array([[0.0, 1.0]])))
    assert one["slope"] == 1.0 and one["low"] is None and one["change_high"] is None
    with pytest.raises(Refusal, match="one place"):
        trajectory.estimate(Panel(np.array([[0.0, 1.0]]), places=(1.0, 1.0)))
    with pytest.raises(Refusal, match="at least 1"):
        trajectory.estimate(Panel(np.array([[0.0, math.nan]])))


# --- ties, selection bias --------------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 4), min_size=2, max_size=20))
def test_ties_against_counting_pairs(values):
    found = ties.estimate(Sample(np.array(values, float)))
    pairs = [a == b for a, b in itertools.combinations(values, 2)]
    assert found["tied"] == pytest.approx(np.mean(pairs))
    assert found["distinct"] == len(set(values)) and found["smallest"] == min(values)
    assert found["at_smallest"] == pytest.approx(values.count(min(values)) / len(values))


def test_selection_bias_is_found_minus_confirmed():
    x = np.array([0.81, 0.84, 0.79, 0.83])
    found = selection_bias.estimate(Selection(0.88, x))
    low, high = stats.t.interval(0.95, 3, x.mean(), stats.sem(x))
    assert (found["bias"], found["low"], found["high"]) == pytest.approx((0.88 - x.mean(), 0.88 - high, 0.88 - low))
    with pytest.raises(Refusal, match="1 fresh seeds, at least 2"):
        selection_bias.estimate(Selection(0.88, x[:1]))


# --- Kruskal-Wallis --------------------------------------------------------------------------------------------


@given(st.integers(0, 10_000), st.lists(st.integers(1, 6), min_size=2, max_size=5), st.integers(2, 30))
def test_h_and_its_chi_squared_p_are_scipys(seed, sizes, distinct):
    draw = np.random.default_rng(seed)
    groups = [draw.integers(0, distinct, size).astype(float) for size in sizes]
    values = np.concatenate(groups)
    if float(np.ptp(values)) == 0.0 or max(sizes) == 1:
        with pytest.raises(Refusal):
            kruskal_wallis.estimate(Groups(tuple(groups)), draw, p_by="chi2")
        return
    found, oracle = kruskal_wallis.estimate(Groups(tuple(groups)), draw, p_by="chi2"), stats.kruskal(*groups)
    assert (found["h"], found["p"]) == pytest.approx((max(0.0, oracle.statistic), oracle.pvalue), abs=1e-9)
    assert found["effect_size"] == pytest.approx(max(0.0, oracle.statistic) / (len(values) - 1), abs=1e-9)


def test_share_between_groups_inverts_the_noncentral_f():
    groups = [np.array([1.0, 2, 4]), np.array([3.0, 5, 6, 7]), np.array([9.0, 12])]
    f, n = stats.f_oneway(*groups).statistic, 9
    share, low, high = explained.between(groups, 0.5)
    for end, level in ((low, 0.75), (high, 0.25)):
        assert stats.ncf.cdf(f, 2, 6, n * end / (1 - end)) == pytest.approx(level, abs=1e-6)
    assert low <= share <= high
    assert explained.between([np.arange(3.0), np.arange(3.0)], 0.95)[:2] == (0.0, 0.0)
    assert explained.between([np.zeros(2), np.ones(2)], 0.95) == (1.0, None, None)


def test_few_values_take_the_p_of_all_deals():
    groups = (np.array([1.0, 2, 5]), np.array([3.0, 4, 9]), np.array([6.0, 7, 8]))
    values, seen = np.concatenate(groups), stats.kruskal(*groups).statistic
    hits = []
    for first in itertools.combinations(range(9), 3):
        rest = [i for i in range(9) if i not in first]
        for second in itertools.combinations(rest, 3):
            third = [i for i in rest if i not in second]
            sums = [stats.rankdata(values)[list(part)].sum() for part in (first, second, third)]
            hits.append(12 / 90 * sum(s * s / 3 for s in sums) - 30 >= seen - 1e-9)
    found = kruskal_wallis.estimate(Groups(groups), stream())
    assert found["p"] == pytest.approx(np.mean(hits), abs=0.012)
    apart = kruskal_wallis.estimate(Groups(tuple(np.arange(9.0).reshape(3, 3))), stream(), draws=100_000)
    assert apart["h"] == pytest.approx(7.2) and apart["p"] == pytest.approx(6 / 1680, abs=8e-4)
    five = kruskal_wallis.estimate(Groups(tuple(np.arange(10.0).reshape(2, 5))), stream())
    assert five["p"] == five["p_chi2"]
