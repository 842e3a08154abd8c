"""Analyses along an axis, over groups and of a search's bias: their tables from columns, and what is refused in words."""

# ruff: noqa: E501 - studies and their faults, one a line

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from search_toys import accuracy, ran
from test_study_analyse import column, factor, leaf, run
from test_study_outcomes import Everything

from crucis.study.analyse import analyse
from crucis.study.columns import column as about
from crucis.study.load import load_study, study_from_text
from crucis.study.panels import places
from crucis.study.session import conclude
from crucis.study.spec import Analysis, Ref

NETS, DATA, MOMENT = (
    factor("net", "a", "b", "c", "d"),
    factor("data", "x", "y", "z"),
    factor("moment", "0%", "50%", "100%"),
)
SEEDS = (1, 2, 3)
DRAW = np.random.default_rng(3)
VALUES = {key: DRAW.normal() + "abcd".index(key[0]) for key in itertools.product("abcd", "xyz", SEEDS)}


def table(of=("m", "v")):
    return {of: column({"net": NETS.labels, "data": DATA.labels}, lambda n, d, s: VALUES[n, d, s], SEEDS)}


def means():
    return np.array([[np.mean([VALUES[n, d, s] for s in SEEDS]) for d in "xyz"] for n in "abcd"])


def agreeing(**keys):
    base = {"of": (Ref("m", "v"),), "unit": "net", "along": "data", "params": {"draws": 199}}
    return Analysis("a", "describe", (leaf("describe", "agreement"),), **{**base, **keys})


def test_agreement_ranks_the_means_of_units_over_an_axis():
    (row,) = run(agreeing(), table(), factors=(NETS, DATA))["a"].rows
    assert row.values["chi2"] == pytest.approx(stats.friedmanchisquare(*means()).statistic)
    rhos = [stats.spearmanr(x, y).statistic for x, y in itertools.combinations(means().T, 2)]
    assert row.values["spearman"] == pytest.approx(np.mean(rhos))
    assert (row.axes, row.n, row.n_planned, row.incomplete) == ({"metric": "m.v"}, 4, 4, False)
    (alone,) = run(agreeing(unit=None), table(), factors=(NETS, DATA))["a"].rows
    assert alone.values == row.values, "without a unit the units are the cells of what is left"


def test_a_lost_unit_is_named_and_the_contrast_incomplete():
    gone = {("m", "b", "y", s): "failed" for s in SEEDS}
    (row,) = run(agreeing(), table(), gone, factors=(NETS, DATA))["a"].rows
    kept = np.delete(means(), 1, axis=0)
    assert row.values["chi2"] == pytest.approx(stats.friedmanchisquare(*kept).statistic)
    assert row.incomplete and len(row.missing) == 3


def test_agreement_reads_another_analysis():
    reading = Analysis(
        "r",
        "correlate",
        (leaf("correlate", "spearman"),),
        of=(Ref("m", "v"), Ref("k", "v")),
        targets=(Ref("t", "v"),),
        each=("data",),
    )
    columns = (
        table()
        | table(("t", "v"))
        | {
            ("k", "v"): column(
                {"net": NETS.labels, "data": DATA.labels}, lambda n, d, s: (7 * ord(n) + 3 * ord(d)) % 11 + s, SEEDS
            )
        }
    )
    one = agreeing(of=(Ref("r", "rho"),), unit="metric")
    (row,) = run([one, reading], columns, factors=(NETS, DATA))["a"].rows
    assert row.n == 2 and row.values["levels"] == 3 and 0 <= row.values["concordance"] <= 1


def test_trajectory_has_a_slope_per_seed_and_a_row_per_cell():
    draw = np.random.default_rng(5)
    noise = {key: draw.normal() for key in itertools.product("abcd", MOMENT.labels, SEEDS)}
    columns = {("m", "v"): column({"net": NETS.labels, "moment": MOMENT.labels}, lambda n, t, s: noise[n, t, s], SEEDS)}
    one = Analysis("t", "describe", (leaf("describe", "trajectory"),), of=(Ref("m", "v"),), along="moment")
    rows = run(one, columns, {("m", "b", "50%", 2): "failed"}, factors=(NETS, MOMENT))["t"].rows
    assert [row.axes["net"] for row in rows] == list("abcd")
    slopes = [np.polyfit([0, 0.5, 1], [noise["a", t, s] for t in MOMENT.labels], 1)[0] for s in SEEDS]
    assert rows[0].values["slope"] == pytest.approx(np.mean(slopes))
    assert rows[0].values["low"] == pytest.approx(stats.t.interval(0.95, 2, np.mean(slopes), stats.sem(slopes))[0])
    assert (rows[1].n, rows[1].n_planned, rows[1].incomplete) == (2, 3, True)
    united = Analysis(
        "t", "describe", (leaf("describe", "trajectory"),), of=(Ref("m", "v"),), along="moment", unit="net"
    )
    (row,) = run(united, columns, factors=(NETS, MOMENT))["t"].rows
    assert row.n == 4 and row.data["labels"] == list("abcd")


def test_places_are_numbers_where_all_labels_are():
    assert places(["0%", "25%", "100%"]) == (0.0, 0.25, 1.0)
    assert places(["10", "5000"]) == (10.0, 5000.0)
    assert places(["early", "10"]) == (0.0, 1.0)


def test_kruskal_wallis_is_one_test_of_all_levels():
    one = Analysis(
        "k", "compare", (leaf("compare", "kruskal_wallis"),), of=(Ref("m", "v"),), between="net", unit="data"
    )
    (row,) = run(one, table(), factors=(NETS, DATA))["k"].rows
    assert row.values["h"] == pytest.approx(stats.kruskal(*means()).statistic)
    assert row.values["p_chi2"] == pytest.approx(stats.kruskal(*means()).pvalue)
    assert (row.axes, row.n, row.values["levels"]) == ({"metric": "m.v"}, 12, 4)
    each = Analysis(
        "k", "compare", (leaf("compare", "kruskal_wallis"),), of=(Ref("m", "v"),), between="net", each=("data",)
    )
    rows = run(each, table(), factors=(NETS, DATA))["k"].rows
    expected = stats.kruskal(*[[VALUES[n, "y", s] for s in SEEDS] for n in "abcd"])
    assert rows[1].axes["data"] == "y" and rows[1].values["h"] == pytest.approx(expected.statistic)


# --- whole studies ---------------------------------------------------------------------------------------------


def test_the_worked_study_is_computed_as_it_was_announced():
    """Slices, data sets and another analysis as axes: what is said before the run is what comes out."""
    names = ("by-slice", "across")
    study = load_study(str(Path(__file__).parent / "worked" / "persist.yaml"))
    chosen = {name: study.analysis[name] for name in ("association", *names)}
    study = replace(study, analysis=chosen, claims={})
    results = analyse(study, Everything(study))
    for name, shown in (("by-slice", "p"), ("across", "concordance")):
        info = about(study, Ref(name, shown))
        rows = results[name].rows
        assert all(row.refused is None for row in rows), [str(row.refused) for row in rows]
        for axis in info.axes:
            assert tuple(dict.fromkeys(row.axes[axis] for row in rows)) == info.labels[axis]
    assert [row.axes["data"] for row in results[names[0]].rows] == ["cifar100", "cub200", "resisc45"]
    assert results["by-slice"].rows[0].values["levels"] == 19 and results["by-slice"].rows[0].n == 19 * 5
    (across,) = results["across"].rows
    assert across.n == 12 and across.values["levels"] == 3


HEAD = """study: s
factors: {net: {a: {net: mlp}, b: {net: {mlp: {widths: [4]}}}, c: {net: {mlp: {widths: [8]}}}}, data: [digits, spirals]}
seeds: [1, 2]
stages:
  m: {train: supervised, net: $net.net, data: $data, for: 2 epochs}
  look: {measure: loss_landscape, of: m, grid: 5, slices: 3}
  top: {measure: persistence, of: look, engine: ripser, complex: cells}
  tuned: {search: random, trial: {train: supervised, net: mlp, data: digits, for: 2 epochs, lr: {log_uniform: [1e-4, 1]}}, maximise: accuracy, trials: 3, pool: seed}
  again: {winner_of: tuned, seeds: {fresh: 2}}
analysis:
  one: {ENTRY}
"""


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ("describe: agreement, of: m.accuracy, unit: net", "analysis.one: 'agreement' runs along an axis. Write along: AXIS. It varies over net, data."),
        ("describe: agreement, of: m.accuracy, along: dta", "no column here varies over 'dta'. Did you mean 'data'?"),
        ("describe: summary, of: m.accuracy, along: data", "'summary' runs along no axis. Remove 'along'."),
        ("describe: agreement, of: m.accuracy, along: data, each: data", "'data' is what the analysis runs along; remove it here."),
        ("describe: agreement, of: m.accuracy, along: data, only: {data: digits}", "m.accuracy has one level of 'data' (digits), and two are needed."),
        ("describe: agreement, of: m.accuracy, along: seed", "seeds are replicates"),
        ("describe: [agreement, summary], of: m.accuracy, along: data", "'agreement' works on a table of its own kind: give it an analysis of its own."),
        ("describe: selection_bias, of: m.accuracy", "Got m.accuracy."),
        ("describe: selection_bias, of: [tuned.best, m.accuracy]", "'m' does not train the winner of 'tuned'. Write {winner_of: tuned}."),
        ("describe: selection_bias, of: [tuned.best, again.loss]", "name the same metric"),
        ("compare: kruskal_wallis, of: m.accuracy, between: net, against: a, each: data", "'kruskal_wallis' compares all levels at once and has no 'against'."),
        ("compare: kruskal_wallis, of: m.accuracy, between: net", "varies over data (2). Choose for each: fix (@data=digits)"),
        ("compare: [kruskal_wallis, friedman], of: m.accuracy, between: net, each: data", "give it an analysis of its own"),
        ("correlate: spearman, of: m.accuracy, with: [m.loss], along: data", "'correlate' has no key 'along'."),
    ],
)  # fmt: skip
def test_what_has_no_meaning_is_refused_in_words(entry, says):
    _, faults = study_from_text(HEAD.replace("ENTRY", entry), Path())
    assert any(says in str(fault) for fault in faults), [str(fault) for fault in faults]


@pytest.mark.parametrize(
    "entry",
    [
        "describe: agreement, of: top.h1_total, unit: net, along: slice, each: data",
        "compare: kruskal_wallis, of: top.h1_total, between: net, unit: slice, each: data",
        "describe: ties, of: top.h1_total, unit: net, each: data",
        "describe: agreement, of: [m.accuracy, m.loss], along: data",
        "describe: summary, of: top.h1_total, unit: slice, each: [net, data]",
    ],
)
def test_what_is_announced_of_a_result_is_what_it_has(entry):
    study, faults = study_from_text(HEAD.replace("ENTRY", entry), Path())
    assert [str(fault) for fault in faults if not fault.note] == []
    result = analyse(study, Everything(study))["one"]
    info = about(study, Ref("one", next(iter(result.units))))
    assert all(set(row.axes) == set(info.axes) for row in result.rows)
    assert all(row.refused is None for row in result.rows)
    assert len(result.rows) == int(np.prod([len(info.labels[axis]) for axis in info.axes]))


# --- the bias of a search --------------------------------------------------------------------------------------

SEARCH = """study: s
stages:
  tuned: {search: random, trial: {train: supervised, net: mlp, data: digits, for: 8 epochs, lr: {log_uniform: [1e-4, 1]}}, maximise: accuracy, trials: 6, pool: seed, seeds: [42, 123]}
  confirmed: {winner_of: tuned, seeds: {fresh: 4}}
analysis:
  bias: {describe: selection_bias, of: [tuned.best, confirmed.accuracy]}
claims:
  honest: bias.bias < 10%
"""


def test_selection_bias_of_a_search_that_ran(tmp_path):
    (tmp_path / "s.yaml").write_text(SEARCH)
    session = ran(tmp_path / "s.yaml", tmp_path / "store")
    conclusion = conclude(session)
    (row,) = conclusion.results["bias"].rows
    best = session.plan.hunts[0]
    scores = {
        ask.trial: np.mean(
            [accuracy({"params": {"lr": ask.values[0], "length": "8 epochs"}, "seed": s}) for s in (42, 123)]
        )
        for ask, _ in best.asked
    }
    lr = next(ask.values[0] for ask, _ in best.asked if scores[ask.trial] == max(scores.values()))
    fresh = [accuracy({"params": {"lr": lr, "length": "8 epochs"}, "seed": 900001 + i}) for i in range(4)]
    assert row.values["found"] == pytest.approx(max(scores.values()))
    assert row.values["bias"] == pytest.approx(max(scores.values()) - np.mean(fresh))
    assert row.values["low"] == pytest.approx(
        max(scores.values()) - stats.t.interval(0.95, 3, np.mean(fresh), stats.sem(fresh))[1]
    )
    assert (row.axes, row.n) == ({"metric": "tuned.best"}, 4)
    assert conclusion.results["bias"].units["bias"] == "fraction"


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (", pool: seed", "", "'tuned' searches once per seed (2 of them), and a bias is that of one search. Write pool: seed at 'tuned'."),
        (", seeds: {fresh: 4}", ", seeds: [42, 7]", "the search itself used seed 42, so this confirms nothing. Write seeds: {fresh: 5} at 'confirmed'."),
    ],
)  # fmt: skip
def test_a_confirmation_that_confirms_nothing_is_refused(old, new, says):
    _, faults = study_from_text(SEARCH.replace(old, new), Path())
    assert any(says in str(fault) for fault in faults), [str(fault) for fault in faults]
