"""The maximum statistic against enumeration by hand and SciPy, its false alarms over a family, and its stream."""

from itertools import permutations

import numpy as np
import pytest
from scipy import stats

from crucis import seeds
from crucis.errors import Refusal
from crucis.stats.correlate import max_statistic
from crucis.stats.table import Joint, Points


def stream(*names):
    return seeds.rng(0, "tests", "max", *names)


def every(x, y, permutations=50_000, name="every"):
    joint = Joint(x, y)
    return {
        (i, j): max_statistic.estimate(
            Points(x[:, i], y[:, j], joint=joint), stream(name), permutations=permutations
        )
        for i in range(x.shape[1])
        for j in range(y.shape[1])
    }  # fmt: skip


def test_one_pair_is_spearmans_exact_permutation():
    r = stream("one")
    x, y = r.standard_normal((7, 1)), r.standard_normal((7, 1))
    found = every(x, y)[(0, 0)]
    expected = stats.spearmanr(x[:, 0], y[:, 0])
    assert found["rho"] == pytest.approx(expected.statistic, abs=1e-12)
    null = [abs(stats.spearmanr(x[list(order), 0], y[:, 0]).statistic) for order in permutations(range(7))][:5040]
    p = np.mean(np.array(null) >= abs(expected.statistic) - 1e-9)
    assert found["p"] == found["p_raw"] == found["p_single"] == pytest.approx(p, abs=1e-12)


def test_three_pairs_by_hand_with_ties():
    r = stream("three")
    x, y = np.round(r.standard_normal((6, 3))), r.standard_normal((6, 1))
    x[:, 0] = y[:, 0] + 0.3 * r.standard_normal(6)
    found = every(x, y)

    def all_rho(order):
        return np.array([abs(stats.spearmanr(x[list(order), i], y[:, 0]).statistic) for i in range(3)])

    seen = all_rho(range(6))
    null = np.array([all_rho(order) for order in permutations(range(6))])
    strongest = np.argsort(-seen, kind="stable")
    steps, last = {}, 0.0
    for k, pair in enumerate(strongest):
        last = max(last, float(np.mean(null[:, strongest[k:]].max(axis=1) >= seen[pair] - 1e-9)))
        steps[int(pair)] = last
    for i in range(3):
        assert found[(i, 0)]["p"] == pytest.approx(steps[i], abs=1e-12)
        assert found[(i, 0)]["p_single"] == pytest.approx(np.mean(null.max(axis=1) >= seen[i] - 1e-9), abs=1e-12)
    edge = found[(0, 0)]["threshold"]
    assert np.mean(null.max(axis=1) >= edge - 1e-9) <= 0.05


def test_a_constant_column_refuses_alone_and_does_not_weigh():
    r = stream("constant")
    x, y = r.standard_normal((9, 3)), r.standard_normal((9, 2))
    x[:, 1] = 0.0
    joint, smaller = Joint(x, y), Joint(x[:, [0, 2]], y)
    with pytest.raises(Refusal):
        max_statistic.estimate(Points(x[:, 1], y[:, 0], joint=joint), stream("c"), permutations=499)
    with_, without = (
        max_statistic.estimate(Points(x[:, 2], y[:, 1], joint=one), stream("c"), permutations=499)
        for one in (joint, smaller)
    )
    assert with_ == without


def test_the_stream_is_an_argument_and_chunks_change_nothing(monkeypatch):
    r = stream("chunks")
    x, y = r.standard_normal((12, 4)), r.standard_normal((12, 3))
    first, second = every(x, y, 499, "a"), every(x, y, 499, "a")
    assert first == second
    assert first != every(x, y, 499, "b")
    monkeypatch.setattr(max_statistic, "CHUNK", 100)
    assert every(x, y, 499, "a") == first


def test_copies_of_a_column_cost_nothing():
    r = stream("copies")
    x, y = r.standard_normal((10, 1)), r.standard_normal((10, 1))
    one = every(x, y, 999)[(0, 0)]["p"]
    assert every(np.repeat(x, 12, axis=1), y, 999)[(3, 0)]["p"] == one


def test_false_alarms_over_the_family_and_power_over_bonferroni():
    r, draws, alpha = stream("alarms"), 300, 0.05
    alarms = found = 0
    for _ in range(draws):
        common = r.standard_normal((12, 1))
        x, y = 0.8 * common + 0.6 * r.standard_normal((12, 8)), r.standard_normal((12, 4))
        result = max_statistic.family(Joint(x, y), 199, int(r.integers(2**62)), alpha)
        alarms += float(result.p.min()) <= alpha
        x[:, 0] = y[:, 0] + 0.6 * r.standard_normal(12)
        result = max_statistic.family(Joint(x, y), 199, int(r.integers(2**62)), alpha)
        found += float(result.p[0, 0]) <= alpha
    assert alarms / draws <= alpha + 2 * np.sqrt(alpha * (1 - alpha) / draws)
    assert alarms / draws >= 0.01
    assert found / draws > 0.5
