"""Almost stochastic order: the closed form against integration, its bound, and either side of a row."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crucis.errors import Refusal
from crucis.seeds import rng
from crucis.stats.compare import aso, equivalence, paired_t, rope, welch, wilcoxon
from crucis.stats.dominance import bound, violation
from crucis.stats.table import Pairs
from crucis.study.results import AnalysisResult, ResultRow, turned

VALUES = st.lists(st.integers(-9, 9), min_size=1, max_size=8)


def by_integration(a, b, steps=100_000):
    """Both quantile functions on a fine grid."""
    t = (np.arange(steps) + 0.5) / steps
    f = np.sort(a)[np.ceil(t * len(a)).astype(int) - 1]
    g = np.sort(b)[np.ceil(t * len(b)).astype(int) - 1]
    gap = f - g
    return float((gap[gap < 0] ** 2).sum() / (gap**2).sum()) if gap.any() else 0.5


@settings(max_examples=60, deadline=None)
@given(VALUES, VALUES)
def test_violation_is_the_integral(a, b):
    x, y = np.sort(np.array(a, dtype=float)), np.sort(np.array(b, dtype=float))
    assert float(violation(x, y)) == pytest.approx(by_integration(x, y), abs=1e-3)
    assert float(violation(x, y)) == pytest.approx(1.0 - float(violation(y, x)))


def test_reference_cases():
    assert float(violation(np.array([1.0, 4]), np.array([2.0, 3]))) == 0.5
    assert float(violation(np.array([2.0, 4]), np.array([1.0, 3]))) == 0.0
    # steps 0, 1 against 0, 0, 3: gap 0 on [0, 1/2), 1 on [1/2, 2/3), -2 on [2/3, 1)
    assert float(violation(np.array([0.0, 1]), np.array([0.0, 0, 3]))) == pytest.approx((4 / 3) / (4 / 3 + 1 / 6))


def test_the_bound_by_its_definition_and_many_rows_at_once():
    made = rng(1, "aso")
    a, b = made.standard_normal(5) + 0.5, made.standard_normal(7)
    seen, upper, reverse = bound(a, b, rng(2, "draws"), draws=4000)
    again = rng(3, "loops")
    eps = [
        by_integration(again.choice(a, 5), again.choice(b, 7), 3500) for _ in range(1500)
    ]  # 3500 = 5 * 7 * 100 steps: no step of either is cut
    assert seen == pytest.approx(by_integration(a, b, 3500), abs=1e-9)
    assert upper == pytest.approx(min(1.0, seen + 1.6449 * np.std(eps)), abs=0.04)
    assert reverse == pytest.approx(min(1.0, 1 - seen + 1.6449 * np.std(eps)), abs=0.04)


def test_it_ignores_what_rows_share():
    """Shuffling the partners changes nothing, which is exactly what it cannot see; the paired test sees it."""
    made = rng(4, "pairs")
    seed = made.standard_normal(5)
    a, b = seed + 0.5 + 0.05 * made.standard_normal(5), seed
    shuffled = b[[1, 2, 3, 4, 0]]
    one, other = (aso.estimate(Pairs(a, y), rng(5, "s")) for y in (b, shuffled))
    assert one["eps"] == pytest.approx(other["eps"]) and one["eps_min"] == pytest.approx(other["eps_min"], abs=0.1)
    assert paired_t.estimate(Pairs(a, b))["p"] < 0.001 < 0.2 < paired_t.estimate(Pairs(a, shuffled))["p"]


def test_seeds_effect_and_refusals():
    made = rng(6, "x")
    table = Pairs(made.standard_normal(6) + 1, made.standard_normal(6))
    assert aso.estimate(table, rng(1)) == aso.estimate(table, rng(1)) != aso.estimate(table, rng(2))
    plain = welch.estimate(table)
    assert all(aso.estimate(table, rng(1))[name] == plain[name] for name in ("effect", "low", "high"))
    with pytest.raises(Refusal, match="the same 3 values"):
        aso.estimate(Pairs([1.0, 2, 3], [3.0, 1, 2]), rng(1))


@pytest.mark.parametrize("leaf", [paired_t, wilcoxon, welch, equivalence, rope, aso])
@pytest.mark.parametrize("scale", ["difference", "ratio"])
def test_a_row_read_from_the_other_side_is_the_estimate_of_the_other_side(leaf, scale):
    """What the study turns around is what the leaf would have said."""
    made = rng(7, "sides")
    a, b = made.random(8) + 1.2, made.random(8) + 1
    params = {"scale": scale} | ({"margin": 1.5} if leaf in (equivalence, rope) else {})

    def of(x, y):
        stream = (rng(8, "draws"),) if leaf.RANDOM else ()
        return leaf.estimate(Pairs(x, y), *stream, **params)

    unit = {name: scale for name, about in leaf.COLUMNS.items() if about["unit"] == "same"}
    intervals = {name: tuple(about["interval"]) for name, about in leaf.COLUMNS.items() if "interval" in about}
    row = ResultRow({"net": "x", "against": "y"}, of(a, b), 8, 8)
    found = turned(AnalysisResult("t", "compare", ("leaf",), (row,), unit, {}, intervals))[0].values
    expected = of(b, a)
    for name, value in expected.items():
        if name != "smallest_detectable":
            assert found[name] == (value if value is None else pytest.approx(value, abs=0.06 if leaf.RANDOM else 1e-9))
