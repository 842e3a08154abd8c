"""The signed-rank test: against SciPy, against all sign flips, ties, zeros, announced power."""

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
from crucis.stats import power, signed_ranks
from crucis.stats.compare import wilcoxon
from crucis.stats.table import Pairs
from crucis.study.load import check_study


def of(d, **params):
    d = np.asarray(d, dtype=float)
    return wilcoxon.estimate(Pairs(d, np.zeros(len(d))), **params)


def by_counting(d):
    """Pratt's ranks and every flip of the signs of what is not zero."""
    ranks = stats.rankdata(np.abs(d))[d != 0]
    seen = abs(ranks @ np.sign(d[d != 0]))
    flips = np.array(list(itertools.product((-1, 1), repeat=len(ranks))))
    return float((np.abs(flips @ ranks) >= seen - 1e-9).mean())


def test_reference_case():
    out = of([1, 2, 3, 4, 5, 6])
    assert (out["effect"], out["low"], out["high"], out["p"], out["rank_biserial"]) == (3.5, 1, 6, 2 / 64, 1)
    assert out["smallest_p"] == 2 / 64 and out["zeros"] == 0


def test_published_critical_values():
    # Wilcoxon & Wilcox (1964): largest rank sum of the rarer sign that is significant at 0.05, two-sided.
    for n, rarer in {6: 0, 7: 2, 8: 3, 9: 5, 10: 8, 15: 25, 20: 52, 25: 89}.items():
        assert signed_ranks.depth(n, 0.05) - 1 == rarer
    assert signed_ranks.depth(5, 0.05) == 0


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(-4, 4), min_size=2, max_size=9).filter(any))
def test_ties_and_zeros_are_counted_exactly(d):
    assert of(d)["p"] == pytest.approx(by_counting(np.array(d, dtype=float)), rel=1e-12)
    assert of(d)["zeros"] == d.count(0)


@pytest.mark.parametrize("n", [5, 12, 40])
def test_agrees_with_scipy_without_ties(n):
    d = rng(1, "scipy", n).standard_normal(n) + 0.3
    assert of(d)["p"] == pytest.approx(stats.wilcoxon(d, method="exact").pvalue, rel=1e-10)


def test_above_a_hundred_it_is_normal():
    d = rng(1, "large").standard_normal(150) + 0.1
    expected = stats.wilcoxon(d, method="asymptotic", correction=False).pvalue
    assert of(d)["p"] == pytest.approx(expected, rel=1e-9)
    assert of(d[:100])["p"] == pytest.approx(stats.wilcoxon(d[:100], method="asymptotic").pvalue, rel=0.06)


@pytest.mark.parametrize("n", [6, 9, 14])
def test_the_interval_holds_what_the_test_does_not_reject(n):
    d = rng(2, "inversion", n).standard_normal(n)
    out = of(d)
    nudge = 1e-9
    for end, inwards in ((out["low"], nudge), (out["high"], -nudge)):
        assert by_counting(d - end - inwards) > 0.05 >= by_counting(d - end + inwards)
    averages = [(x + y) / 2 for i, x in enumerate(d) for y in d[i:]]
    assert out["effect"] == pytest.approx(np.median(averages))


def test_rounding_makes_no_difference_of_ranks():
    a, b = np.array([0.9, 0.8, 0.7, 0.65]), np.array([0.8, 0.7, 0.6, 0.75])
    assert wilcoxon.estimate(Pairs(a, b))["p"] == by_counting(np.array([1.0, 1, 1, -1]))


def test_ratio_and_refusals():
    b = np.array([1.0, 2, 4, 8])
    assert wilcoxon.estimate(Pairs(2 * b, b), scale="ratio")["effect"] == pytest.approx(2.0)
    with pytest.raises(Refusal, match="differences are zero"):
        of([0, 0, 0])
    with pytest.raises(Refusal, match="positive"):
        wilcoxon.estimate(Pairs(b, b - 1), scale="ratio")


def test_the_side_is_not_chosen_from_the_data():
    """Exchanging the sides changes the sign and nothing else, and under the null 5 % of all data reject, not 10."""
    made = rng(3, "side")
    a, b = made.standard_normal((2, 9))
    one, other = wilcoxon.estimate(Pairs(a, b)), wilcoxon.estimate(Pairs(b, a))
    assert one["p"] == other["p"] and one["effect"] == -other["effect"]
    assert (one["low"], one["rank_biserial"]) == (-other["high"], -other["rank_biserial"])
    draws = made.exponential(size=(4000, 10)) - made.exponential(size=(4000, 10))
    hits = sum(signed_ranks.p_two_sided(*signed_ranks.signed_ranks(d)) <= 0.05 for d in draws) / 4000
    assert hits == pytest.approx(signed_ranks.level(10, 0.05), abs=2.5 * math.sqrt(0.05 * 0.95 / 4000))


@pytest.mark.parametrize(("n", "alpha"), [(6, 0.05), (8, 0.05 / 3), (10, 0.05), (20, 0.01), (30, 0.05)])
def test_announced_power(n, alpha):
    x = rng(4, "power", n).standard_normal((8000, n)) + power.detectable_ranks(n, alpha)
    ranks = np.argsort(np.argsort(np.abs(x), axis=1), axis=1) + 1
    seen = np.abs((ranks * np.sign(x)).sum(axis=1))
    upper = signed_ranks._tail(tuple(range(1, n + 1)))
    p = 2 * upper[((n * (n + 1) / 2 + seen) / 2).astype(int)]
    assert (p <= alpha * (1 + 1e-9)).mean() == pytest.approx(0.8, abs=0.05)


def test_what_it_can_never_reach():
    assert power.detectable_ranks(5, 0.05) is None and power.detectable_ranks(1, 0.05) is None
    assert signed_ranks.level(5, 0.05) == 0.0 and signed_ranks.level(6, 0.05) == 2 / 64


STUDY = """\
study: s
factors:
  arch: {a: {net: mlp}, b: {net: {mlp: {widths: [8]}}}}
seeds: SEEDS
stages:
  model: {train: supervised, net: $arch.net, data: spirals, for: 2 epochs}
analysis:
  which: {compare: LEAF, of: model.accuracy, between: arch, against: a}
claims:
  c: which.p@arch=b < 0.05
"""


@pytest.mark.parametrize(
    ("leaf", "seeds", "fault"), [("wilcoxon", 5, True), ("wilcoxon", 6, False), ("paired_t", 5, False)]
)
def test_a_study_that_cannot_reach_its_level_is_refused_before_it_runs(tmp_path, leaf, seeds, fault):
    path = tmp_path / "s.yaml"
    path.write_text(STUDY.replace("LEAF", leaf).replace("SEEDS", str(seeds)), encoding="utf-8")
    _, faults = check_study(path)
    texts = [str(one) for one in faults if not one.note]
    assert any("two-sided wilcoxon on 5 seeds has no p below 0.0625" in text for text in texts) == fault
    assert fault or not texts
