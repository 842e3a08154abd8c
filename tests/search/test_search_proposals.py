"""Searches on functions whose optimum is known; proposals that depend on nothing but what was told."""

from __future__ import annotations

import importlib
import itertools
import math
import statistics

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crucis import shelf
from crucis.search.pruning import STARTUP, passes
from crucis.search.space import Ask, Dimension, Told, best_first, drawn, lattice, scores, started

SPACE = [
    Dimension(1e-4, 1.0, log=True),
    Dimension(choices=2),
    Dimension(0.8, 0.99, when=(1, 0)),
    Dimension(16, 512, log=True, whole=True),
]
ALL = {
    "random": ({"trials": 30}, 1),
    "tpe": ({"trials": 30}, 2),
    "gp": ({"trials": 6, "startup": 5, "generation": 3}, 1),
    "halving": ({"trials": 27}, 3),
    "asha": ({"trials": 27}, 3),
}


def propose(name):
    return importlib.import_module(f"crucis.search.searches.{name}").propose


def height(values):
    """Best (0) at 0.01, first choice, 0.9 and 64."""
    out = -((math.log10(values[0]) + 2) ** 2) - (0.5 if values[1] else abs(values[2] - 0.9))
    return out - 0.1 * (math.log2(values[3]) - 6) ** 2


def play(name, space, rungs, kind=height, seed=7, **params):
    """All evaluations of a search on a function, and how many generations it took."""
    told, generations = [], []
    while asks := propose(name)(space, told, rungs, seed, **params):
        generations.append(len(asks))
        told += [Told(ask, kind(ask.values)) for ask in asks]
        assert len(generations) < 500
    return told, generations


def test_every_search_has_a_case():
    assert set(shelf.names("search")) == {*ALL, "grid", "threshold"}  # the last two have tests of their own


@pytest.mark.parametrize("name", ALL)
def test_the_next_generation_depends_on_nothing_but_what_was_told(name):
    params, rungs = ALL[name]
    told, _ = play(name, SPACE, rungs, **params)
    assert play(name, SPACE, rungs, **params)[0] == told
    assert play(name, SPACE, rungs, seed=8, **params)[0] != told


@pytest.mark.parametrize("name", ALL)
def test_budget_and_values(name):
    params, rungs = ALL[name]
    told, _ = play(name, SPACE, rungs, **params)
    begun = started(told)
    assert sorted(begun) == list(range(params["trials"]))
    assert len({(one.ask.trial, one.ask.rung) for one in told}) == len(told), "an evaluation was asked twice"
    for values in begun.values():
        assert set(values) == ({0, 1, 2, 3} if values[1] == 0 else {0, 1, 3})
        assert 1e-4 <= values[0] <= 1.0
        assert values.get(2, 0.9) == pytest.approx(0.895, abs=0.0951)
        assert isinstance(values[3], int)
        assert 16 <= values[3] <= 512
    assert scores(told, rungs - 1), "something was evaluated in full"


def test_guided_searches_beat_a_random_one_on_a_smooth_valley():
    """The best of 20 trials on a function of two numbers: a model of it comes closer than chance."""
    space = [Dimension(0.0, 1.0), Dimension(0.0, 1.0)]
    bowl = lambda values: -((values[0] - 0.2) ** 2) - (values[1] - 0.7) ** 2  # noqa: E731
    found = {}
    for name, params in (("random", {}), ("tpe", {"prune": "none"}), ("gp", {"startup": 6, "generation": 7})):
        found[name] = max(one.score for one in play(name, space, 1, bowl, 1, trials=20, **params)[0])
    assert found["gp"] > found["random"]
    assert found["gp"] > -1e-3
    assert found["tpe"] > -2e-2


def test_halving_keeps_the_best_of_each_rung():
    told, generations = play("halving", SPACE, 3, trials=27, reduction=3)
    assert generations == [27, 9, 3]
    for rung in (0, 1):
        best = best_first(scores(told, rung))[: len(scores(told, rung)) // 3]
        assert set(scores(told, rung + 1)) == set(best)


def test_asha_promotes_only_what_is_among_the_best_of_its_rung_so_far():
    told, generations = play("asha", SPACE, 3, trials=27, reduction=3, generation=5)
    assert max(generations) <= 5
    ends = list(itertools.accumulate(generations))
    for i, one in enumerate(told):
        if one.ask.rung:
            before = told[: max([end for end in ends if end <= i], default=0)]
            below = scores(before, one.ask.rung - 1)
            assert one.ask.trial in best_first(below)[: len(below) // 3]
    assert play("asha", SPACE, 3, trials=2)[1][-1] == 1  # too few to promote by rank: the best goes up all the same


def test_grid_is_the_product_and_knows_conditions():
    space = [Dimension(1e-3, 1.0, log=True, points=4), Dimension(choices=2), Dimension(0.0, 1.0, points=3, when=(1, 1))]
    rows = lattice(space)
    assert len(rows) == 4 * (1 + 3)
    assert sorted({row[0] for row in rows}) == pytest.approx([0.001, 0.01, 0.1, 1.0])
    assert all((2 in row) == (row[1] == 1) for row in rows)
    assert [ask.values for ask in propose("grid")(space, [], 1, 0)] == rows
    assert propose("grid")(space, [Told(Ask(i, 0, row), 0.0) for i, row in enumerate(rows)], 1, 0) == []
    with pytest.raises(ValueError, match="points"):
        lattice([Dimension(0.0, 1.0)])


def test_more_random_trials_keep_the_first_ones():
    few, many = (propose("random")(SPACE, [], 1, 3, trials=count) for count in (5, 50))
    assert many[:5] == few


@pytest.mark.parametrize("name", ["random", "tpe", "halving", "asha", "gp"])
def test_trials_that_fail_lose_and_stop_nothing(name):
    params, rungs = ALL[name]
    bad = lambda values: None if values[1] == 1 else height(values)  # noqa: E731
    told, _ = play(name, SPACE, rungs, bad, **params)
    best = best_first(scores(told, rungs - 1))
    assert started(told)[best[0]][1] == 0
    nothing, _ = play(name, SPACE, rungs, lambda values: None, **params)
    assert best_first(scores(nothing, rungs - 1)) == []


@given(st.lists(st.one_of(st.none(), st.floats(-5, 5)), min_size=1, max_size=30))
def test_median_pruning_against_its_definition(found):
    told = [Told(Ask(trial, 0, {}), score) for trial, score in enumerate(found)]
    going = passes(told, 0)
    for trial, score in enumerate(found):
        before = [one for one in found[:trial] if one is not None]
        expected = score is not None and (len(before) < STARTUP or score >= statistics.median(before))
        assert (trial in going) == expected


@settings(max_examples=60)
@given(st.floats(1e-6, 1e3), st.floats(1.5, 1e4), st.floats(0, 1), st.booleans())
def test_places_on_an_interval(low, factor, share, log):
    dimension = Dimension(low, low * factor, log=log)
    value = dimension.at(share)
    assert dimension.low <= value <= dimension.high
    assert float(f"{value:.6g}") == value or value in (dimension.low, dimension.high)
    assert dimension.share(value) == pytest.approx(share, abs=1e-2)
    assert Dimension.unpack(dimension.pack()) == dimension


def test_integers_are_drawn_with_equal_chances():
    """Chi-squared over 4000 draws of 1..8; 24.3 is exceeded once in a thousand."""
    counts = [0] * 8
    for trial in range(4000):
        counts[drawn([Dimension(1, 8, whole=True)], 5, trial)[0] - 1] += 1
    assert sum((count - 500) ** 2 / 500 for count in counts) < 24.3


def test_ties_go_to_the_earlier_trial():
    assert best_first({3: 0.5, 1: 0.5, 2: None, 0: 0.1}) == [1, 3, 0]


@settings(max_examples=60)
@given(st.integers(1, 5000), st.sampled_from([0.01, 0.05, 0.3]))
def test_a_threshold_brackets_an_edge_in_few_sizes(edge, tolerance):
    from crucis.search.searches.threshold import bracket, sizes

    space = [Dimension(8, 1000, log=True, whole=True)]
    told, tried = [], []
    while asks := propose("threshold")(space, told, 1, 0, find="0", success="", tolerance=tolerance):
        assert len(asks) == 1
        tried.append(asks[0].values[0])
        told += [Told(ask, None, (float(ask.values[0] <= edge),)) for ask in asks]
    low, high, _ = bracket(space, told, 0, 0.5, tolerance)
    assert len(set(tried)) == len(tried) <= sizes(space[0], tolerance) + 1
    if edge < 8:
        assert low is None
    elif edge >= 1000:
        assert (low, high) == (1000, None)
    else:
        assert low <= edge < high
        assert high <= low * (1 + tolerance) or high == low + 1
