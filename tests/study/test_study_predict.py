"""Predictions and joint tests from text to verdict: rows, controls, families, absence, and the answers to mistakes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from crucis import seeds
from crucis.stats import nested
from crucis.study.analyse import analyse
from crucis.study.claims import judge
from crucis.study.load import study_from_text
from crucis.study.modelled import prediction, prediction_figures
from crucis.study.table import Point

LABELS = tuple("abcdefgh")
FAMILIES = dict(zip(LABELS, ("one", "one", "two", "three", "four", "five", "five", "six"), strict=True))
TEXT = """\
study: s
factors:
  net:
{levels}
  data: [digits]
seeds: 2
stages:
  model: {{train: supervised, net: $net.net, data: $data}}
derive: {{size: log(model.parameters)}}
analysis:
  prediction:
    predict: ridge
    of: model.accuracy
    leave_out: net
    base: A
    from: {{A: size, B: [size, model.loss], D: model.loss}}
    permutations: 199
    each: data
  by-family: {{like: prediction, leave_out: net.family}}
  pairs: {{correlate: max_statistic, of: [size, model.loss], with: model.accuracy, each: data}}
claims:
  adds:
    holds_if: [prediction.gain_over_noise@model=B > 0, prediction.p@model=B < 0.05]
    each: data
""".format(
    levels="\n".join(f"    {label}: {{net: {{mlp: {{widths: [8]}}}}, family: {FAMILIES[label]}}}" for label in LABELS)
)


def read(old="", new=""):
    assert old in TEXT
    return study_from_text(TEXT.replace(old, new, 1) if old else TEXT, Path())


def loaded(*change):
    study, faults = read(*change)
    assert study is not None, faults
    return study


class Source:
    """Accuracy that follows the loss, which size does not; one seed of one network can be lost."""

    def __init__(self, study, lost=()):
        self.study, self.lost = study, lost
        r = seeds.rng(0, "tests", "study-predict")
        size, loss = r.standard_normal((2, len(LABELS)))
        noise = 0.01 * r.standard_normal((2, len(LABELS)))
        self.values = {
            "parameters": lambda i, s: float(np.exp(9 + size[i])),
            "loss": lambda i, s: float(2 + loss[i] + 0.01 * s),
            "accuracy": lambda i, s: float(0.5 + 0.1 * loss[i] - 0.02 * size[i] + 0.1 * noise[s, i]),
        }

    def points(self, ref):
        out = []
        for i, label in enumerate(LABELS):
            for s, seed in enumerate((42, 123)):
                state = "failed" if (label, seed, ref.column) in self.lost else "ok"
                value = self.values[ref.column](i, s) if state == "ok" else None
                out.append(Point({"net": label, "data": "digits"}, seed, value, state, f"{label}-{seed}"))
        return out

    def field(self, factor, label, field):
        return (self.study.factors[factor].level(label).fields or {}).get(field)

    def labels(self, axis):
        return self.study.factors[axis].labels if axis in self.study.factors else ()


def row(result, **axes):
    (found,) = [one for one in result.rows if all(one.axes.get(k) == v for k, v in axes.items())]
    return found


@pytest.fixture(scope="module")
def results():
    study = loaded()
    return study, analyse(study, Source(study))


def test_rows_controls_and_family(results):
    found = results[1]["prediction"]
    assert [one.axes["model"] for one in found.rows] == ["A", "B", "B-noise", "D", "D-noise"]
    assert found.family_size == 2  # B and D are tests; the base and the controls are not
    raw = [row(found, model=name).values["p_raw"] for name in "BD"]
    assert row(found, model="B").values["p"] == pytest.approx(min(1.0, max(2 * min(raw), raw[0])))
    assert row(found, model="B-noise").values["p"] is None and row(found, model="A").values["gain"] is None
    assert found.kinds["mae"] == "estimate" and found.kinds["gain_over_noise"] == "estimate" and found.kinds["p"] == "p"
    assert "adds to the base" in prediction(found, found.rows)


def test_the_error_is_that_of_the_nested_folds_on_means_over_seeds(results):
    source = Source(results[0])
    mean = {
        name: np.array([np.mean([source.values[name](i, s) for s in range(2)]) for i in range(8)])
        for name in ("loss", "accuracy")
    }
    size = np.log([source.values["parameters"](i, 0) for i in range(8)])
    design = np.column_stack([size, mean["loss"]])
    for name, groups in (("prediction", LABELS), ("by-family", tuple(FAMILIES.values()))):
        told = nested.for_designs(design[None], nested.folds(groups), mean["accuracy"])[0]
        found = row(results[1][name], model="B")
        assert found.values["mae"] == pytest.approx(np.abs(told - mean["accuracy"]).mean(), abs=1e-12)
        assert found.values["groups"] == len(set(groups)) and found.n == 8


def test_the_verdict_reads_both(results):
    study, found = results
    verdict = judge(study, found, Source(study))["adds"]
    assert verdict.outcome == "supported", verdict.because


def test_a_lost_unit_is_named_and_leaves_every_model():
    study = loaded()
    lost = [("c", 42, "loss"), ("c", 123, "loss")]
    source = Source(study, lost)
    found = analyse(study, source)
    for name in ("A", "B", "D"):
        one = row(found["prediction"], model=name)
        assert (one.n, one.n_planned) == (7, 8) and {item.axes["net"] for item in one.missing} == {"c"}
    assert row(found["pairs"], metric="size").n == 7
    verdict = judge(study, found, source)["adds"]
    assert verdict.outcome == "inconclusive" and "failed" in verdict.because


def test_pairs_are_corrected_once_and_together(results):
    found = results[1]["pairs"]
    assert found.correction == "maximum statistic" and found.family_size == 2
    p = {one.axes["metric"]: one.values for one in found.rows}
    assert p["model.loss"]["p"] == p["model.loss"]["p_single"]
    assert all(values["p"] >= values["p_raw"] for values in p.values())


def test_two_names_for_one_model_are_said():
    study = loaded("D: model.loss", "D: [model.loss, size]")
    notes = analyse(study, Source(study))["prediction"].notes
    assert "Models B and D hold the same numbers: they are one model." in notes


def test_figures_have_every_model(results):
    figures = list(prediction_figures(results[1]["prediction"], results[1]["prediction"].rows))
    assert [panel.label for panel in figures[0].data.panels] == [
        f"model {m}" for m in ("A", "B", "B-noise", "D", "D-noise")
    ]
    assert len(figures[1].data.panels) == 2 and len(figures[1].data.panels[0].values) == 199


@pytest.mark.parametrize(
    ("old", "new", "path", "code", "part"),
    [
        ("leave_out: net\n", "leave_out: nets\n", "analysis.prediction.leave_out", "unknown-name", "mean 'net'?"),
        ("net.family}", "net.famly}", "analysis.by-family.leave_out", "no-field", "Did you mean 'family'?"),
        ("    leave_out: net\n", "", "analysis.prediction", "no-leave-out", "Write leave_out: FACTOR"),
        ("leave_out: net\n", "leave_out: data\n", "analysis.prediction.leave_out", "few-levels", "nested folds need 3"),
        ("base: A", "base: Z", "analysis.prediction.base", "unknown-name", "no model 'Z'"),
        ("D: model.loss", "D: size", "analysis.prediction.from.D", "no-addition", "adds no column to the base 'A'"),
        ("D: model.loss", "D: model.accuracy", "analysis.prediction.from.D", "circle", "predicted from itself"),
        ("D: model.loss", "D: model.los", "analysis.prediction.from.D", "unknown-column", "Did you mean 'loss'?"),
        ("D: model.loss", "D: []", "analysis.prediction.from.D", "wrong-type", "an empty list of columns"),
        ("D: model.loss", "9: model.loss", "analysis.prediction.from.9", "bad-name", "name of a model"),
        ("from: {A: size, B: [size, model.loss], D: model.loss}", "from: size", "analysis.prediction.from",
         "wrong-type", "{MODEL: [COLUMN, ...]}"),
        ("of: model.accuracy\n", "of: [model.accuracy, model.loss]\n", "analysis.prediction.of",
         "several-columns", "one entry each"),
        ("@model=B > 0", "@model=E > 0", "claims.adds.holds_if[0]", "unknown-level", "B-noise"),
        ("permutations: 199", "permutations: 19", "analysis.prediction", "out-of-reach",
         "19 permutations on 8 units has no p below 0.05"),
        ("permutations: 199", "permutations: 3", "analysis.prediction.permutations", "out-of-range", "19"),
        ("correlate: max_statistic", "correlate: [spearman, max_statistic]", "analysis.pairs", "joint", "stands alone"),
        ("with: model.accuracy", "with: model.accuracy, base: A", "analysis.pairs.base",
         "unknown-parameter", "'correlate' has no key 'base'"),
    ],
)  # fmt: skip
def test_mistakes(old, new, path, code, part):
    study, faults = read(old, new)
    assert study is None
    assert (path, code) in [(fault.path, fault.code) for fault in faults], faults
    assert any(part in fault.text for fault in faults if fault.path == path), faults
