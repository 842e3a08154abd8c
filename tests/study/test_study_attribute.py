"""`attribute` from the text of a study to its rows: components, blocks, absence, families, faults."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from statsmodels.stats.multitest import multipletests
from test_study_analyse import Fake, column, leaf, study

from crucis.study.analyse import analyse
from crucis.study.load import study_from_text
from crucis.study.spec import Analysis, Factor, Level, Ref

SEEDS = (42, 123, 456, 1003)
STATES = list(itertools.product((1, 0), repeat=2))
FULL = Factor(
    "arm",
    tuple(
        Level(f"a{g}{s}", "x", {"group": "method" if g + s else "baseline", "missing": 2 - g - s,
                                "gating": "in" if g else "out", "shift": "in" if s else "out"})
        for g, s in STATES
    ),
)  # fmt: skip
NOISE = np.random.default_rng(2).standard_normal((4, 4))


def value(arm: str, seed: int) -> float:
    g, s = int(arm[1]), int(arm[2])
    return 0.5 + 0.05 * g + 0.001 * s + 0.01 * g * s + 0.003 * NOISE[STATES.index((g, s)), SEEDS.index(seed)]


ACC = column({"arm": FULL.labels}, value, SEEDS)


def importance(*leaves: str, **more) -> Analysis:
    return Analysis(
        "importance", "attribute", tuple(leaf("attribute", name) for name in leaves),
        of=(Ref("model", "accuracy"),), over="arm", **more,
    )  # fmt: skip


def run(analysis: Analysis, states=None):
    made = study([FULL], [analysis])
    return analyse(made, Fake(made.factors, {("model", "accuracy"): ACC}, states))[analysis.name]


def test_components_are_an_axis_and_p_is_corrected_among_them():
    result = run(importance("main_effects", "shapley"))
    assert [(row.axes["component"], row.axes["method"]) for row in result.rows] == [
        ("gating", "main_effects"), ("shift", "main_effects"), ("gating", "shapley"), ("shift", "shapley")]  # fmt: skip
    y = {arm: np.array([value(arm, seed) for seed in SEEDS]) for arm in FULL.labels}
    gating = 0.5 * (y["a11"] - y["a01"] + y["a10"] - y["a00"])
    first, second = result.rows[:2]
    assert first.values["effect"] == pytest.approx(gating.mean())
    raw = [first.values["p_raw"], second.values["p_raw"]]
    assert [first.values["p"], second.values["p"]] == pytest.approx(multipletests(raw, method="holm")[1])
    assert result.family_size == 2 and first.values["better"] == 1.0
    total = sum(row.values["effect"] for row in result.rows[2:])
    assert total == pytest.approx((y["a11"] - y["a00"]).mean())


def test_an_absent_run_takes_its_block_along_and_is_named():
    result = run(importance("main_effects"), {("model", "a10", 123): "failed"})
    for row in result.rows:
        assert (row.n, row.n_planned, row.incomplete) == (3, 4, True)
        assert [(item.state, item.seed) for item in row.missing] == [("failed", 123)]


def test_leave_one_out_lacks_only_what_its_contrast_needs():
    three = Factor(
        "arm",
        tuple(
            Level(label, "x", {"gating": g, "shift": s, "norm": n})
            for label, g, s, n in [("full", "in", "in", "in"), ("no-g", "out", "in", "in"), ("no-s", "in", "out", "in"),
                                   ("no-n", "in", "in", "out"), ("base", "out", "out", "out")]
        ),
    )  # fmt: skip
    stream = np.random.default_rng(0)
    data = column({"arm": three.labels}, lambda arm, seed: float(stream.standard_normal()), SEEDS)
    made = study([three], [importance("main_effects")])
    result = analyse(made, Fake(made.factors, {("model", "accuracy"): data}, {("model", "no-s", 42): "diverged"}))
    rows = {row.axes["component"]: row for row in result["importance"].rows}
    assert (rows["gating"].n, rows["gating"].incomplete) == (4, False)
    assert (rows["shift"].n, rows["shift"].incomplete) == (3, True)
    got = np.mean([data[(("arm", "full"),), s] - data[(("arm", "no-s"),), s] for s in SEEDS[1:]])
    assert rows["shift"].values["effect"] == pytest.approx(got)


def test_pairs_and_importance():
    result = run(importance("interactions"))
    (row,) = result.rows
    assert row.axes["component"] == "gating-shift"
    assert row.values["effect"] == pytest.approx(0.01, abs=0.01)
    assert row.values["excess"] == pytest.approx(-row.values["effect"])
    forest = run(importance("forest")).rows
    assert forest[0].values["importance"] > forest[1].values["importance"]
    assert "p" not in forest[0].values


HEAD = """
study: s
factors:
  arm:
    full: {net: {mlp: {widths: [16, 8]}}, deep: in, wide: in}
    deep: {net: {mlp: {widths: [4, 8]}}, deep: in, wide: out}
    wide: {net: {mlp: {widths: [16]}}, deep: out, wide: in}
    none: {net: {mlp: {widths: [4]}}, deep: out, wide: out}
  other: {a: {net: mlp}, b: {net: convnet}}
stages:
  m: {train: supervised, net: $arm.net, data: digits, for: 1 epoch}
  o: {train: supervised, net: $other.net, data: digits, for: 1 epoch}
analysis:
"""


def faults(entry: str, tail: str = "") -> list[str]:
    _, found = study_from_text(f"{HEAD}  i: {{{entry}}}\n{tail}", Path())
    return [f"{fault.path} {fault.code}: {fault.text}" for fault in found if not fault.note]


def test_a_study_with_a_claim_about_a_component_is_sound():
    entry = "attribute: [main_effects, shapley, forest], of: m.accuracy, over: arm, margin: 1%"
    assert faults(entry, "claims: {c: i.effect@component=deep@method=shapley > 1%}\n") == []
    assert (
        faults("attribute: interactions, of: m.accuracy, over: arm", "claims: {c: i.effect@component=deep-wide > 0}\n")
        == []
    )


@pytest.mark.parametrize(
    ("entry", "part"),
    [
        ("attribute: main_effects, of: m.accuracy", "no-between: takes nothing apart. Write over: FACTOR."),
        ("attribute: main_effects, of: m.accuracy, over: amr", "Did you mean 'arm'?"),
        ("attribute: main_effects, of: m.accuracy, over: other", "does not vary over 'other'"),
        ("attribute: main_effects, of: m.accuracy, over: arm, each: arm", "taken apart already"),
        ("attribute: [main_effects, interactions], of: m.accuracy, over: arm", "Write two analyses"),
        ("attribute: shapley, of: m.accuracy, over: arm, except: {arm: none}", "incomplete-lattice: Shapley"),
        ("attribute: main_effects, of: m.accuracy, over: arm, only: {arm: full}", "no-component"),
        ("attribute: main_effect, of: m.accuracy, over: arm", "Did you mean 'main_effects'?"),
        ("attribute: main_effects, of: m.accuracy, over: arm, margn: 1%", "Did you mean 'margin'"),
    ],
)  # fmt: skip
def test_faults(entry, part):
    found = faults(entry)
    assert any(part in line for line in found), found
