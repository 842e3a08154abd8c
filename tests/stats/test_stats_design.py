"""Corrections and power: against statsmodels, closed forms and simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestPower

from crucis.seeds import rng
from crucis.stats import flips, power, ranks, tails
from crucis.stats.corrections import adjust

P = st.lists(st.floats(0, 1), min_size=1, max_size=12)


@settings(max_examples=40, deadline=None)
@given(P, st.sampled_from([("holm", "holm"), ("bonferroni", "bonferroni"), ("bh", "fdr_bh")]))
def test_corrections_agree_with_statsmodels(p, names):
    assert adjust(p, names[0]) == pytest.approx(list(multipletests(p, method=names[1])[1]), abs=1e-12)


@given(P)
def test_none_changes_nothing(p):
    assert adjust(p, "none") == p


def test_planned_tests_without_a_p_count_as_one():
    assert adjust([0.01, None, 0.04], "holm") == pytest.approx([0.03, None, 0.08], nan_ok=False)
    assert adjust([0.01, None, 0.04], "bonferroni") == pytest.approx([0.03, None, 0.12])
    full = multipletests([0.01, 1.0, 0.04], method="fdr_bh")[1]
    assert [v for v in adjust([0.01, None, 0.04], "bh") if v is not None] == pytest.approx([full[0], full[2]])
    assert adjust([0.01], "holm", 5) == pytest.approx([0.05])


@pytest.mark.parametrize(
    ("p", "method", "size"), [([0.1], "tukey", None), ([1.2], "holm", None), ([0.1, 0.2], "holm", 1)]
)
def test_wrong_calls(p, method, size):
    with pytest.raises(ValueError, match=r"correction|outside|family"):
        adjust(p, method, size)


@pytest.mark.parametrize("n", [3, 5, 10, 40])
@pytest.mark.parametrize("alpha", [0.05, 0.05 / 12])
def test_detectable_difference_agrees_with_statsmodels(n, alpha):
    d = power.detectable_pairs(n, alpha)
    assert TTestPower().power(d, n, alpha) == pytest.approx(0.8, abs=1e-6)
    assert tails.power_t(0.0, n - 1, alpha) == pytest.approx(alpha, rel=1e-6)


@pytest.mark.parametrize(("n", "alpha"), [(6, 0.05), (8, 0.05), (8, 0.05 / 3), (10, 0.05)])
def test_power_of_sign_flips_is_what_was_announced(n, alpha):
    made, d = rng(1, "power", n), power.detectable_pairs(n, alpha, exact=True)
    draws = 2000
    hits = sum(flips.flip(made.standard_normal(n) + d, 0.95, None)[0] <= alpha * (1 + 1e-9) for _ in range(draws))
    assert abs(hits / draws - 0.8) <= 0.05 + 2 * math.sqrt(0.16 / draws)


def test_what_can_never_be_reached():
    assert power.attainable_flip(5) == 0.0625 and power.detectable_pairs(5, 0.05, exact=True) is None
    assert power.detectable_pairs(1, 0.05) is None
    assert power.attainable_correlation(4) == pytest.approx(2 / 24)
    assert power.significant_correlation(4, 0.05) is None and power.significant_correlation(4, 0.05, "kendall") is None
    assert power.significant_correlation(3, 0.05, given=1) is None


def test_smallest_significant_correlation_of_the_protocol():
    # 19 networks, 12 metrics, Bonferroni: the figure that the protocol's plan prints
    assert power.significant_correlation(19, 0.05 / 12) == pytest.approx(0.63, abs=0.005)
    r = power.significant_correlation(19, 0.05 / 12, given=1)
    assert 2 * stats.t.sf(r * math.sqrt(16 / (1 - r * r)), 16) == pytest.approx(0.05 / 12, rel=1e-9)


@pytest.mark.parametrize("n", [6, 7, 8])
def test_smallest_significant_is_significant_and_the_next_is_not(n):
    null = np.sort(np.abs(np.round(ranks._untied(n), 6)))[::-1]
    rho = power.significant_correlation(n, 0.05)
    scale = n * (n * n - 1) / 12
    assert np.mean(null >= rho * scale - 1e-6) <= 0.05
    below = null[null < rho * scale - 1e-6][0]
    assert np.mean(null >= below - 1e-6) > 0.05


@pytest.mark.parametrize("kind", ["pearson", "spearman", "kendall"])
@pytest.mark.parametrize(("n", "alpha"), [(8, 0.05), (10, 0.05), (19, 0.05 / 12), (40, 0.05)])
def test_power_of_correlations_is_what_was_announced(kind, n, alpha):
    true = power.detectable_correlation(n, alpha, kind)
    r = {"pearson": true, "spearman": 2 * math.sin(math.pi * true / 6), "kendall": math.sin(math.pi * true / 2)}[kind]
    edge, draws, hits = power.significant_correlation(n, alpha, kind), 2000, 0
    made = rng(2, "power", kind, n)
    for _ in range(draws):
        x, z = made.standard_normal((2, n))
        y = r * x + math.sqrt(1 - r * r) * z
        if kind == "kendall":
            s, _, _, count = ranks.concordance(x, y)
            found = s / count
        else:
            found = ranks.correlation(*((x, y) if kind == "pearson" else (ranks.midranks(x), ranks.midranks(y))))
        hits += abs(found) >= edge - 1e-9
    assert abs(hits / draws - 0.8) <= 0.05 + 2 * math.sqrt(0.16 / draws)


def test_tails_agree_with_scipy():
    assert tails.t_quantile(0.975, 4) == pytest.approx(stats.t.ppf(0.975, 4), rel=1e-12)
    assert tails.t_two_sided(2.5, 7) == pytest.approx(2 * stats.t.sf(2.5, 7), rel=1e-12)
    assert tails.normal_two_sided(1.3) == pytest.approx(2 * stats.norm.sf(1.3), rel=1e-12)
    for t, df, shift in ((2.0, 4, 1.0), (-1.0, 9, 2.0), (30.0, 3, 25.0)):
        assert tails.noncentral_t_below(t, df, shift) == pytest.approx(stats.nct.cdf(t, df, shift), abs=1e-8)
