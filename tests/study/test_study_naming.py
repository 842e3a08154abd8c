"""Columns on the page are called by all that their references fix; results and claims keep the short names."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from test_study_analyse import Fake, column, factor, leaf, study

from crucis.study import reviewing
from crucis.study.analyse import analyse
from crucis.study.expressions import parse
from crucis.study.naming import meant, named, whole_names
from crucis.study.pictures import _of_analysis
from crucis.study.spec import Analysis, Claim, Ref
from crucis.study.stage_tables import _parts, _scalars

ARMS = factor("strategy", "ewc", "naive")
GAMES = factor("game", "catch", "atari_pong")
CATCH = Ref("agent", "final_return", (("game", "catch"),))
PONG = Ref("agent", "final_return", (("game", "atari_pong"),))
SPREAD = Ref("agent", "final_return", (("game", "*"),))
SCORE = Ref("agent", "score")
NOISE = np.random.default_rng(0).standard_normal(2000)


def results(*analyses):
    """Results of analyses of an agent's returns, of which each seed has two arms and two games."""
    made = study([ARMS, GAMES], analyses)
    values = column({"strategy": ARMS.labels, "game": GAMES.labels},
                    lambda arm, game, seed: NOISE[seed % 997 + 17 * len(arm) + 31 * len(game)])  # fmt: skip
    scores = column({"strategy": ARMS.labels}, lambda arm, seed: NOISE[seed % 997 + 29 * len(arm)])
    found = analyse(made, Fake(made.factors, {("agent", "final_return"): values, ("agent", "score"): scores}))
    return made, [named(made, found[one.name]) for one in analyses], [found[one.name] for one in analyses]


def test_a_result_says_what_its_reference_fixes_and_claims_find_it_by_its_short_name():
    describe = Analysis("d", "describe", (leaf("describe", "summary"),), of=(CATCH, SCORE))
    compare = Analysis("c", "compare", (leaf("compare", "paired_t"),), of=(PONG,), between="strategy", against="naive")
    _, shown, kept = results(describe, compare)
    assert {row.axes["metric"] for row in shown[0].rows} == {"agent.final_return@game=catch", "agent.score"}
    assert [row.axes["metric"] for row in shown[1].rows] == ["agent.final_return@game=atari_pong"]
    assert {row.axes["metric"] for result in kept for row in result.rows} == {"agent.final_return", "agent.score"}
    assert [row.values for row in shown[0].rows] == [row.values for row in kept[0].rows]
    titles = [figure.title for result in shown for figure in _of_analysis(result)]
    labels = [effect.label for result in shown for figure in _of_analysis(result)
              for effect in getattr(figure.data, "effects", ())]  # fmt: skip
    assert "d: agent.final_return@game=catch" in titles
    assert labels == ["agent.final_return@game=atari_pong, ewc, naive"]


def test_columns_that_are_told_apart_already_stay_as_they_are():
    made, shown, kept = results(Analysis("d", "describe", (leaf("describe", "summary"),), of=(CATCH, PONG)),
                                Analysis("s", "describe", (leaf("describe", "summary"),), of=(SPREAD,)))  # fmt: skip
    assert shown == kept
    assert {row.axes["metric"] for row in shown[0].rows} == {str(CATCH), str(PONG)}
    assert whole_names(made, (SPREAD, SCORE)) == {}


def test_both_sides_of_an_association_say_it():
    one = Analysis("a", "correlate", (leaf("correlate", "spearman"),), of=(CATCH,), targets=(PONG,))
    many = Analysis("m", "correlate", (leaf("correlate", "max_statistic"),), of=(CATCH,), targets=(SPREAD,))
    _, shown, _ = results(one, many)
    assert (shown[0].rows[0].axes["metric"], shown[0].rows[0].axes["with"]) == (str(CATCH), str(PONG))
    sides = [row.data["sides"] for row in shown[1].rows if "sides" in row.data]
    assert sides and {x for x, _ in sides} == {str(CATCH)}
    assert {y for _, y in sides} == {"agent.final_return@game=catch", "agent.final_return@game=atari_pong"}


def test_a_reviewers_table_names_the_part_of_its_column():
    one = Analysis("r", "compare", (leaf("compare", "paired_t"),), of=(CATCH,), between="strategy", against="naive",
                   cost=(PONG,))  # fmt: skip
    _, (shown,), _ = results(one)
    heads = [one.name for one in reviewing.table(one, shown).columns]
    assert "final_return@game=catch" in heads and "agent.final_return@game=atari_pong" in heads


@pytest.mark.parametrize(("condition", "says"), [
    ("d.mean@metric=agent.final_return@strategy=ewc > 0", ("d is about agent.final_return@game=catch",)),
    ("d.mean@metric=agent.score@strategy=ewc > 0", ()),
    ("s.mean@game=catch@strategy=ewc > 0", ()),
    ("agent.score > 0", ()),
])  # fmt: skip
def test_a_verdict_says_what_its_claim_is_about(condition, says):
    made, _, _ = results(Analysis("d", "describe", (leaf("describe", "summary"),), of=(CATCH, SCORE)),
                         Analysis("s", "describe", (leaf("describe", "summary"),), of=(SPREAD,)))  # fmt: skip
    assert meant(made, Claim("c", (parse(condition),))) == says


def test_the_table_of_a_stage_has_a_column_for_each_game_and_none_for_each_step():
    def group(values):
        return [(None, SimpleNamespace(outcome="ok", values=values))]

    played = group({"final_return": {"catch": 1.0, "atari/pong": -21.0}})
    names = _parts([played], "final_return", "game")
    assert names == ["final_return@game=catch", "final_return@game=atari/pong"]
    assert [_scalars(played, name) for name in names] == [[1.0], [-21.0]]
    assert _parts([group({"retention": {"10": 0.5, "2.5": 0.1}})], "retention", "step") == ["retention"]
    assert _parts([group({"score": 0.5})], "score", "") == ["score"] and _scalars(group({"score": 1}), "score") == [1.0]
