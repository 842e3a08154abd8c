"""Announced power against the permutation test itself, and that more is found with more units."""

import numpy as np
import pytest

from crucis import seeds
from crucis.stats import foresight, incremental, nested


@pytest.mark.parametrize(("n", "share"), [(10, 0.9), (14, 0.5)])
def test_announced_power_is_that_of_the_permutation_test(n, share):
    groups, alpha, draws = (1,) * n, 0.05, 260
    announced = foresight.powers(groups, 1, 2, alpha)[foresight.SHARES.tolist().index(share)]
    where = nested.folds(tuple(map(str, range(n))))
    r = seeds.rng(0, "tests", "foresight", n)
    found = 0
    for _ in range(draws):
        base, extra, rest = r.standard_normal((n, 1)), r.standard_normal((n, 2)), r.standard_normal(n)
        y = base[:, 0] + np.sqrt(share) * extra[:, 0] + np.sqrt(1 - share) * rest
        rows, exact = incremental.orders(n, 99, r)
        found += incremental.freedman_lane(base, np.hstack([base, extra]), y, where, rows, exact).p <= alpha
    noise = 2 * np.sqrt(0.25 / draws)
    assert abs(found / draws - announced) <= 0.05 + noise, (found / draws, announced)


def test_more_units_find_smaller_additions_and_families_cost():
    shares = [foresight.detectable((1,) * n, 1, 2, 0.05) for n in (8, 12, 19)]
    assert shares[0] is None or shares[0] > 0.6
    assert shares[1] is not None and shares[2] is not None and shares[2] < shares[1]
    stricter = foresight.detectable((1,) * 12, 1, 2, 0.05 / 6)
    assert stricter is None or stricter > shares[1]


def test_false_alarms_are_at_the_level():
    assert foresight.powers((1,) * 12, 1, 2, 0.05)[0] <= 0.05
