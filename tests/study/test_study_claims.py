"""Verdicts: the table of what refutes what, Kleene's logic, intervals, absence, levels."""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crucis.study import judgement
from crucis.study.analyse import analyse
from crucis.study.claims import judge
from crucis.study.expressions import parse
from crucis.study.judgement import FALSE, TRUE, UNKNOWN, Known, Unknown
from crucis.study.results import AnalysisResult, Reason, ResultRow
from crucis.study.spec import Analysis, Claim, Factor, LeafRef, Level, Ref, Study
from crucis.study.table import Missing, Point

NETS = Factor("net", (Level("mlp", "mlp"), Level("convnet", "convnet", {"kind": "conv"})))


class Source:
    def __init__(self, points=()):
        self.all = points

    def points(self, ref):
        return [point for name, point in self.all if name == f"{ref.name}.{ref.column}"]

    def field(self, factor, label, field):
        return (NETS.level(label).fields or {}).get(field) if factor == "net" else None

    def labels(self, axis):
        return NETS.labels if axis == "net" else ()


def row(effect=0.03, low=0.02, high=0.04, p=0.01, axes=None, **changes):
    values = {"effect": effect, "low": low, "high": high, "p": p, "n": 5.0}
    given = {"n": 5, "n_planned": 5} | changes
    return ResultRow(axes or {"net": "convnet", "against": "mlp"}, values, **given)


def result(*rows, name="which", verb="compare", **changes):
    return AnalysisResult(
        name, verb, ("paired_t",), rows, {"effect": "fraction"}, {"effect": "estimate", "p": "p", "n": "exact"},
        {"effect": ("low", "high")}, **changes,
    )  # fmt: skip


def verdict(texts, *results, points=(), each=None, refuted_if=None, allow_mixed=False, derive=None):
    texts = [texts] if isinstance(texts, str) else texts
    claim = Claim(
        "c", tuple(map(parse, texts)), "it is so", parse(refuted_if) if refuted_if else None, each, allow_mixed,
        tuple(texts),
    )  # fmt: skip
    study = Study("s", Path(), "s.yaml", factors={"net": NETS}, claims={"c": claim},
                  analysis={r.name: Analysis(r.name, r.verb, ()) for r in results},
                  derive={k: parse(v) for k, v in (derive or {}).items()})  # fmt: skip
    return judge(study, {r.name: r for r in results}, Source(points))["c"]


@pytest.mark.parametrize(
    ("text", "outcome"),
    [
        ("which.effect > 0.01", "supported"),
        ("which.effect > 0.02", "inconclusive"),  # the end of the interval touches
        ("which.effect >= 0.02", "supported"),
        ("which.effect > 0.03", "inconclusive"),
        ("which.effect > 0.04", "refuted"),
        ("which.effect < 0.01", "refuted"),
        ("which.effect < 5%", "supported"),
        ("abs(which.effect) < 0.05", "supported"),  # an equivalence test
        ("abs(which.effect) < 0.03", "inconclusive"),
        ("-which.effect < -0.01", "supported"),
        ("2 * which.effect - 0.01 > 0.02", "supported"),
        ("which.effect == 0.03", "inconclusive"),
        ("which.effect == 0.5", "refuted"),
        ("which.effect != 0.5", "supported"),
        ("0.01 < which.effect", "supported"),
        ("which.p < 0.05", "supported"),
        ("which.p < 0.001", "inconclusive"),  # absence of significance refutes nothing
        ("not which.p < 0.05", "refuted"),
        ("which.p > 0.05", "refuted"),
        ("which.p > 0.005", "inconclusive"),
        ("0.05 > which.p", "supported"),
        ("which.p * 2 < 0.05", "supported"),
        ("1 - which.p > 0.5", "inconclusive"),
        ("which.n == 5", "supported"),
        ("which.n > 5", "refuted"),
        ("which.n", "supported"),
        ("which.effect > 0.01 and which.p < 0.001", "inconclusive"),
        ("which.effect > 0.5 and which.p < 0.001", "refuted"),
        ("which.effect > 0.5 or which.p < 0.001", "inconclusive"),
        ("which.effect > 0.01 or which.p < 0.001", "supported"),
        ("which.effect@net=convnet > 0", "supported"),
        ("which.effect@net=mlp < 0", "supported"),  # the same contrast read the other way round
        ("which.effect@net=mlp@against=convnet < -0.01", "supported"),
        ("which.effect@net.kind=conv > 0", "supported"),
        ("which.effect@size=3 > 0", "inconclusive"),
        ("which.nothing > 0", "inconclusive"),
    ],
)
def test_one_criterion(text, outcome):
    found = verdict(text, result(row()))
    assert found.outcome == outcome, found.because
    assert found.because.endswith(".") and "nan" not in found.because


def test_because_has_the_numbers_in_words():
    found = verdict("which.effect > 0.01", result(row()))
    assert found.because == (
        "which.effect is 0.03 (95 % interval 0.02 to 0.04, n = 5): all of the interval satisfies > 0.01."
    )
    (one,) = found.criteria
    assert (one.value, one.low, one.high, one.n, one.outcome) == (0.03, 0.02, 0.04, 5, "true")


def test_all_criteria_must_hold():
    both = ["which.effect > 0.01", "which.p < 0.001"]
    assert verdict(both, result(row())).outcome == "inconclusive"
    assert verdict(["which.effect > 0.5", "which.p < 0.001"], result(row())).outcome == "refuted"
    assert len(verdict(both, result(row())).criteria) == 2


def test_an_interval_without_an_end_decides_nothing_on_that_side():
    open_end = result(row(low=None, high=None))
    assert verdict("which.effect > 0", open_end).outcome == "inconclusive"
    assert "no lower bound" in verdict("which.effect > 0", open_end).because
    assert verdict("which.effect > 0", result(row(low=0.02, high=None))).outcome == "supported"


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        (
            {"missing": (Missing("k", "failed", {"net": "convnet"}, 456),), "n": 4},
            "convnet, seed 456 (failed), n = 4 of 5",
        ),
        ({"refused": Reason("degenerate", "all differences are equal")}, "all differences are equal"),
        ({"refused": Reason("sealed", "waits for the test split")}, "waits for the test split"),
        ({"mixed": True}, "unlike hardware"),
    ],
)
def test_what_makes_a_claim_inconclusive(changes, word):
    found = verdict("which.effect > 0.01", result(row(**changes)))
    assert found.outcome == "inconclusive" and word in found.because


def test_mixed_hardware_may_be_allowed():
    assert verdict("which.effect > 0.01", result(row(mixed=True)), allow_mixed=True).outcome == "supported"


def test_exploratory_results_carry_no_claim():
    found = verdict("which.effect > 0.01", result(row(), exploratory=True))
    assert found.outcome == "inconclusive" and "exploratory" in found.because


def test_refuted_if_replaces_the_default():
    holds = {"holds": "which.effect > 0.04"}["holds"]
    assert verdict(holds, result(row())).outcome == "refuted"
    assert verdict(holds, result(row()), refuted_if="which.effect < 0.01").outcome == "inconclusive"
    assert verdict(holds, result(row()), refuted_if="which.effect < 0.05").outcome == "refuted"
    contradiction = verdict("which.effect > 0.01", result(row()), refuted_if="which.effect > 0")
    assert contradiction.outcome == "inconclusive" and "contradict" in contradiction.because


LEVELS = [
    row(axes={"data": "digits"}),
    row(0.0, -0.01, 0.01, 0.5, axes={"data": "mnist"}),
    row(axes={"data": "shapes"}),
]


def test_each_gives_a_verdict_per_level_and_one_for_the_whole():
    open_axis = verdict("which.effect > 0.005", result(*LEVELS))
    assert open_axis.outcome == "inconclusive" and "data (3 levels)" in open_axis.because
    found = verdict("which.effect > 0.005", result(*LEVELS), each="data")
    assert [(part.level, part.outcome) for part in found.parts] == [
        ("data=digits", "supported"), ("data=mnist", "inconclusive"), ("data=shapes", "supported")]  # fmt: skip
    assert found.outcome == "inconclusive" and found.because == "3 levels of data: 2 supported, 1 inconclusive."
    assert verdict("which.effect > -0.02", result(*LEVELS), each="data").outcome == "supported"
    assert verdict("which.effect > 0.015", result(*LEVELS), each="data").outcome == "refuted"


def test_functions_over_levels():
    assert verdict("min(which.effect@data=*) > -0.02", result(*LEVELS)).outcome == "supported"
    assert verdict("max(which.effect@data=*) < 0.03", result(*LEVELS)).outcome == "inconclusive"
    assert verdict("max(which.p@data=*) < 0.05", result(*LEVELS)).outcome == "inconclusive"


def test_two_analyses_have_no_joint_distribution_but_one_has():
    found = verdict("which.effect > other.effect", result(row()), result(row(), name="other"))
    assert found.outcome == "inconclusive" and "joint distribution" in found.because
    far = result(row(axes={"data": "digits"}), row(0.5, 0.4, 0.6, axes={"data": "mnist"}))
    assert verdict("which.effect@data=mnist > which.effect@data=digits", far).outcome == "supported"
    assert verdict("which.effect@data=mnist < which.effect@data=digits + 0.1", far).outcome == "refuted"


def seeds(name, values, **axes):
    return [(name, Point(axes, seed, v, "ok" if v is not None else "failed")) for seed, v in enumerate(values)]


ACC = [
    *seeds("model.accuracy", [0.8, 0.82, 0.81], net="mlp"),
    *seeds("model.accuracy", [0.9, 0.92, 0.91], net="convnet"),
]


@pytest.mark.parametrize(
    ("text", "outcome"),
    [
        ("mean(model.accuracy@net=mlp@seed=*) > 75%", "supported"),
        ("model.accuracy@net=mlp > 75%", "supported"),
        ("model.accuracy@net=mlp > 80%", "inconclusive"),
        ("model.accuracy@net=mlp > 90%", "refuted"),
        ("min(model.accuracy@net=mlp@seed=*) == 80%", "supported"),  # an exact fact about the seeds that ran
        ("max(model.accuracy@net=mlp@seed=*) > 85%", "refuted"),
        ("spread(model.accuracy@net=mlp@seed=*) < 0.02", "supported"),
        ("model.accuracy > 75%", "inconclusive"),  # varies over net
        ("min(model.accuracy@net=*@seed=*) > 75%", "supported"),
        ("model.accuracy@net=convnet > model.accuracy@net=mlp", "supported"),  # seed by seed
        ("model.accuracy@net=convnet - model.accuracy@net=mlp == 0.1", "supported"),
        ("gain > 0.05", "supported"),
    ],
)
def test_columns_of_stages(text, outcome):
    derive = {"gain": "model.accuracy@net=convnet - model.accuracy@net=mlp"}
    found = verdict(text, points=ACC, derive=derive)
    assert found.outcome == outcome, found.because


def test_a_failed_seed_leaves_the_mean_unknown():
    found = verdict("model.accuracy > 0", points=seeds("model.accuracy", [0.8, None, 0.9], net="mlp"))
    assert found.outcome == "inconclusive" and "seed 1 (failed)" in found.because
    single = verdict("model.accuracy > 0", points=seeds("model.accuracy", [0.8], net="mlp"))
    assert single.outcome == "inconclusive" and "one seed" in single.because
    unseeded = [("model.parameters", Point({}, None, 100.0, "ok"))]
    assert verdict("model.parameters > 50", points=unseeded).outcome == "supported"


def test_from_analysis_to_verdict():
    values = {"mlp": [0.80, 0.81, 0.79, 0.80], "convnet": [0.90, 0.92, 0.90, 0.91]}
    points = [item for net, v in values.items() for item in seeds("model.accuracy", v, net=net)]
    which = Analysis(
        "which", "compare", (LeafRef("compare", "paired_t"),), of=(Ref("model", "accuracy"),), between="net"
    )
    claim = Claim("better", (parse("which.effect@net=convnet > 0.02"),))
    study = Study("s", Path(), "s.yaml", factors={"net": NETS}, analysis={"which": which}, claims={"better": claim})
    source = Source(points)
    found = judge(study, analyse(study, source), source)["better"]
    assert found.outcome == "supported" and found.says == "which.effect@net=convnet > 0.02"
    assert found.criteria[0].value == pytest.approx(np.mean(np.subtract(values["convnet"], values["mlp"])))


# --- the algebra ---------------------------------------------------------------------------------------------

KLEENE = (TRUE, FALSE, UNKNOWN)
NUMBER = {TRUE: 1.0, UNKNOWN: 0.5, FALSE: 0.0}


def test_kleene():
    for a, b in itertools.product(KLEENE, KLEENE):
        assert NUMBER[judgement.both([a, b])] == min(NUMBER[a], NUMBER[b])
        assert NUMBER[judgement.either([a, b])] == max(NUMBER[a], NUMBER[b])
    assert [NUMBER[judgement.negate(a)] for a in KLEENE] == [0.0, 1.0, 0.5]


ENDS = st.tuples(st.floats(-5, 5), st.floats(-5, 5)).map(sorted)


@given(ENDS, ENDS, st.sampled_from("+-*/"), st.floats(0, 1), st.floats(0, 1))
def test_interval_arithmetic_contains_every_combination(x, y, operator, u, v):
    a, b = (Known(0.5 * sum(ends), *ends, "estimate", 3, "one") for ends in (x, y))
    found = judgement.combine(operator, a, b)
    if isinstance(found, Unknown):
        assert operator == "/" and y[0] <= 0 <= y[1]
        return
    inner = judgement._ARITHMETIC[operator](x[0] + u * (x[1] - x[0]), y[0] + v * (y[1] - y[0]))
    slack = 1e-9 * max(1.0, abs(inner))
    assert found.low - slack <= inner <= found.high + slack


@given(ENDS, st.sampled_from(["abs", "exp", "-"]), st.floats(0, 1))
def test_functions_contain_every_value(x, function, u):
    found = judgement.apply(function, Known(0.5 * sum(x), *x, "estimate"))
    at = x[0] + u * (x[1] - x[0])
    inner = {"abs": abs, "exp": math.exp, "-": lambda v: -v}[function](at)
    assert found.low - 1e-9 <= inner <= found.high * (1 + 1e-12) + 1e-9


@given(ENDS, ENDS, st.sampled_from(["<", "<=", ">", ">=", "==", "!="]), st.floats(0, 1), st.floats(0, 1))
def test_a_decided_comparison_holds_everywhere_in_the_intervals(x, y, operator, u, v):
    a, b = (Known(0.5 * sum(ends), *ends, "estimate", 3, "one") for ends in (x, y))
    outcome, _ = judgement.compare(operator, a, b)
    p, q = min(x[0] + u * (x[1] - x[0]), x[1]), min(y[0] + v * (y[1] - y[0]), y[1])
    truth = {"<": p < q, "<=": p <= q, ">": p > q, ">=": p >= q, "==": p == q, "!=": p != q}[operator]
    assert outcome == UNKNOWN or (outcome == TRUE) == truth
