"""Every interval and every test on the shelves by simulation, newcomers included; benchmarks/simulate.py draws more."""

from __future__ import annotations

import pytest

from crucis import shelf
from crucis.testing import simulation

LEAVES = [(home, name) for home in ("describe", "compare", "correlate") for name in shelf.names(home)]
DRAWS = 800


def promises(home, name):
    """Columns of a leaf that a simulation must try: estimates with an interval, and p."""
    columns = shelf.leaf(home, name).columns
    return {column for column, about in columns.items() if "interval" in about or column == "p"}


@pytest.mark.parametrize(("home", "name"), LEAVES)
def test_every_leaf_has_a_case_for_every_interval(home, name):
    made = promises(home, name)
    if not made:
        return
    case = simulation.case_of(home, name)
    assert case is not None, f"add a case for {home}/{name} to crucis.testing.simulation.CASES"
    assert made - {"p"} == set(case.truths)


def test_no_case_without_a_leaf():
    assert not simulation.CASES.keys() - set(LEAVES)


@pytest.mark.parametrize(("home", "name"), [one for one in LEAVES if simulation.case_of(*one)])
def test_promises_are_kept_or_the_deviation_is_as_stated(home, name):
    case = simulation.case_of(home, name)
    for n in (5, 10):
        if n < case.least:
            continue
        for found in simulation.measure(home, name, "normal", n, DRAWS):
            stated = case.known.get((found.what, n))
            if stated is None:
                assert found.kept, str(found)
            else:
                assert abs(found.share - stated) <= 0.02 + 2 * found.se, f"{found}; stated {stated}"


def test_a_newcomer_is_tried_by_what_its_literals_tell(monkeypatch):
    for home, name in (("correlate", "spearman"), ("correlate", "partial_spearman"), ("compare", "equivalence")):
        written = simulation.CASES[home, name]
        monkeypatch.delitem(simulation.CASES, (home, name))
        found = simulation.case_of(home, name)
        assert found is not None and set(found.truths) == set(written.truths) and found.null == written.null
        assert all(one.kept for one in simulation.measure(home, name, "normal", 8, 100))
    monkeypatch.delitem(simulation.CASES, ("describe", "summary"))
    assert simulation.case_of("describe", "summary") is None
    with pytest.raises(LookupError, match="no case for describe/summary"):
        simulation.measure("describe", "summary", "normal", 5, 10)


def test_a_broken_promise_is_noticed():
    found = simulation.Measured("compare", "x", "effect", "normal", 5, 0.90, 0.95, 2000)
    assert not found.kept and found.se == pytest.approx(0.0067, abs=1e-4)
    assert not simulation.Measured("compare", "x", "p", "normal", 5, 0.09, 0.05, 2000).kept
    assert simulation.Measured("compare", "x", "p", "normal", 5, 0.0, 0.05, 2000).kept
