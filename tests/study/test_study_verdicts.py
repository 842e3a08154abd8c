"""What comparisons end in: better, worse, equivalent or inconclusive; figures of ranks and of scores."""

from __future__ import annotations

import math

import numpy as np
import pytest
from study_texts import faults_of, read

from crucis import seeds, shelf
from crucis.report import content as c
from crucis.study import design
from crucis.study.analyse import analyse
from crucis.study.directions import higher_is_better
from crucis.study.pictures import _of_analysis
from crucis.study.pictures_stats import together
from crucis.study.results import turned
from crucis.study.table import Point
from crucis.study.verdict_words import verdict_words

STUDY = """
study: s
factors:
  net: {small: {net: mlp}, wide: {net: mlp}, wider: {net: mlp}}
  data: [digits, shapes]
seeds: 6
stages:
  model: {train: supervised, net: $net.net, data: $data, for: 2 epochs}
analysis:
  which: {compare: [paired_t, improvement, friedman], of: [model.accuracy, model.loss], between: net}
  score: {describe: iqm, of: model.accuracy, each: net, unit: data}
  cells: {describe: [summary, iqm], of: model.accuracy}
claims:
  wins: which.effect@method=improvement@metric=model.accuracy@net=wide@against=small > 0.5
  sure: which.better@method=paired_t@metric=model.accuracy@net=wide@against=small == 1
"""


class Drawn:
    """Accuracy and loss that move against each other: wider is better by both."""

    def __init__(self, study, absent=()):
        self.study, self.absent = study, absent
        self.instances = design.instances(study)[0]
        stream = seeds.rng(0, "verdicts")
        self.values = {
            (one.cell["net"], one.cell["data"], one.seed): 0.5
            + 0.1 * ["small", "wide", "wider"].index(one.cell["net"])
            + 0.01 * stream.standard_normal()
            for one in self.instances
        }

    def points(self, ref):
        out = []
        for one in self.instances:
            key = (one.cell["net"], one.cell["data"], one.seed)
            value = self.values[key] if ref.column == "accuracy" else 1.0 - self.values[key]
            gone = key in self.absent
            out.append(Point(one.cell, one.seed, None if gone else value, "failed" if gone else "ok"))
        return out

    def field(self, factor, label, field):
        return (self.study.factors[factor].level(label).fields or {}).get(field)

    def labels(self, axis):
        return self.study.factors[axis].labels if axis in self.study.factors else ()


@pytest.fixture(scope="module")
def results():
    study = read(STUDY)
    return analyse(study, Drawn(study))


def row(result, **axes):
    return next(one for one in result.rows if axes.items() <= one.axes.items())


def test_every_comparison_on_the_shelf_ends_in_a_verdict():
    for name in shelf.names("compare"):
        leaf = shelf.leaf("compare", name)
        if "effect" in leaf.columns and "low" in leaf.columns:
            assert {"better", "worse", "equivalent", "inconclusive"} <= leaf.columns.keys(), name
            assert "higher" in leaf.params, name


def test_smaller_losses_and_larger_accuracies_are_better(results):
    which = results["which"]
    for method in ("paired_t", "improvement"):
        for metric in ("model.accuracy", "model.loss"):
            one = row(which, method=method, metric=metric, net="wide", against="small")
            assert verdict_words(one) == "better", (method, metric)
    assert any("Smaller is better for model.loss" in note for note in which.notes)


def test_direction_is_what_the_analysis_says_or_the_name_of_the_column():
    study = read(STUDY)
    which = study.analysis["which"]
    assert [higher_is_better(study, which, ref) for ref in which.of] == [True, False]
    said = read(STUDY.replace("between: net}", "between: net, higher: true}", 1))
    one = row(analyse(said, Drawn(said))["which"], method="paired_t", metric="model.loss", net="wide", against="small")
    assert verdict_words(one) == "worse"


def test_read_from_the_other_side_a_probability_of_improvement_is_what_is_left(results):
    one = row(results["which"], method="improvement", metric="model.accuracy", net="wide", against="small")
    back = next(
        other for other in turned(results["which"])
        if {"method": "improvement", "metric": "model.accuracy", "net": "small", "against": "wide"}.items()
        <= other.axes.items()
    )  # fmt: skip
    assert back.values["effect"] == pytest.approx(1 - one.values["effect"])
    assert back.values["low"] == pytest.approx(1 - one.values["high"]) and back.values["worse"] == one.values["better"]


def test_tasks_of_an_improvement_are_the_other_factors(results):
    assert {r.values["tasks"] for r in results["which"].rows if r.axes["method"] == "improvement"} == {2.0}


def test_iqm_over_the_levels_of_a_unit_keeps_runs_and_tasks(results):
    source = Drawn(read(STUDY))
    one = row(results["score"], net="wide")
    x = np.array([v for (net, _, _), v in source.values.items() if net == "wide"])
    assert (one.values["runs"], one.values["tasks"], one.n) == (6.0, 2.0, 2)
    cut = np.sort(x)[3:-3]
    assert one.values["iqm"] == pytest.approx(cut.mean()) and one.values["low"] < cut.mean() < one.values["high"]


def test_a_missing_run_is_refused_by_name_and_never_averaged_away():
    study = read(STUDY)
    seed = study.seeds[0]
    one = row(analyse(study, Drawn(study, {("wide", "digits", seed)}))["score"], net="wide")
    assert one.refused is not None and "digits has 5 runs and shapes has 6" in one.refused.text
    assert [item.seed for item in one.missing] == [seed]


def test_figures_of_ranks_profiles_and_improvement(results):
    made = {figure.name: figure for result in results.values() for figure in _of_analysis(result)}
    ranks = made["which-ranks"].data
    assert isinstance(ranks, c.Ranks) and len(ranks.panels) == 2
    accuracy = ranks.panels[0]
    assert [label for label, _ in accuracy.levels] == ["small", "wide", "wider"] and accuracy.n == 12
    assert [rank for _, rank in accuracy.levels] == [1.0, 2.0, 3.0]
    assert accuracy.critical == pytest.approx(2.343 * math.sqrt(12 / 72), rel=1e-3)
    profile = made["score-profile"].data.panels[0]
    assert [line.label for line in profile.lines] == ["small", "wide", "wider"]
    assert all(line.y[0] == 1.0 and line.y[-1] == 0.0 and line.n == 6 for line in profile.lines)
    assert made["which-improvement"].data.reference == 0.5 and made["which-effects"].data.reference == 0.0
    assert "improvement" not in {effect.label.rpartition(", ")[2] for effect in made["which-effects"].data.effects}


def test_bars_of_levels_that_cannot_be_told_apart():
    assert together([1, 1.5, 2.4, 4], 1.0) == ((1, 1.5), (1.5, 2.4))
    assert together([1, 2, 3], 0.5) == () and together([1, 2, 3], 5.0) == ((1, 3),)


def test_an_unknown_parameter_of_the_new_leaves_is_a_fault():
    found = faults_of("describe: iqm, of: model.accuracy", "describe: iqm, drws: 100, of: model.accuracy", STUDY)
    assert found and "draws" in str(found[0])
