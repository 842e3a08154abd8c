"""Rules of the doctor about differences, methods and data, where they fire and where they do not; findings together."""

from __future__ import annotations

import json
from types import SimpleNamespace

import doctor_cases as d
import numpy as np
import pytest
from scipy import stats as scipy_stats

from crucis.study.doctor import gates, method
from crucis.study.doctor.difference import seeds_needed
from crucis.study.doctor.finding import GRADES
from crucis.study.doctor.rules import RULES, examine
from crucis.study.gates.decision import Decision, Line
from crucis.study.session import Conclusion

# -- differences and methods ------------------------------------------------------------------------------------------


def noisy(node):
    return {"accuracy": 0.93 + {"a": [0.01, -0.02, 0.015], "b": [0.02, -0.02, 0.004]}[node.instance.cell["net"]][
        [42, 123, 456].index(node.instance.seed)]}  # fmt: skip


def test_no_difference_says_what_could_have_been_seen(tmp_path):
    (found,) = d.found(d.fill(d.study(tmp_path), noisy), "no_difference")
    pairs = np.array([0.01, 0.0, -0.011])
    p = scipy_stats.ttest_1samp(pairs, 0).pvalue
    assert f"effect {pairs.mean():.3g}" in found.says and f"p = {p:.2g}, n = 3" in found.says
    assert f"deviation of {pairs.std(ddof=1):.3g}" in found.evidence[0]
    both = np.var([0.01, -0.02, 0.015], ddof=1) + np.var([0.02, -0.02, 0.004], ddof=1)
    assert f"removed {100 * (1 - pairs.var(ddof=1) / both):.0f} % of the variance" in found.evidence[2]
    assert "no number of seeds" in found.action
    assert d.found(d.fill(d.study(d.other(tmp_path)), d.sound), "no_difference") == []


@pytest.mark.parametrize(("dz", "alpha"), [(0.5, 0.05), (0.8, 0.05), (1.2, 0.01), (0.3, 0.05)])
def test_seeds_needed_by_the_power_of_scipys_noncentral_t(dz, alpha):
    def power(n):
        edge = scipy_stats.t.ppf(1 - alpha / 2, n - 1)
        shift = dz * n**0.5
        return scipy_stats.nct.sf(edge, n - 1, shift) + scipy_stats.nct.cdf(-edge, n - 1, shift)

    n = seeds_needed(dz, alpha)
    assert power(n) >= 0.8 - 1e-6 and power(n - 1) < 0.8


def test_seeds_needed_published_and_out_of_reach():
    assert seeds_needed(0.5, 0.05) == 34  # Faul et al. 2007
    assert seeds_needed(0.01, 0.05) is None
    assert seeds_needed(0.5, 0.05, "wilcoxon") >= 34
    assert seeds_needed(3.0, 0.05, "permutation") == 6  # fewer flips have no p below 0.05


def test_unpaired(tmp_path):
    found = d.found(d.fill(d.study(tmp_path, test="welch"), noisy), "unpaired")
    assert "welch ignores" in found[0].says and "paired_t" in found[0].action
    assert d.found(d.fill(d.study(tmp_path), noisy), "unpaired") == []


def worse(node):
    return {"accuracy": 0.95 - 0.02 * (node.instance.cell["net"] == "b") + 0.0001 * (node.instance.seed % 7)
            * (node.instance.cell["net"] == "b")}  # fmt: skip


def test_under_the_baseline(tmp_path):
    (found,) = d.found(d.fill(d.study(tmp_path), worse), "under_baseline")
    assert found.grade == "serious" and "'b' is worse than 'a' in model.accuracy" in found.says
    assert found.evidence[0].startswith("on the validation split: effect -0.0") and "leave_one_out" in found.action
    assert d.found(d.fill(d.study(d.other(tmp_path)), d.sound), "under_baseline") == []


ARMS = """\
study: arms
factors: {arm: {full: {net: {mlp: {widths: [8]}}}, without-gate: {net: {mlp: {widths: [9]}}}, baseline: {net: mlp}}}
stages:
  model: {train: supervised, net: $arm.net, data: digits, for: 20 epochs}
analysis:
  loo: {compare: paired_t, of: model.accuracy, between: arm, against: full}
"""


def test_the_component_that_hurts(tmp_path):
    def how(node, gain=0.03):
        extra = {"full": 0.0, "without-gate": gain, "baseline": 0.01}[node.instance.cell["arm"]]
        return {"accuracy": 0.9 + extra + 0.0001 * (node.instance.seed % 5) * (extra > 0)}

    (found,) = d.found(d.fill(d.study(tmp_path, text=ARMS), how), "component_hurts")
    assert "removing 'gate' helps by 0.03" in found.says
    good = d.fill(d.study(d.other(tmp_path), text=ARMS), lambda node: how(node, -0.02))
    assert d.found(good, "component_hurts") == []


def search_case(values, direction="maximise"):
    """A study with a search whose trials gave these values, as the rules read it."""
    trials = [
        SimpleNamespace(instance=SimpleNamespace(stage="tuned.trial", cell={"trial": str(i)}), value=value)
        for i, value in enumerate(values)
    ]
    stage = SimpleNamespace(verb="search", objective=(direction, "accuracy"))
    return SimpleNamespace(
        study=SimpleNamespace(stages={"tuned": stage, "model": SimpleNamespace(verb="train")}),
        plan=SimpleNamespace(nodes=trials),
        record=lambda node: SimpleNamespace(outcome="ok", values={"accuracy": node.value}) if node.value else None,
    )


def test_a_search_that_has_not_come_to_rest():
    rising = [0.5, 0.6, None, 0.7, 0.65, 0.7, 0.6, 0.9]
    (found,) = method.search_unfinished(search_case(rising))
    assert "last third of 7 trials improved accuracy from 0.7 to 0.9" in found.says
    assert list(method.search_unfinished(search_case([0.5, 0.9, 0.7, 0.65, 0.7, 0.6, 0.9]))) == []
    assert list(method.search_unfinished(search_case(rising[:5]))) == []
    (found,) = method.search_unfinished(search_case([5, 4, 3, 2, 6, 1], "minimise"))
    assert found.says.endswith("from 2 to 1")
    assert list(method.search_unfinished(search_case([5, 1, 3, 2, 6, 2], "minimise"))) == []


def test_supported_on_validation_only(tmp_path):
    session = d.fill(d.study(tmp_path, more=", select: accuracy"), d.sound)
    (found,) = d.found(session, "validation_only")
    assert found.says.startswith("better supported on the validation split")
    assert d.found(d.fill(d.study(d.other(tmp_path)), d.sound), "validation_only") == []


def gate_case(outcome, *checks):
    made = tuple(Line(n, o, f"{n} is off.", mend=f"mend {n}", critical=n == "tests") for n, o in checks)
    decision = Decision("ready", "method", outcome, "because", made, ("tests: waived",) if "waived" in outcome else ())
    return SimpleNamespace(conclusion=Conclusion(None, {}, {}, {"ready": decision}), file="s.yaml")


def test_gates():
    missed = [("card", "holds"), ("review", "cannot tell"), ("seeds", "waived"), ("guide", "fails"), ("tests", "fails")]
    (found,) = gates.rejected(gate_case("REJECTED", *missed))
    assert found.grade == "serious" and found.says == "gate 'ready' is REJECTED: tests, guide, review"
    assert found.action == "mend tests"
    assert found.evidence == ("tests: tests is off", "guide: guide is off", "review: review is off")
    assert next(gates.rejected(gate_case("CONDITIONAL", *missed))).grade == "advice"
    assert list(gates.rejected(gate_case("APPROVED", *missed))) == []
    assert list(gates.rejected(SimpleNamespace(conclusion=Conclusion(None, {}, {})))) == []


# -- data -------------------------------------------------------------------------------------------------------------


def with_info(session, **changes):
    from dataclasses import replace

    for digest, info in session.plan.infos.items():
        session.plan.infos[digest] = replace(info, **changes)
    return session


def test_data(tmp_path):
    session = d.fill(d.study(tmp_path), d.sound)
    assert not {"duplicates", "imbalance", "small_validation"} & set(d.names(d.found(session)))
    session = with_info(session, duplicates_removed=20, class_counts={
        "train": (900, 100), "validation": (50, 50), "test": (1, 1),
    })  # fmt: skip
    found = {finding.rule: finding for finding in d.found(session)}
    assert "20 examples of digits" in found["duplicates"].says and found["duplicates"].grade == "advice"
    assert "9.0 times" in found["imbalance"].says and "gives 90.0 %" in found["imbalance"].says


AGENT = """\
study: s
factors: {strategy: {naive: {lambda: 0.0}, ewc: {lambda: 9.0}}}
stages:
  agent:
    train: q_learning
    net: {dqn: {filters: [4, 6], kernels: [4, 3], strides: [4, 1], width: 16}}
    data: {games: {n: 90}}
    games: [catch, dodge]
    ewc_lambda: $strategy.lambda
analysis:
  kept: {compare: paired_t, of: agent.forgotten, between: strategy, against: naive}
"""


def test_an_agent_is_not_judged_by_the_classes_of_what_it_sees_and_is_better_if_it_forgets_less(tmp_path):
    def forgets(which):
        def values(node):
            level = node.instance.cell["strategy"]
            return {"forgotten": 0.5 + 0.1 * (level == which) + 0.0001 * (node.instance.seed % 7) * (level == "ewc")}

        return values

    session = d.study(tmp_path, text=AGENT)
    assert not {"imbalance", "under_baseline"} & set(d.names(d.found(d.fill(session, forgets("naive")))))
    (found,) = d.found(d.fill(d.study(d.other(tmp_path), text=AGENT), forgets("ewc")), "under_baseline")
    assert "'ewc' is worse than 'naive' in agent.forgotten" in found.says


def test_a_difference_of_less_than_one_example(tmp_path):
    session = d.fill(d.study(tmp_path), lambda n: {
        "accuracy": 0.9 + 1e-5 * (n.instance.seed % 7) * (n.instance.cell["net"] == "b")
    })  # fmt: skip
    (found,) = d.found(session, "small_validation")
    assert "less than one of the 179 validation examples" in found.says


# -- all together -----------------------------------------------------------------------------------------------------


def test_the_gravest_comes_first_and_every_finding_is_complete(tmp_path):
    session = d.fill(
        d.study(tmp_path, seeds=2, test="permutation"), lambda n: {**worse(n), "accuracy": 0.1, "train": 0.1}
    )
    found = examine(session, measure=False)
    grades = [GRADES.index(finding.grade) for finding in found]
    assert grades == sorted(grades) and len(found) >= 3
    assert all(finding.says and finding.action for finding in found)
    assert len({rule.__name__ for rule in RULES}) == len(RULES)
    json.dumps([vars(finding) for finding in found])


SEARCH = """\
study: s
seeds: 2
stages:
  tuned:
    search: random
    trial: {train: supervised, net: mlp, data: digits, lr: {log_uniform: [1e-4, 1]}}
    maximise: accuracy
    trials: 12
    pool: seed
"""


def test_the_rule_of_searches_on_a_search_that_ran(tmp_path):
    import search_toys

    (tmp_path / "s.yaml").write_text(SEARCH)
    session = search_toys.ran(tmp_path / "s.yaml", tmp_path / ".crucis")
    case = d.Case(session, d.conclude(session), False)
    trials = [node for node in session.plan.nodes if node.instance.stage == "tuned.trial"]
    each = [session.store.read(node.key).values["accuracy"] for node in trials]
    assert len(each) == 24  # 12 trials of two seeds, trial by trial
    scores = [(first + second) / 2 for first, second in zip(each[::2], each[1::2], strict=True)]
    improved = max(scores[8:]) > max(scores[:8])
    assert bool(list(method.search_unfinished(case))) == improved
    says = method._search(case, "tuned")
    assert f"{max(scores):.4g}" in says
    assert ("not come to rest" in says) == improved
