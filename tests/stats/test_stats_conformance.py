"""The suite that ships for statistics, over every leaf of the shelves; `test_stats_simulation` draws more."""

from __future__ import annotations

import pytest

from crucis import shelf
from crucis.testing import statistics as suite

LEAVES = [(home, name) for home in ("describe", "compare", "correlate") for name in shelf.names(home)]


@pytest.mark.parametrize(("home", "name"), LEAVES)
def test_coverage_and_false_alarms(home, name):
    found = suite.conformance(shelf.leaf(home, name), draws=150)
    promises = any("interval" in about for about in shelf.leaf(home, name).columns.values())
    assert (found or not promises) and all(one.kept for one in found), "; ".join(map(str, found))


@pytest.mark.parametrize(("home", "name"), LEAVES)
def test_degenerate_tables_are_refused(home, name):
    assert suite.refuses(shelf.leaf(home, name)) == []


@pytest.mark.parametrize(("home", "name"), LEAVES)
def test_declarations(home, name):
    leaf = shelf.leaf(home, name)
    assert leaf.revision != "0" and leaf.summary
    for column, about in leaf.columns.items():
        assert set(about) >= {"unit", "range", "axes"}, column
        for end in about.get("interval", ()):
            assert end in leaf.columns
    assert any(about.get("headline") for about in leaf.columns.values())


def test_the_suite_notices_a_bad_statistic():
    def narrow(table):
        mean = float(table.x.mean())
        return {"low": mean - 0.1, "high": mean + 0.1, "p": 0.01}

    assert suite.coverage(narrow, suite.sample(5), 0.0, draws=300).share < 0.5
    assert suite.false_alarms(narrow, suite.sample(5), draws=300).share == 1.0
