"""Samples that do not pair: Welch's test, Cliff's delta, Hedges' g, and what pairing is worth."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from crucis.errors import Refusal
from crucis.seeds import rng
from crucis.stats import effects
from crucis.stats.compare import paired_t, welch
from crucis.stats.independent import welch as of_samples
from crucis.stats.table import Pairs


@pytest.mark.parametrize(("n", "m"), [(2, 2), (3, 9), (12, 5)])
def test_welch_agrees_with_scipy(n, m):
    made = rng(1, "welch", n)
    a, b = made.standard_normal(n) + 1, 4 * made.standard_normal(m)
    found, expected = of_samples(a, b, 0.9), stats.ttest_ind(a, b, equal_var=False)
    assert (found.p, found.df) == pytest.approx((expected.pvalue, expected.df), rel=1e-9)
    assert (found.low, found.high) == pytest.approx(tuple(expected.confidence_interval(0.9)), rel=1e-9)


def test_reference_case_and_refusals():
    out = welch.estimate(Pairs([1.0, 2, 3], [2.0, 4, 9]))
    assert (out["effect"], out["df"], out["p"]) == pytest.approx((-3, 2.306, 0.2838), abs=5e-4)
    assert out["pairing"] == pytest.approx(stats.pearsonr([1, 2, 3], [2, 4, 9]).statistic)
    assert out["cliff"] == pytest.approx(-6 / 9)
    assert welch.estimate(Pairs([1.0, 2, 3], [5.0, 5, 5]))["pairing"] is None
    with pytest.raises(Refusal, match="neither sample has any spread"):
        of_samples(np.ones(3), np.zeros(3))
    with pytest.raises(Refusal, match="at least 2"):
        of_samples(np.ones(1), np.zeros(3))
    a = np.array([2.0, 4, 9])
    assert welch.estimate(Pairs(a, a[::-1] / 3), scale="ratio")["effect"] == pytest.approx(3.0)


def test_pairing_is_used_by_the_default_and_thrown_away_here():
    """Five seeds that matter more than the treatment: the paired test finds it, the unpaired one does not."""
    made, draws = rng(2, "pairing"), 1000
    seed = made.standard_normal((draws, 5))
    a, b = seed + 0.5 + 0.3 * made.standard_normal((draws, 5)), seed + 0.3 * made.standard_normal((draws, 5))
    tables = [Pairs(x, y) for x, y in zip(a, b, strict=True)]
    found = np.array([[paired_t.estimate(t)["p"] <= 0.05, welch.estimate(t)["p"] <= 0.05] for t in tables])
    assert found[:, 0].mean() == pytest.approx(0.51, abs=0.05) and found[:, 1].mean() < 0.05


SMALL = st.lists(st.integers(0, 5), min_size=1, max_size=6)


@settings(max_examples=50, deadline=None)
@given(SMALL, SMALL)
def test_cliff_is_a_share_of_wins_and_turns_with_the_sides(a, b):
    x, y = np.array(a, dtype=float), np.array(b, dtype=float)
    out, other = effects.cliff(x, y, 0.95), effects.cliff(y, x, 0.95)
    wins = [(p > q) - (p < q) for p in a for q in b]
    assert out["cliff"] == pytest.approx(sum(wins) / len(wins), abs=1e-12)
    assert out["improvement"] == pytest.approx(stats.mannwhitneyu(x, y).statistic / len(wins))
    assert -1 <= out["cliff_low"] <= out["cliff"] + 1e-12 and out["cliff"] <= out["cliff_high"] + 1e-12 <= 1 + 2e-12
    assert (out["cliff_low"], out["cliff_high"]) == pytest.approx((-other["cliff_high"], -other["cliff_low"]), abs=1e-9)


def test_cliff_interval_solves_its_equation_and_has_width_at_the_ends():
    out = effects.cliff(np.array([3.0, 4, 5]), np.array([1.0, 2]), 0.95)
    assert out["improvement"] == 1.0 == out["improvement_high"] and 0 < out["improvement_low"] < 0.9
    t, share, z = out["improvement_low"], 1.0, stats.norm.ppf(0.975)
    spread = t * (1 - t) * (1 + 1.5 * ((1 - t) / (2 - t) + t / (1 + t))) / 6
    assert (share - t) ** 2 == pytest.approx(z * z * spread, rel=1e-9)


@pytest.mark.parametrize(("n", "m", "shift"), [(5, 5, 0.0), (5, 5, 1.0), (3, 10, 0.5), (10, 10, 2.0)])
def test_cliff_interval_covers(n, m, shift):
    made, draws, true = rng(3, "cliff", n, m), 1500, 2 * stats.norm.cdf(shift / math.sqrt(2)) - 1
    hits = 0
    for _ in range(draws):
        out = effects.cliff(made.standard_normal(n) + shift, made.standard_normal(m), 0.95)
        hits += out["cliff_low"] <= true <= out["cliff_high"]
    assert hits / draws >= 0.93 - 2 * math.sqrt(0.05 * 0.95 / draws)


def test_hedges_interval_covers_and_is_scaled_d():
    made, draws, hits = rng(4, "g"), 1500, 0
    for _ in range(draws):
        out = effects.hedges(made.standard_normal(5) + 1.0, made.standard_normal(8), 0.95)
        hits += out["g_low"] <= 1.0 <= out["g_high"]
    assert hits / draws == pytest.approx(0.95, abs=0.02)
    a, b = made.standard_normal(5), made.standard_normal(8)
    d, g = effects.independent(a, b, 0.95), effects.hedges(a, b, 0.95)
    factor = math.gamma(5.5) / (math.sqrt(5.5) * math.gamma(5.0))  # Hedges' J(11)
    assert g["g"] == pytest.approx(d["d"] * factor) and g["g_low"] == pytest.approx(d["d_low"] * factor)
