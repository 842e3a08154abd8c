"""Costs, expected effects, the Pareto front, the reviewer's table, conclusions and recommendations."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_study_analyse import Fake, column, factor, leaf, study
from test_study_attribute import ACC, FULL, importance

from crucis.report import content as c
from crucis.study import reviewing
from crucis.study.analyse import analyse
from crucis.study.costing import expectation, front
from crucis.study.spec import Analysis, Ref

SEEDS = (1, 2, 3, 4, 5)
ARMS = factor("arm", "base", "better", "same")
NOISE = np.random.default_rng(0).standard_normal((3, 5))
GAIN = {"base": 0.0, "better": 0.1, "same": 0.0}
QUALITY = column(
    {"arm": ARMS.labels},
    lambda arm, seed: 0.5 + GAIN[arm] + 0.01 * NOISE[ARMS.labels.index(arm), seed - 1], SEEDS,
)  # fmt: skip
PRICE = {"base": 10.0, "better": 20.0, "same": 40.0}
COST = column({"arm": ARMS.labels}, lambda arm, seed: PRICE[arm] + 0.0 * seed, SEEDS)
REVIEW = Analysis(
    "review", "compare", (leaf("compare", "paired_t"),), of=(Ref("m", "accuracy"),), between="arm", against="base",
    cost=(Ref("k", "latency"),), expect={"better": 0.1, "same": 0.2},
)  # fmt: skip


def result(states=None):
    made = study([ARMS], [REVIEW])
    columns = {("m", "accuracy"): QUALITY, ("k", "latency"): COST}
    return analyse(made, Fake(made.factors, columns, states))["review"]


def test_the_reviewers_table_has_the_reference_first_and_every_promised_column():
    found = result()
    assert reviewing.reviewed(REVIEW, found)
    table = reviewing.table(REVIEW, found)
    names = [one.name for one in table.columns]
    assert names == [
        "configuration", "accuracy", "change", "p (corrected)", "significant", "verdict", "expected", "as expected",
        "k.latency", "n",
    ]  # fmt: skip
    rows = [dict(zip(names, row.cells, strict=True)) for row in table.rows]
    assert [row["configuration"] for row in rows] == ["base", "better", "same"]
    values = {arm: np.array([QUALITY[(("arm", arm),), s] for s in SEEDS]) for arm in ARMS.labels}
    assert rows[0]["accuracy"].value == pytest.approx(values["base"].mean()) and rows[0]["change"] is None
    assert rows[1]["change"].value == pytest.approx((values["better"] - values["base"]).mean())
    assert [row["significant"] for row in rows] == ["", "yes", "no"]
    assert [row["as expected"] for row in rows] == ["", "as expected", "not as expected"]
    assert [row["k.latency"] for row in rows] == pytest.approx([10.0, 20.0, 40.0])


def test_the_conclusion_follows_from_the_numbers():
    text = reviewing.conclusion(REVIEW, result())
    assert text.startswith("better is better than base (m.accuracy): 0.1")
    assert "At 2 x k.latency." in text and "Holm over 2" in text
    assert "A difference between same and base was not shown, nor that there is none" in text


def test_an_absent_cost_is_counted_and_an_absent_level_has_none():
    found = result({("k", "better", seed): "failed" for seed in SEEDS})
    assert any("5 values of a cost column are absent" in note for note in found.notes)
    assert isinstance(reviewing.table(REVIEW, found).rows[1].cells[-2], c.Absent)


def test_the_front_is_drawn_with_what_stands_on_it():
    (figure,) = reviewing.fronts(result(), result().rows)
    groups = {dot.label: dot.group for dot in figure.data.panels[0].points}
    assert groups["base"] == groups["better"] == "on the front"
    assert groups["same"] == "beaten"


POINTS = st.dictionaries(st.text("abcdef", min_size=1, max_size=2), st.tuples(*[st.integers(0, 5)] * 2), max_size=8)


@given(POINTS, st.booleans())
def test_front_against_all_pairs(points, higher):
    sign = 1 if higher else -1
    beaten = {
        mine for mine, other in itertools.permutations(points, 2)
        if sign * points[other][0] >= sign * points[mine][0] and points[other][1] <= points[mine][1]
        and points[other] != points[mine]
    }  # fmt: skip
    assert set(front(points, higher)) == set(points) - beaten


@pytest.mark.parametrize(
    ("wanted", "low", "high", "word"),
    [(0.1, 0.05, 0.2, "as expected"), (0.3, 0.05, 0.2, "not as expected"), (0.1, -0.1, 0.2, "undecided"),
     (0.0, -0.1, 0.1, "undecided"), (-0.1, 0.05, 0.2, "not as expected")],
)  # fmt: skip
def test_expected_effects(wanted, low, high, word):
    assert expectation(wanted, 0.5 * (low + high), low, high) == word
    assert expectation(wanted, None, None, None) == "undecided"


def test_recommendations_with_what_dropping_saves():
    analysis = importance("main_effects", cost=(Ref("k", "memory"),))
    made = study([FULL], [analysis])
    memory = column({"arm": FULL.labels}, lambda arm, _: 100.0 + 30.0 * int(arm[1]) + 5.0 * int(arm[2]), (1,))
    memory = {(axes, None): value for (axes, _), value in memory.items()}
    source = Fake(made.factors, {("model", "accuracy"): ACC, ("k", "memory"): memory})
    gating, shift = analyse(made, source)["importance"].rows
    assert gating.data["saves"] == pytest.approx({"k.memory": 30.0})
    assert shift.data["saves"] == pytest.approx({"k.memory": 5.0})
    assert reviewing.recommendation(gating) == "keep"
    assert "dropping it saves 30 of k.memory" in reviewing.conclusion(analysis, analyse(made, source)["importance"])
    (figure,) = reviewing.attributed(analyse(made, source)["importance"], [gating, shift])
    assert [effect.label for effect in figure.data.effects] == ["gating", "shift"]
