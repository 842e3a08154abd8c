"""Five defects of packages that one might lean on, none of which is ours.

1. A bootstrap whose seed is not honoured (rliable 1.2.0: three calls with RandomState(7), three intervals).
2. One NaN among the runs that silently turns every number into 0 (SALib 1.6.0), or is dropped (Ray Tune's Repeater).
3. A one-sided test whose side is chosen from the data (autorank 1.3.0).
4. Paired data compared as if they were two samples (deep-significance 1.2.8).
5. A test at a number of seeds with which it can never reach its level, run all the same.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from crucis import shelf
from crucis.errors import Refusal
from crucis.seeds import rng
from crucis.stats import bootstrap
from crucis.stats.compare import paired_t, permutation, welch, wilcoxon
from crucis.stats.table import Pairs, Points, Sample
from crucis.study.attainable import smallest_p
from crucis.study.load import check_study
from crucis.testing import simulation

EVERY = sorted(simulation.CASES)
RANDOM = [(home, name) for home, name in EVERY if shelf.leaf(home, name).random]


def call(home, name, table, *seed):
    leaf, case = shelf.leaf(home, name), simulation.CASES[home, name]
    return shelf.load(leaf)(table, *((rng(*seed),) if leaf.random else ()), **case.params)


def table_of(home, name, n=8, stream=3):
    case = simulation.CASES[home, name]
    return case.draw(rng(stream, "defects"), n, "normal", case.effect)


# --- 1. the seed is honoured ---------------------------------------------------------------------------------------


def test_a_bootstrap_is_a_function_of_its_stream_and_touches_no_global_generator():
    x = rng(0, "x").standard_normal((5, 10))
    before = np.random.get_state()[1].copy()
    found = [bootstrap.interval(x, bootstrap.iqm, rng(7, "b"), draws=2000) for _ in range(3)]
    assert found[0] == found[1] == found[2]
    assert found[0] != bootstrap.interval(x, bootstrap.iqm, rng(8, "b"), draws=2000)
    np.random.seed(1)
    assert bootstrap.interval(x, bootstrap.iqm, rng(7, "b"), draws=2000) == found[0]
    np.random.set_state(("MT19937", before, 624))


@pytest.mark.parametrize(("home", "name"), RANDOM)
def test_every_leaf_that_draws_repeats_itself(home, name):
    table = table_of(home, name, 20)
    assert call(home, name, table, 7, "s") == call(home, name, table, 7, "s")


# --- 2. NaN is refused aloud ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_no_table_takes_what_is_not_finite(bad):
    x, ok = np.array([0.1, 0.2, bad, 0.4]), np.arange(4.0)
    for make in (
        lambda: Sample(x), lambda: Pairs(x, ok), lambda: Pairs(ok, x), lambda: Points(x, ok), lambda: Points(ok, x),
        lambda: Sample(ok, scores=np.array([[1.0, bad]])), lambda: bootstrap.scores(np.column_stack([ok, x])),
    ):  # fmt: skip
        with pytest.raises(Refusal, match="not finite"):
            make()


@pytest.mark.parametrize(("home", "name"), EVERY)
def test_no_leaf_ever_returns_nan(home, name):
    values = call(home, name, table_of(home, name), 1, "n").values()
    assert all(value is None or math.isfinite(value) for value in values)


# --- 3. the side is fixed before the data --------------------------------------------------------------------------


@pytest.mark.parametrize("leaf", [paired_t, permutation, wilcoxon, welch])
def test_p_is_two_sided_and_does_not_depend_on_which_side_leads(leaf):
    a, b = rng(2, "a").standard_normal(8) + 0.6, rng(2, "b").standard_normal(8)
    one, two = leaf.estimate(Pairs(a, b)), leaf.estimate(Pairs(b, a))
    assert one["p"] == pytest.approx(two["p"], rel=1e-12)
    assert one["effect"] == pytest.approx(-two["effect"]) and one["better"] == two["worse"]


def test_signed_ranks_agree_with_the_two_sided_test_of_scipy_and_not_with_the_leading_side():
    d = np.array([0.3, -0.1, 0.7, 0.9, 0.2, -0.4, 1.1, 0.8])
    found = wilcoxon.estimate(Pairs(d + 1, np.ones(8)))["p"]
    assert found == pytest.approx(stats.wilcoxon(d, method="exact").pvalue)
    assert found == pytest.approx(2 * stats.wilcoxon(d, alternative="greater", method="exact").pvalue)


# --- 4. pairing is used --------------------------------------------------------------------------------------------


def test_pairs_that_share_a_large_seed_effect_are_told_apart():
    """The case of the notes: true gain 0.5, a seed effect that hides it from two independent samples."""
    seed = np.array([1.9, -2.3, 0.4, 3.1, -1.2])
    a = seed + 0.5 + np.array([0.05, -0.1, 0.12, -0.04, 0.02])
    table = Pairs(a, seed)
    assert paired_t.estimate(table)["p"] < 0.003 and paired_t.estimate(table)["better"] == 1.0
    assert welch.estimate(table)["p"] > 0.5 and welch.estimate(table)["pairing"] > 0.99


# --- 5. what cannot be reached is refused before the run -----------------------------------------------------------


STUDY = """
study: s
factors: {arm: {a: {net: mlp}, b: {net: {mlp: {widths: [8]}}}}}
seeds: SEEDS
stages:
  model: {train: supervised, net: $arm.net, data: spirals, for: 2 epochs}
analysis:
  one: {compare: LEAF, of: model.accuracy, between: arm, against: a}
claims:
  c: one.p < 0.05
"""


@pytest.mark.parametrize("leaf", ["wilcoxon", "permutation", "improvement"])
@pytest.mark.parametrize("n", range(3, 9))
def test_floors_of_p_are_exact_and_a_claim_below_them_is_refused_before_the_run(tmp_path, leaf, n):
    d = np.linspace(1.0, 2.0, n)  # all one way: the smallest p that there is
    found = call("compare", leaf, Pairs(d + 1.0, np.ones(n) - np.arange(n) * 1e-3), 1, "f")
    assert found["p"] == found["smallest_p"] == smallest_p(leaf, n) == 2.0 ** (1 - n)
    path = tmp_path / "s.yaml"
    path.write_text(STUDY.replace("SEEDS", str(n)).replace("LEAF", leaf), encoding="utf-8")
    faults = [str(fault) for fault in check_study(path)[1] if not fault.note]
    if n < 6:
        assert len(faults) == 1 and f"no p below {2.0 ** (1 - n):.4g}" in faults[0] and "6 seeds" in faults[0]
    else:
        assert not faults


@pytest.mark.parametrize(("n", "k"), [(2, 3), (3, 3), (2, 5)])
def test_the_floor_of_friedmans_pairs_is_exact(n, k):
    from crucis.stats import friedman_ranks

    ranks = np.tile(np.arange(1.0, k + 1), (n, 1))
    assert friedman_ranks.p_pair(ranks, 0, k - 1) == pytest.approx(smallest_p("friedman", n, k))


def test_the_floor_of_friedman_is_checked_with_its_levels(tmp_path):
    text = STUDY.replace("SEEDS", "3").replace("LEAF", "friedman")
    path = tmp_path / "s.yaml"
    path.write_text(text, encoding="utf-8")
    assert any("friedman on 3 seeds has no p below 0.25" in str(fault) for fault in check_study(path)[1])
