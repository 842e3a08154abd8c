"""A study of components that do nothing, simulated through its real analyses; and one with a planted effect.

The text is loaded like any study, its plan says which values there are, a source draws them instead of training, and
the analyses and verdicts are those of the report.
"""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest
from study_texts import read

from crucis import seeds
from crucis.study import design
from crucis.study.analyse import analyse
from crucis.study.power import TYPICAL, design_power, power_at
from crucis.study.table import Point
from crucis.study.verdict_words import verdict_words

STUDY = """
study: parts
factors:
  arm: {full: {net: mlp}, a: {net: mlp}, b: {net: mlp}, c: {net: mlp}, d: {net: mlp}}
  data: [digits, shapes]
seeds: SEEDS
stages:
  model: {train: supervised, net: $arm.net, data: $data, for: 2 epochs}
analysis:
  loo: {compare: LEAF, of: model.accuracy, between: arm, against: full, each: data, correction: HOLM}
"""
REPETITIONS = 400


class Drawn:
    """A source whose values are drawn: what seeds have in common, noise of each run, and what was planted.

    Differences between two arms of one seed have the deviation 1 exactly; `planted` is in that unit.
    """

    def __init__(self, study, planted=None):
        self.study, self.planted = study, planted or {}
        self.instances = design.instances(study)[0]
        self.seeds = sorted({(one.cell["data"], one.seed) for one in self.instances})

    def draw(self, stream):
        shared = dict(zip(self.seeds, 3.0 * stream.standard_normal(len(self.seeds)), strict=True))
        noise = math.sqrt(0.5) * stream.standard_normal(len(self.instances))
        self.values = [
            0.5 + 0.01 * (shared[one.cell["data"], one.seed] + noise[i] + self.planted.get(one.cell["arm"], 0.0))
            for i, one in enumerate(self.instances)
        ]
        return self

    def points(self, ref):
        assert (ref.name, ref.column) == ("model", "accuracy")
        return [Point(one.cell, one.seed, x, "ok") for one, x in zip(self.instances, self.values, strict=True)]

    def field(self, factor, label, field):
        return (self.study.factors[factor].level(label).fields or {}).get(field)

    def labels(self, axis):
        return self.study.factors[axis].labels if axis in self.study.factors else ()


def study_of(folder, leaf="paired_t", count=5, correction="holm", **changes):
    text = STUDY.replace("LEAF", leaf).replace("SEEDS", str(count)).replace("HOLM", correction)
    for old, new in changes.items():
        text = text.replace(old, new)
    return read(text, folder)


def announced(study):
    nodes = [SimpleNamespace(instance=one) for one in design.instances(study)[0]]
    return {one.method: one for one in design_power(study, SimpleNamespace(nodes=nodes))}


def rows_of(study, planted=None, repetitions=REPETITIONS):
    source, stream = Drawn(study, planted), seeds.rng(0, "null study", str(planted))
    for _ in range(repetitions):
        yield analyse(study, source.draw(stream))["loo"].rows


@pytest.mark.parametrize(("leaf", "count"), [("paired_t", 5), ("permutation", 9)])
def test_components_that_do_nothing_alarm_in_at_most_six_of_a_hundred_studies(tmp_path, leaf, count):
    study = study_of(tmp_path, leaf, count)
    by_p = by_verdict = tests = 0
    for rows in rows_of(study):
        by_p += any(row.values["p"] <= 0.05 for row in rows)
        by_verdict += any(verdict_words(row) in ("better", "worse") for row in rows)
        tests = len(rows)
    assert tests == 8
    rate, error = by_p / REPETITIONS, math.sqrt(0.05 * 0.95 / REPETITIONS)
    assert rate <= 0.06 + 2 * error, f"family-wise false alarms {rate:.3f} +- {error:.3f}"
    assert rate >= 0.01  # a test that never alarms would pass as well
    assert by_verdict == by_p  # no verdict says more than the corrected p


def test_without_correction_the_same_study_would_alarm_often(tmp_path):
    study = study_of(tmp_path, correction="none")
    rate = sum(any(row.values["p"] <= 0.05 for row in rows) for rows in rows_of(study, repetitions=100)) / 100
    assert rate > 0.15


@pytest.mark.parametrize(("leaf", "count"), [("paired_t", 5), ("paired_t", 8), ("permutation", 9), ("wilcoxon", 9)])
def test_a_planted_effect_is_found_with_the_power_that_the_plan_announced(tmp_path, leaf, count):
    study = study_of(tmp_path, leaf, count)
    plan = announced(study)[leaf]
    assert plan.tests == 8 and f"power at 1.5 deviations: {plan.at_typical:.2f}" in str(plan)
    assert plan.at_typical == power_at(study.analysis["loo"], leaf, count, TYPICAL, 8)
    found = better = trials = 0
    for rows in rows_of(study, {"a": TYPICAL}):
        for row in rows:
            if row.axes["arm"] == "a":  # planted on both data sets
                found += row.values["p"] <= 0.05
                better += verdict_words(row) == "better"
                trials += 1
    # Holm finds a little more than its first step, for which the power is announced: the other planted contrast helps.
    error = math.sqrt(plan.at_typical * (1 - plan.at_typical) / trials)
    assert found / trials == pytest.approx(plan.at_typical, abs=0.05 + 2 * error)
    assert better == found


def test_one_contrast_is_found_as_announced(tmp_path):
    study = study_of(tmp_path, "paired_t", 5, **{"each: data": "only: {arm: [full, a], data: [digits]}"})
    plan = announced(study)["paired_t"]
    assert plan.tests == 1
    found = sum(rows[0].values["p"] <= 0.05 for rows in rows_of(study, {"a": TYPICAL}))
    assert found / REPETITIONS == pytest.approx(plan.at_typical, abs=0.05)
    assert power_at(study.analysis["loo"], "paired_t", 5, plan.detectable) == pytest.approx(0.8, abs=1e-6)


def test_seeds_that_would_decide_do_decide_about_half_of_the_time(tmp_path):
    """`more_pairs` is an expectation: with that many more seeds about half of the studies reject."""
    study = study_of(tmp_path, "paired_t", 5, **{"each: data": "only: {arm: [full, a], data: [digits]}"})
    rows = next(rows_of(study, {"a": 0.8}, 1))
    stream = seeds.rng(1, "more")
    for _ in range(40):
        rows = analyse(study, Drawn(study, {"a": 0.8}).draw(stream))["loo"].rows
        more = rows[0].values["more_pairs"]
        if rows[0].values["inconclusive"] and more:
            break
    d = np.subtract(rows[0].data["a"], rows[0].data["b"])
    mean, sd = d.mean(), d.std(ddof=1)
    n = 5 + int(more)
    future = mean + sd * stream.standard_normal((4000, n))
    t = future.mean(axis=1) / (future.std(axis=1, ddof=1) / math.sqrt(n))
    from scipy import stats

    share = (2 * stats.t.sf(np.abs(t), n - 1) <= 0.05).mean()
    assert 0.4 < share < 0.75
