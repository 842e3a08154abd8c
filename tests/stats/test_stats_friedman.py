"""Friedman's ranks: SciPy, published critical values, exact p by enumeration, and the blocks of a study."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from crucis.errors import Refusal
from crucis.seeds import rng
from crucis.stats import friedman_ranks
from crucis.stats.compare import friedman, wilcoxon
from crucis.stats.table import Blocks, Pairs
from crucis.study.analyse import analyse
from crucis.study.spec import Analysis, Factor, LeafRef, Level, Ref, Study
from crucis.study.table import Point


def of(values, a=0, b=1, **params):
    x = np.asarray(values, dtype=float)
    return friedman.estimate(Pairs(x[:, a], x[:, b], blocks=Blocks(x, a, b)), **params)


def test_reference_case():
    out = of(np.tile([1.0, 2, 3], (4, 1)), 0, 2)
    assert out["p"] == out["smallest_p"] == pytest.approx(2 / 6**4)
    assert (out["rank_a"], out["rank_b"], out["levels"], out["chi2"]) == (1, 3, 3, 8)
    assert out["omnibus"] == pytest.approx(0.0183, abs=5e-5)
    assert out["critical_difference"] == pytest.approx(1.657, abs=5e-4)


@pytest.mark.parametrize(("n", "k", "digits"), [(6, 3, 3), (10, 4, 0), (15, 6, 1)])
def test_statistic_agrees_with_scipy_with_ties(n, k, digits):
    x = np.round(rng(1, "friedman", n).standard_normal((n, k)), digits)
    expected = stats.friedmanchisquare(*x.T)
    out = of(x)
    assert out["chi2"] == pytest.approx(expected.statistic, rel=1e-9)
    assert out["omnibus"] == pytest.approx(expected.pvalue, rel=1e-9)


def test_critical_values_of_demsar():
    # Table 5a of Demsar (2006): q(0.05) and q(0.10) over the square root of 2, for 2 .. 10 levels.
    for alpha, row in (
        (0.05, [1.960, 2.343, 2.569, 2.728, 2.850, 2.949, 3.031, 3.102, 3.164]),
        (0.10, [1.645, 2.052, 2.291, 2.459, 2.589, 2.693, 2.780, 2.855, 2.920]),
    ):
        found = [friedman_ranks.critical_difference(1, k, alpha) / (k * (k + 1) / 6) ** 0.5 for k in range(2, 11)]
        assert found == pytest.approx(row, abs=1.1e-3)
    assert friedman_ranks.range_tail(3.3, 4) == pytest.approx(stats.studentized_range.sf(3.3, 4, np.inf), rel=1e-6)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.lists(st.integers(0, 3), min_size=3, max_size=3), min_size=2, max_size=4))
def test_pair_p_counts_all_orders_of_every_row(rows):
    ranks = friedman_ranks.within_rows(np.array(rows, dtype=float))
    seen = abs(ranks[:, 0].sum() - ranks[:, 1].sum())
    every = [
        abs(sum(row[0] - row[1] for row in rows))
        for rows in itertools.product(*(itertools.permutations(row) for row in ranks))
    ]
    assert friedman_ranks.p_pair(ranks, 0, 1) == pytest.approx(np.mean(np.array(every) >= seen - 1e-9))


def test_two_levels_are_the_sign_test():
    d = np.array([1.0, 2, 3, -1, 5, 6, 7, 8])
    out = friedman.estimate(Pairs(d, np.zeros(8)))
    assert out["p"] == pytest.approx(stats.binomtest(7, 8).pvalue)
    plain = wilcoxon.estimate(Pairs(d, np.zeros(8)))
    assert all(out[name] == plain[name] for name in ("effect", "low", "high"))


def _first_two(ranks):
    return friedman_ranks.p_pair(ranks, 0, 1)


@pytest.mark.parametrize(("n", "k"), [(3, 3), (5, 5), (12, 4)])
def test_false_alarms(n, k):
    made, draws = rng(2, "alarms", n, k), 1500
    ranks = made.standard_normal((draws, n, k)).argsort(axis=2).argsort(axis=2) + 1.0
    pairs = [(a, b) for a in range(k) for b in range(a)]
    omnibus, pair = ([test(one) for one in ranks] for test in (friedman_ranks.p_omnibus, _first_two))
    p = np.array([omnibus, pair, [min(friedman_ranks.p_nemenyi(one, *two) for two in pairs) for one in ranks]]).T
    assert ((p <= 0.05).mean(axis=0) <= 0.062).all()


def test_refusals():
    x = rng(3, "x").standard_normal((4, 3))
    with pytest.raises(Refusal, match="2 rows lack one of the 3 levels"):
        friedman.estimate(Pairs(x[:, 0], x[:, 1], blocks=Blocks(x, 0, 1, torn=2)))
    with pytest.raises(Refusal, match="nothing has a rank"):
        of(np.ones((4, 3)))
    with pytest.raises(Refusal, match="1 rows hold all"):
        friedman.estimate(Pairs(x[:, 0], x[:, 1], blocks=Blocks(x[:1], 0, 1)))
    with pytest.raises(Refusal, match="not finite"):
        Blocks(np.array([[1.0, np.nan]]), 0, 1)


# --- in a study ----------------------------------------------------------------------------------------------

NETS, SEEDS = ("a", "b", "c"), (1, 2, 3, 4)


class Scores:
    """One column over nets and seeds; some values missing."""

    def __init__(self, values, gone=()):
        self.values, self.gone = values, gone

    def points(self, ref):
        return [
            Point({"net": net}, seed, None if (net, seed) in self.gone else float(self.values[i, j]),
                  "failed" if (net, seed) in self.gone else "ok", f"{net}{seed}")
            for j, net in enumerate(NETS) for i, seed in enumerate(SEEDS)
        ]  # fmt: skip

    def field(self, factor, label, field):
        return None

    def labels(self, axis):
        return NETS if axis == "net" else ()


def study(tmp_path):
    analysis = Analysis(
        "ranks", "compare", (LeafRef("compare", "friedman"),), of=(Ref("m", "accuracy"),), between="net"
    )
    factors = {"net": Factor("net", tuple(Level(one, one) for one in NETS))}
    return Study("s", tmp_path, "s.yaml", factors=factors, analysis={"ranks": analysis})


def test_a_study_hands_over_all_levels(tmp_path):
    x = rng(5, "study").standard_normal((4, 3))
    rows = analyse(study(tmp_path), Scores(x))["ranks"].rows
    assert len(rows) == 3
    for row in rows:
        a, b = NETS.index(row.axes["net"]), NETS.index(row.axes["against"])
        expected = of(x, a, b)
        assert row.values["p_raw"] == expected["p"] and row.values["chi2"] == expected["chi2"]
        assert (row.values["rank_a"], row.values["levels"]) == (expected["rank_a"], 3)


def test_a_failed_seed_of_any_level_refuses_the_ranks(tmp_path):
    x = rng(5, "study").standard_normal((4, 3))
    rows = analyse(study(tmp_path), Scores(x, {("c", 2)}))["ranks"].rows
    assert all(row.refused is not None and "1 rows lack one of the 3 levels" in row.refused.text for row in rows)
