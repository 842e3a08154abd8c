"""The plan's sentences about power: counts from the plan, levels from the families."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from crucis.stats import power as stats
from crucis.study import design
from crucis.study.load import load_study
from crucis.study.power import design_power

STUDY = """
study: s
factors:
  net: [mlp, convnet, {wrn: {depth: 10, widen: 1}}]
  data: [digits, shapes]
seeds: 5
stages:
  model: {train: supervised, net: $net, data: $data, for: 2 epochs}
analysis:
  which: {compare: [paired_t, permutation], of: model.accuracy, between: net, each: data}
  one: {compare: paired_t, of: [model.accuracy, model.loss], between: net, against: mlp, each: data, family: f, correction: bonferroni}
  two: {correlate: pearson, of: [model.accuracy], with: [model.parameters], each: data, family: f, correction: none}
  over: {describe: summary, of: which.effect@method=paired_t@net=convnet@against=mlp, unit: data}
"""  # noqa: E501


@pytest.fixture
def study(tmp_path):
    path = tmp_path / "s.yaml"
    path.write_text(STUDY)
    return load_study(path)


def plan(study):
    return SimpleNamespace(nodes=[SimpleNamespace(instance=one) for one in design.instances(study)[0]])


def test_counts_families_and_levels(study):
    found = {(one.analysis, one.method): one for one in design_power(study, plan(study))}
    assert list(found) == [("which", "paired_t"), ("which", "permutation"), ("one", "paired_t"), ("two", "pearson")]
    which = found["which", "paired_t"]
    assert (which.n, which.most, which.tests) == (5, 5, 6)  # three pairs of nets on two data sets
    assert which.alpha == pytest.approx(0.05 / 6)
    assert which.detectable == stats.detectable_pairs(5, which.alpha)
    assert f"{which.detectable:.2f} standard deviations" in str(which)
    never = found["which", "permutation"]
    assert never.detectable is None and "no two-sided p below 0.0625 exists" in str(never)
    assert found["one", "paired_t"].tests == 10 and found["one", "paired_t"].alpha == pytest.approx(0.005)
    two = found["two", "pearson"]
    assert (two.n, two.alpha) == (3, 0.05) and two.detectable is None  # three nets
    assert "|r| = 1.00" in str(two)


def test_counting_loads_no_heavy_package():
    import subprocess

    code = (
        "import sys; from crucis.study import power; bad = {'torch', 'pandas', 'scipy.stats', 'matplotlib'}; "
        "assert not bad & set(sys.modules), bad & set(sys.modules)"
    )
    source = str(Path(design.__file__).parents[2])
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env={"PYTHONPATH": source})
    assert done.returncode == 0, done.stderr
