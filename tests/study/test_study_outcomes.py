"""What is said of a result before the run, held against the result itself."""

from __future__ import annotations

from itertools import product

import pytest
from study_texts import FIRST, PERSIST, read

from crucis import seeds
from crucis.study.analyse import analyse
from crucis.study.claims import judge
from crucis.study.columns import book_of, column
from crucis.study.design import stage_seeds
from crucis.study.outcomes import leaves
from crucis.study.spec import Ref
from crucis.study.table import Point


class Everything:
    """A source in which every planned value is there, drawn at random."""

    def __init__(self, study):
        self.study = study

    def points(self, ref):
        stars = tuple((axis, value) for axis, value in ref.at if value == "*" and axis != "seed")
        info = book_of(self.study).info(Ref(ref.name, ref.column, stars))
        own = [axis for axis in info.axes if axis not in self.study.factors]
        draw = seeds.rng(1, str(ref))
        if ref.name in self.study.factors:
            levels = self.study.factors[ref.name].levels
            return [Point({ref.name: one.label}, None, float(one.fields[ref.column]), "ok") for one in levels]
        return [
            Point({**cell, **dict(zip(own, labels, strict=True))}, seed, float(draw.uniform(0.1, 0.9)), "ok")
            for cell in info.cells
            for labels in product(*(info.labels[axis] for axis in own))
            for seed in stage_seeds(self.study, ref.name) or (None,)
        ]

    def field(self, factor, label, field):
        return (self.study.factors[factor].level(label).fields or {}).get(field)

    def labels(self, axis):
        return self.study.factors[axis].labels if axis in self.study.factors else ()


MORE = """
  pairs:
    compare: [paired_t, permutation]
    of: [task_a.accuracy, task_a.loss]
    between: arch.family
    except: {arch: [big, deep]}
    each: data
  loops: {correlate: pearson, of: task_b.retention@step=*, with: [arch.depth], each: [data]}
  twice: {correlate: kendall, of: task_b.retention@step=*, with: [task_b.accuracy_a@step=*], each: [data]}
  tall:  {describe: summary, of: [task_b.retention@step=*, task_b.aurc], unit: arch, each: data}
  part:  {describe: summary, of: task_a.accuracy@arch.family=mlp, only: {data: digits}}
  deep:  {describe: summary, of: association.rho@method=spearman, unit: metric, each: data}
claims:"""


@pytest.mark.parametrize("text", [FIRST, PERSIST, PERSIST.replace("\nclaims:", MORE)], ids=["first", "persist", "more"])
def test_axes_and_labels_are_those_of_the_rows(text):
    study = read(text)
    results = analyse(study, Everything(study))
    for name, analysis in study.analysis.items():
        for number in {one for leaf in leaves(study, analysis).values() for one in leaf.columns}:
            info = column(study, Ref(name, number))
            rows = [row for row in results[name].rows if number in row.values]
            assert rows and not {row.refused.code for row in results[name].rows if row.refused} - {"too_few"}
            assert {axis for row in rows for axis in row.axes} == set(info.axes), (name, number)
            for axis in info.axes:
                found = {row.axes[axis] for row in rows if axis in row.axes}
                if axis in (analysis.between, "against") and analysis.against is None:
                    assert found < set(info.labels[axis]), (name, axis)  # a contrast is listed one way round only
                else:
                    assert found == set(info.labels[axis]), (name, axis)
            if info.kind == "p":
                assert all(0 <= row.values[number] <= 1 for row in rows if row.values.get(number) is not None)


def test_a_study_without_faults_has_claims_that_can_be_judged():
    for text in (PERSIST, FIRST + "claims: {c: which.effect@net=convnet > 90%, d: which.effect@net=mlp < 90%}\n"):
        study = read(text)
        source = Everything(study)
        for verdict in judge(study, analyse(study, source), source).values():
            parts = verdict.parts or (verdict,)
            assert all(one.criteria and one.criteria[0].value is not None for one in parts), verdict
