"""Separation against scikit-learn and a simulation, fairness against counting by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from crucis.numerics import fairness, separation


@settings(max_examples=50, deadline=None)
@given(st.integers(2, 30), st.integers(2, 30), st.integers(0, 2**32 - 1))
def test_area_is_that_of_scikit_learn(m: int, n: int, seed: int) -> None:
    draw = np.random.default_rng(seed)
    positive, negative = draw.integers(0, 8, m) + 1.0, draw.integers(0, 8, n).astype(float)
    truth = np.r_[np.ones(m), np.zeros(n)]
    found, se = separation.area(positive, negative)
    assert found == pytest.approx(metrics.roc_auc_score(truth, np.r_[positive, negative]))
    kernel = (positive[:, None] > negative) + 0.5 * (positive[:, None] == negative)
    wanted = np.sqrt(kernel.mean(1).var(ddof=1) / m + kernel.mean(0).var(ddof=1) / n)
    assert se == pytest.approx(wanted)


def test_the_standard_error_is_the_spread_over_samples() -> None:
    draw = np.random.default_rng(0)
    found = [separation.area(draw.normal(0.5, 1, 80), draw.normal(0, 1, 120)) for _ in range(400)]
    areas, errors = np.array(found).T
    assert areas.mean() == pytest.approx(0.638, abs=0.01)  # Phi(0.5 / sqrt 2)
    assert errors.mean() == pytest.approx(areas.std(), rel=0.1)


def test_gaps_by_hand() -> None:
    group = np.array([0, 0, 0, 0, 1, 1, 1, 1, 1])
    favoured = np.array([1, 1, 1, 0, 1, 0, 0, 0, 0], bool)
    deserving = np.array([1, 1, 0, 0, 1, 1, 0, 0, 0], bool)
    assert fairness.parity_gap(favoured, group, 2) == pytest.approx(3 / 4 - 1 / 5)
    # among the deserving 2/2 and 1/2, among the others 1/2 and 0/3
    assert fairness.odds_gap(favoured, deserving, group, 2) == pytest.approx(0.5)
    assert fairness.odds_gap(favoured, group == 0, group, 2) is None
    assert fairness.parity_gap(favoured, np.zeros(9, int), 3) is None


def test_equal_treatment_has_no_gap() -> None:
    group, favoured = np.tile([0, 1, 2], 4), np.repeat([True, False], 6)
    assert fairness.parity_gap(favoured, group, 3) == 0
    assert fairness.odds_gap(favoured, favoured, group, 3) == 0
