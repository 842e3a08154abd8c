"""Textbook examples with published results, most of them those of the help pages of R's stats package."""

from __future__ import annotations

import math

import numpy as np
import pytest

from crucis.stats import friedman_ranks, power
from crucis.stats.compare import friedman, improvement, paired_t, permutation, welch, wilcoxon
from crucis.stats.corrections import adjust
from crucis.stats.correlate import kendall
from crucis.stats.table import Blocks, Pairs, Points

#: Cushny and Peebles (1905), Student (1908): hours of sleep gained on two drugs; R's data set `sleep`.
SLEEP = (
    np.array([0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0]),
    np.array([1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]),
)
#: Darwin (1876), Fisher (1935, The Design of Experiments, section 17): crossed less self-fertilised maize.
DARWIN = np.array([49.0, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48])
#: Hollander and Wolfe (1973), p. 29: Hamilton depression scale of nine patients; R's help of wilcox.test.
DEPRESSION = (
    np.array([1.83, 0.50, 1.62, 2.48, 1.68, 1.88, 1.55, 3.06, 1.30]),
    np.array([0.878, 0.647, 0.598, 2.05, 1.06, 1.29, 1.06, 3.14, 1.29]),
)
#: Hollander and Wolfe (1973), p. 187: lightness and quality of tuna; R's help of cor.test.
TUNA = (
    np.array([44.4, 45.9, 41.9, 53.3, 44.7, 44.1, 50.7, 45.2, 60.1]),
    np.array([2.6, 3.1, 2.5, 5.0, 3.6, 4.0, 5.2, 2.8, 3.8]),
)
#: Hollander and Wolfe (1973), p. 140: three ways to round first base; R's help of friedman.test.
ROUNDING = np.array([
    [5.40, 5.50, 5.55], [5.85, 5.70, 5.75], [5.20, 5.60, 5.50], [5.55, 5.50, 5.40], [5.90, 5.85, 5.70],
    [5.45, 5.55, 5.60], [5.40, 5.40, 5.35], [5.45, 5.50, 5.35], [5.25, 5.15, 5.00], [5.85, 5.80, 5.70],
    [5.25, 5.20, 5.10], [5.65, 5.55, 5.45], [5.60, 5.35, 5.45], [5.05, 5.00, 4.95], [5.50, 5.50, 5.40],
    [5.45, 5.55, 5.50], [5.55, 5.55, 5.35], [5.45, 5.50, 5.55], [5.50, 5.45, 5.25], [5.65, 5.60, 5.40],
    [5.70, 5.65, 5.55], [6.30, 6.30, 6.25],
])  # fmt: skip


def test_sleep_paired_and_unpaired():
    paired = paired_t.estimate(Pairs(*SLEEP))
    assert (paired["effect"], paired["p"]) == pytest.approx((-1.58, 0.002833), abs=5e-7)
    assert (paired["low"], paired["high"]) == pytest.approx((-2.4598858, -0.7001142), abs=5e-8)
    apart = welch.estimate(Pairs(*SLEEP))
    assert (apart["df"], apart["p"]) == pytest.approx((17.776, 0.07939), abs=5e-4)
    assert (apart["low"], apart["high"]) == pytest.approx((-3.3654832, 0.2054832), abs=5e-8)


def test_darwins_maize_by_t_and_by_all_sign_flips():
    table = Pairs(DARWIN, np.zeros(15))
    assert paired_t.estimate(table)["p"] == pytest.approx(0.0497, abs=5e-5)
    assert permutation.estimate(table)["p"] == 2 * 863 / 2**15  # Fisher counted 863 of the 32,768 on one side


def test_depression_signed_ranks():
    assert wilcoxon.estimate(Pairs(*DEPRESSION))["p"] == pytest.approx(2 * 0.01953, abs=1e-5)  # R: V = 40, one-sided


def test_tuna_kendall():
    found = kendall.estimate(Points(*TUNA))
    assert (found["tau"], found["p"]) == pytest.approx((0.4444444, 0.1194), abs=5e-5)


def test_rounding_times_friedman():
    table = Pairs(ROUNDING[:, 0], ROUNDING[:, 2], blocks=Blocks(ROUNDING, 0, 2))
    found = friedman.estimate(table)
    assert (found["chi2"], found["omnibus"]) == pytest.approx((11.143, 0.003805), abs=5e-4)
    assert found["omnibus"] == pytest.approx(0.003805, abs=5e-7)


@pytest.mark.parametrize(("k", "q"), [(2, 1.960), (3, 2.343), (4, 2.569), (5, 2.728), (6, 2.850), (10, 3.164)])
def test_critical_values_of_nemenyi(k, q):
    """Demsar (2006), table 5a, alpha = 0.05."""
    assert friedman_ranks.critical_difference(14, k, 0.05) == pytest.approx(q * math.sqrt(k * (k + 1) / 84), rel=5e-4)


def test_corrections_of_benjamini_and_hochberg():
    """Their own example (1995, section 3.2): 15 comparisons, of which Bonferroni keeps 3 and they 4."""
    p = [0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262, 0.5719, 0.6528,
         0.7590, 1.0]  # fmt: skip
    kept = {name: sum(x <= 0.05 for x in adjust(p, name)) for name in ("bonferroni", "holm", "bh", "none")}
    assert kept == {"bonferroni": 3, "holm": 3, "bh": 4, "none": 9}


def test_power_and_sample_size():
    """R's help of power.t.test: 20 per side find one deviation with 0.8689528; 22.02 give 0.90. G*Power: 34 pairs."""
    assert power.power_sides(20, 1.0, 0.05) == pytest.approx(0.8689528, abs=5e-7)
    assert power.power_sides(22, 1.0, 0.05) < 0.90 < power.power_sides(23, 1.0, 0.05)
    assert power.detectable_sides(20, 0.05, 0.8689528) == pytest.approx(1.0, abs=1e-6)
    assert power.seeds_needed(0.5, 0.05) == 34
    assert power.power_pairs(34, 0.5, 0.05) >= 0.8 > power.power_pairs(33, 0.5, 0.05)


def test_probability_of_improvement_is_mann_and_whitneys_u():
    """R's help of wilcox.test, permeability of placentas (Hollander and Wolfe 1973, p. 69): W = 35 of 50."""
    x = np.array([0.80, 0.83, 1.89, 1.04, 1.45, 1.38, 1.91, 1.64, 0.73, 1.46])
    y = np.array([1.15, 0.88, 0.90, 0.74, 1.21])
    from crucis.stats import effects

    assert effects.cliff(x, y, 0.95)["improvement"] == pytest.approx(35 / 50)
    a, b = np.array([2.0, 4, 6]), np.array([1.0, 3, 5])
    assert improvement.estimate(Pairs(a, b))["effect"] == pytest.approx(6 / 9)
