"""Attribution in a search against closed forms: linear functions, the Ishigami function, functions of one parameter."""

from __future__ import annotations

import numpy as np
import pytest

from crucis.errors import Refusal
from crucis.stats.attribute import fanova, sobol
from crucis.stats.trials import Trials


def table(function, n, k, choices=(), target=0, seed=3):
    rng = np.random.default_rng(seed)
    x = rng.random((n, k))
    for j, count in enumerate(choices):
        if count:
            x[:, j] = np.floor(x[:, j] * count)
    return Trials(x, function(x), tuple(choices) or (0,) * k, target)


def ishigami(x):
    z = 2 * np.pi * x - np.pi
    return np.sin(z[:, 0]) + 7 * np.sin(z[:, 1]) ** 2 + 0.1 * z[:, 2] ** 4 * np.sin(z[:, 0])


FIRST, TOTAL = (0.3139, 0.4424, 0.0), (0.5576, 0.4424, 0.2437)  # Ishigami and Homma 1990; Saltelli et al. 2000


@pytest.mark.parametrize("target", range(3))
def test_sobol_of_the_ishigami_function(target):
    found = sobol.estimate(table(ishigami, 200, 3, target=target))
    assert found["q2"] > 0.95
    assert found["first"] == pytest.approx(FIRST[target], abs=0.06)
    assert found["total"] == pytest.approx(TOTAL[target], abs=0.06)
    assert found["first_low"] <= found["first"] <= found["first_high"]


def test_sobol_with_a_choice():
    """y = x + 2 c, c in {0, 1}: variances 1/12 and 1, so the shares are 1/13 and 12/13."""
    found = sobol.estimate(table(lambda x: x[:, 0] + 2 * x[:, 1], 60, 2, (0, 2), 1))
    assert found["first"] == pytest.approx(12 / 13, abs=0.05)
    assert found["total"] == pytest.approx(12 / 13, abs=0.05)
    assert found["n"] == 60


def test_sobol_refuses_what_it_cannot_know():
    noise = np.random.default_rng(0)
    with pytest.raises(Refusal, match="surrogate predicts"):
        sobol.estimate(table(lambda x: noise.random(len(x)), 40, 3))
    with pytest.raises(Refusal, match="at least 14"):
        sobol.estimate(table(ishigami, 10, 3))
    with pytest.raises(Refusal, match="same in every trial"):
        sobol.estimate(table(lambda x: np.ones(len(x)), 40, 2))
    some = table(lambda x: x[:, 0], 40, 2, target=1)
    some.shares[::2, 1] = np.nan
    with pytest.raises(Refusal, match="only beside some choice"):
        sobol.estimate(some)
    with pytest.raises(Refusal, match="not finite"):
        Trials(np.zeros((2, 1)), np.array([1.0, np.nan]), (0,))


def test_fanova_of_a_linear_function():
    """y = 3 x1 + x2: variances 9/12 and 1/12, so the shares are 0.9 and 0.1."""
    linear = lambda x: 3 * x[:, 0] + x[:, 1]  # noqa: E731
    for target, share in enumerate((0.9, 0.1)):
        found = fanova.estimate(table(linear, 120, 2, target=target), np.random.default_rng(1), trees=24, resamples=3)
        assert found["importance"] == pytest.approx(share, abs=0.08)
        assert found["low"] - 0.1 <= share <= found["high"] + 0.1
        assert 0 <= found["ped_anova"] <= 1
    assert found["ped_anova"] < 0.5, "the weaker parameter"


def test_fanova_judges_a_conditional_parameter_among_the_trials_that_have_it():
    some = table(lambda x: 4 * x[:, 0], 80, 2)
    some.shares[::2, 0] = np.nan
    found = fanova.estimate(some, np.random.default_rng(1), resamples=0)
    assert found["n"] == 40
    assert found["importance"] > 0.9
    assert found["low"] is None


def test_fanova_is_the_same_every_time_and_refuses_what_does_not_vary():
    same = table(ishigami, 60, 3)
    one, two = (fanova.estimate(same, np.random.default_rng(5), trees=16, resamples=2) for _ in range(2))
    assert one == two
    with pytest.raises(Refusal, match="at least 8"):
        fanova.estimate(table(ishigami, 5, 3), np.random.default_rng(1))
    with pytest.raises(Refusal, match="same in every trial"):
        fanova.estimate(table(lambda x: np.zeros(len(x)), 20, 2), np.random.default_rng(1))
