"""Two one-sided tests, verdicts, and the Bayesian signed-rank test with a region of practical equivalence."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.weightstats import ttost_paired

from crucis.errors import Refusal
from crucis.seeds import rng
from crucis.stats import verdicts
from crucis.stats.compare import equivalence, rope, wilcoxon
from crucis.stats.table import Pairs


def of(d, leaf=equivalence, *args, family=1, **params):
    d = np.asarray(d, dtype=float)
    return leaf.estimate(Pairs(d + 5, np.full(len(d), 5.0), family=family), *args, **params)


# --- equivalence ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("n", "shift", "margin"), [(3, 0.0, 1.0), (5, 0.4, 0.8), (12, -0.3, 0.5), (12, 3.0, 0.5)])
def test_agrees_with_statsmodels(n, shift, margin):
    d = rng(1, "tost", n).standard_normal(n) + shift
    out = of(d, margin=margin)
    assert out["p"] == pytest.approx(ttost_paired(d, np.zeros(n), -margin, margin)[0], rel=1e-9)
    inside = -margin < out["inner_low"] and out["inner_high"] < margin
    assert inside == (out["p"] < 0.05) == (out["equivalent"] == 1)
    assert (out["low"], out["high"]) == pytest.approx(stats.t.interval(0.95, n - 1, d.mean(), stats.sem(d)))


def test_reference_case():
    assert of([1, 2, 3], margin=6)["p"] == pytest.approx(stats.t.cdf(-4 / math.sqrt(1 / 3), 2), rel=1e-12)
    assert of([1, 2, 3], margin=6)["p"] == pytest.approx(0.0101, abs=5e-5)


def test_ratio_margins_are_factors():
    b = np.array([1.0, 3, 9, 2])
    a = b * np.array([1.01, 0.99, 1.02, 1.0])
    out = equivalence.estimate(Pairs(a, b), margin=1.05, scale="ratio")
    logs = np.log(a / b)
    assert out["p"] == pytest.approx(ttost_paired(logs, 0 * logs, -math.log(1.05), math.log(1.05))[0], rel=1e-9)
    with pytest.raises(Refusal, match="above 1"):
        equivalence.estimate(Pairs(a, b), margin=0.9, scale="ratio")
    with pytest.raises(Refusal, match="above 0"):
        of([1, 2, 4], margin=0.0)


@pytest.mark.parametrize("n", [3, 5, 20])
def test_false_alarms_at_the_margin(n):
    d = 0.25 * rng(2, "alarms", n).standard_normal((4000, n)) + 1.0
    t = (np.abs(d.mean(axis=1)) - 1.0) / (d.std(axis=1, ddof=1) / math.sqrt(n))
    p = stats.t.cdf(t, n - 1)
    assert of(d[0], margin=1.0)["p"] == pytest.approx(p[0], rel=1e-9)
    assert (p <= 0.05).mean() == pytest.approx(0.05, abs=0.011)


# --- verdicts ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mean", "sd", "margin", "higher", "word"),
    [
        (1.0, 0.1, 0.2, True, "better"), (1.0, 0.1, 0.2, False, "worse"), (-1.0, 0.1, None, True, "worse"),
        (0.0, 0.1, 0.2, True, "equivalent"), (0.15, 0.01, 0.2, True, "equivalent"),
        (0.1, 1.0, 0.2, True, "inconclusive"),
        (0.0, 0.1, None, True, "inconclusive"),
    ],
)  # fmt: skip
def test_the_four_words(mean, sd, margin, higher, word):
    found = verdicts.judge(mean, sd, 6, margin=margin, higher=higher)
    assert found.word == word
    columns = found.columns()
    assert sum(columns[one] for one in verdicts.WORDS) == 1 and columns[word] == 1


def test_how_many_more_pairs_decide():
    found = verdicts.judge(0.5, 1.0, 5)
    n = 5 + found.more
    assert verdicts.word_of(0.5, 1 / math.sqrt(n), n - 1, 0.05) == "better"
    assert verdicts.word_of(0.5, 1 / math.sqrt(n - 1), n - 2, 0.05) == "inconclusive"
    assert n == 18  # t(17) quantile 2.110 / sqrt(18) = 0.497
    assert verdicts.judge(0.0, 1.0, 5).more is None and verdicts.judge(5.0, 1.0, 5).more == 0


def test_no_verdict_outruns_the_correction():
    d = [0.9, 1.1, 0.2, 1.4, 0.8]
    assert of(d, margin=0.5)["better"] == 1 and of(d, margin=0.5, family=40)["inconclusive"] == 1


# --- rope ----------------------------------------------------------------------------------------------------


def test_posterior_by_integration():
    """Weights of (0, both 5, -5) are Dirichlet(0.5, 2, 1); the regions' masses are quadratic forms in them."""
    u = (np.arange(1000) + 0.5) / 1000
    plus = stats.beta.ppf(u, 2, 1.5)[:, None]
    minus = (1 - plus) * stats.beta.ppf(u, 1, 0.5)[None, :]
    none = 1 - plus - minus
    right, left, middle = plus**2 + 2 * none * plus, minus**2 + 2 * none * minus, 2 * plus * minus + none**2
    expected = [
        ((left > middle) & (left > right)).mean(), ((middle > left) & (middle > right)).mean(),
        ((right > left) & (right > middle)).mean(),
    ]  # fmt: skip
    found = rope.regions(np.array([5.0, 5, -5]), 1.0, rng(3, "rope"), 200_000, 0.5)
    assert found == pytest.approx(expected, abs=0.005) and found.sum() == pytest.approx(1.0)
    assert expected == pytest.approx([0.1575, 0.2199, 0.6226], abs=1e-3)  # the reference case of the docstring


def one_by_one(d, margin, stream, draws):
    """The definition, loop by loop."""
    votes = np.zeros(3)
    z = [0.0, *d]
    for _ in range(draws):
        w = stream.dirichlet([0.5] + [1.0] * len(d))
        mass = np.zeros(3)
        for i, x in enumerate(z):
            for j, y in enumerate(z):
                mass[0 if (x + y) / 2 < -margin else 2 if (x + y) / 2 > margin else 1] += w[i] * w[j]
        votes[int(mass.argmax())] += 1
    return votes / draws


def test_posterior_against_the_definition():
    d = rng(4, "d").standard_normal(5) + 0.4
    expected = one_by_one(d, 0.3, rng(4, "loops"), 3000)
    assert rope.regions(d, 0.3, rng(4, "fast"), 100_000, 0.5) == pytest.approx(expected, abs=0.03)


def test_rope_limits_sides_and_seeds():
    d = 0.3 + 0.1 * rng(5, "d").standard_normal(8)
    out = of(d, rope, rng(5), margin=0.05)
    assert out["right"] > 0.99 and out["better"] == 1
    assert of(d, rope, rng(5), margin=0.05, higher=False)["worse"] == 1
    assert of(d, rope, rng(5), margin=5.0)["rope"] == 1.0
    assert of(-d, rope, rng(5), margin=0.05)["left"] == out["right"]  # the same weights, mirrored
    assert of(d, rope, rng(6), margin=0.3) != of(d, rope, rng(7), margin=0.3)
    assert of(d, rope, rng(6), margin=0.3) == of(d, rope, rng(6), margin=0.3)
    plain = of(d, wilcoxon)
    assert all(out[name] == plain[name] for name in ("effect", "low", "high"))
    with pytest.raises(Refusal, match="all 3 differences are zero"):
        of([0, 0, 0], rope, rng(1), margin=1.0)
