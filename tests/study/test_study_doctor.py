"""Every rule of the doctor where it fires and where it does not; numbers against what was put in."""

from __future__ import annotations

import json
from types import SimpleNamespace

import doctor_cases as d
import numpy as np
import pytest
from scipy import stats as scipy_stats

from crucis.engine.failures import note_of
from crucis.study import registry
from crucis.study.doctor import gates, method
from crucis.study.doctor.difference import seeds_needed
from crucis.study.doctor.finding import GRADES
from crucis.study.doctor.rules import RULES, examine
from crucis.study.gates.decision import Decision, Line
from crucis.study.session import Conclusion


def sound(node):
    """b is better than a by two points, with a little noise."""
    noise = {42: 0.001, 123: -0.002, 456: 0.0005}.get(node.instance.seed, 0.0)
    return {"accuracy": 0.93 + (0.02 + noise) * (node.instance.cell["net"] == "b")}


def other(folder, name="other"):
    """A second folder: nothing of the first study lies there."""
    (folder / name).mkdir()
    return folder / name


def names(found):
    return [finding.rule for finding in found]


def test_a_sound_study_gets_no_advice(tmp_path):
    session = d.fill(d.study(tmp_path), sound)
    assert [finding for finding in d.found(session) if finding.grade != "note"] == []


# -- steps that did not end well --------------------------------------------------------------------------------------


def test_failed_steps_are_grouped_by_what_was_raised(tmp_path):
    session = d.study(tmp_path)
    nodes = list(session.plan.by_key.values())
    for node in nodes[:2]:
        session.store.fail(node.key, note_of(ValueError("no such thing\nmore")))
    session.store.fail(nodes[2].key, note_of(TypeError("other")))
    d.fill(session, lambda node: None if node in nodes[:3] else sound(node))
    found = d.found(session, "failed")
    assert [len(one.keys) for one in found] == [2, 1] and found[0].grade == "serious"
    assert found[0].says == "2 steps failed with value_error: no such thing"
    assert f"crucis show {nodes[0].key[:12]}" in found[0].action and "--again failed" in found[0].action
    assert "out_of_memory" not in names(d.found(session))


def memory_case(tmp_path):
    session = d.study(tmp_path)
    node = next(iter(session.plan.by_key.values()))
    session.store.fail(node.key, {**note_of(MemoryError("no memory")), "peak_ram_mb": 900})
    return session, node


def test_memory_without_trials_says_how_to_measure(tmp_path):
    session, node = memory_case(tmp_path)
    (found,) = d.found(session, "out_of_memory")
    assert "1 step of 'model' ran out of memory (out_of_memory) at 900 MiB" in found.says and found.keys == (node.key,)
    assert "without --quick" in found.action and "failed" not in names(d.found(session))


def test_memory_options_are_those_that_the_trainer_has_and_the_first_that_fits_is_named(tmp_path, monkeypatch):
    from crucis.study import pilot

    session, _ = memory_case(tmp_path)
    seen = []

    def weigh(step, store):
        params = step.spec["params"]
        weighed = ("accumulate", "precision", "batch", "checkpointing")
        seen.append({name: params[name] for name in weighed if name in params})
        peak = 900 - 100 * params.get("accumulate", 1) - 300 * (params.get("precision") == "bf16")
        return peak, "", 0

    monkeypatch.setattr(pilot, "_weigh", weigh)
    monkeypatch.setattr(pilot.machine, "memory_budget_mb", lambda: 750)
    (found,) = d.found(session, "out_of_memory", measure=True)
    assert seen == [{}, {"checkpointing": True}, {"accumulate": 2}, {"accumulate": 8}, {"precision": "bf16"},
                    {"batch": 64}]  # fmt: skip
    assert "write accumulate: 2 in the stage 'model'" in found.action
    assert found.evidence[2].startswith("accumulate: 2: 700 MiB") and "750 MiB may be used" in found.evidence[-1]
    monkeypatch.setattr(pilot.machine, "memory_budget_mb", lambda: 10)
    (found,) = d.found(session, "out_of_memory", measure=True)
    assert "nothing that the trainer offers would fit" in found.action
    monkeypatch.setattr(pilot.machine, "memory_budget_mb", lambda: 5000)
    (found,) = d.found(session, "out_of_memory", measure=True)
    assert "alone it fits here" in found.action


def test_a_peak_of_memory_is_measured_in_a_process_of_its_own(tmp_path):
    """Chunks of a large batch need less than the whole: the difference is that of the activations."""
    from crucis.study import pilot

    text = (
        "study: s\nseeds: [1]\nstages:\n"
        "  model: {train: supervised, net: {convnet: {widths: [64, 64]}}, data: digits, batch: 1024, for: 3 epochs}\n"
    )
    session = d.study(tmp_path, text=text)
    (step,) = session.plan.steps()
    whole = pilot._weigh(pilot._short(step, 2), session.store.path)
    parts = pilot._weigh(pilot._short(step, 2, {"accumulate": 8}), session.store.path)
    broken = pilot._weigh(pilot._short(step, 2, {"accumulate": 3}), session.store.path)
    assert whole[0] > parts[0] + 20 > 100, (whole, parts)
    assert broken[0] is None and "do not divide" in broken[1]


@pytest.mark.parametrize(("step", "words"), [(7, "longer warmup"), (200, "clip the gradient")])
def test_divergence(tmp_path, step, words):
    session = d.study(tmp_path, more=", lr: 1.5")
    first = next(iter(session.plan.by_key.values()))
    d.fill(session, lambda node: {"diverged": step} if node is first else sound(node))
    (found,) = d.found(session, "diverged")
    assert f"at optimiser step {step} (lr 1.5)" in found.says and found.keys == (first.key,)
    assert "lr: 0.5" in found.action and words in found.action and found.evidence == ("last finite loss 2.5",)
    assert "diverged" not in names(d.found(d.fill(d.study(other(tmp_path)), sound)))


def test_refusals(tmp_path):
    session = d.study(tmp_path)
    first = next(iter(session.plan.by_key.values()))
    d.fill(session, lambda node: {"refused": ("too_few", "too few points")} if node is first else sound(node))
    (found,) = d.found(session, "refused")
    assert "(too_few): too few points" in found.says and found.grade == "advice"
    again = d.study(other(tmp_path))
    d.fill(again, lambda node: {"refused": ("input_refused", "x")} if node.instance.seed == 42 else sound(node))
    assert d.found(again, "refused") == []


def test_two_computations_that_differ(tmp_path, monkeypatch):
    from crucis.study.doctor import running
    from crucis.study.reproduction import Comparison

    session = d.fill(d.study(tmp_path), sound)
    node = next(iter(session.plan.by_key.values()))
    assert d.found(session, "not_deterministic") == []
    session.store.fail(node.key, {"class": "deterministic", "code": "not_reproducible", "text": "x",
                                  "parts": ["values.accuracy", "files.model.safetensors"]})  # fmt: skip
    (found,) = d.found(session, "not_deterministic")
    assert "values.accuracy, files.model.safetensors" in found.evidence[0] and "kernel" in found.says
    line = "model a: torch was 2.1, is 2.2; model.safetensors: 'body.0.weight' differs first at [0, 3]"
    monkeypatch.setattr(running, "reproduce_record", lambda *_, **__: Comparison(1, (line,)))
    (found,) = d.found(session, "not_deterministic", measure=True)
    assert found.evidence[1] == line and "another PyTorch" in found.says and node.key[:12] in found.action


def test_what_has_not_run(tmp_path):
    session = d.study(tmp_path)
    (found,) = d.found(session, "missing")
    assert "6 steps of 6 have no record" in found.says and found.action == "crucis run s.yaml"
    assert d.found(d.fill(session, sound), "missing") == []


def test_what_is_sealed(tmp_path):
    text = d.STUDY.format(seeds=3, test="paired_t", more="").replace(
        "analysis:", "  test: {measure: classification, of: model, split: test}\nanalysis:"
    )
    session = d.study(tmp_path, text=text)
    d.fill(session, lambda node: None if node.sealed else sound(node))
    (found,) = d.found(session, "sealed")
    assert "6 steps wait" in found.says and found.grade == "note"


# -- courses of training ----------------------------------------------------------------------------------------------


def courses(tmp_path, make):
    return d.fill(d.study(tmp_path), lambda node: {**sound(node), **make(node)})


def test_still_rising(tmp_path):
    rising = list(np.linspace(0.3, 0.9, 20))
    (one, two) = d.found(courses(tmp_path, lambda _: {"curve": d.course(rising)}), "still_rising")
    gain = 100 * (rising[-1] - rising[15])
    assert f"gained {gain:.1f} points in the last fifth" in one.says and "model b" in two.says
    assert d.found(d.fill(d.study(other(tmp_path)), sound), "still_rising") == []
    resting = d.course(rising, train_loss=[0.5] * 20)  # better only because the rate fell: nothing is left to learn
    assert d.found(courses(other(tmp_path, "b"), lambda _: {"curve": resting}), "still_rising") == []


def test_plateau(tmp_path):
    early = d.course([0.5, 0.9, 0.95, *[0.955] * 17])
    found = d.found(courses(tmp_path, lambda _: {"curve": early}), "plateau")
    assert "after 15 % of training" in found[0].says and "save up to 85 s" in found[0].action
    assert d.found(d.fill(d.study(other(tmp_path)), sound), "plateau") == []


def test_overfit(tmp_path):
    curve = d.course(d.flat(0.7), loss=[*np.linspace(1, 0.5, 8), *np.linspace(0.55, 1.0, 12)])
    (one, _) = d.found(courses(tmp_path, lambda _: {"curve": curve, "accuracy": 0.7, "train": 0.99}), "overfit")
    assert "29.0 points above" in one.says and "100 % above its minimum" in one.says and "near epoch 8" in one.action
    assert d.found(d.fill(d.study(other(tmp_path)), sound), "overfit") == []


def test_learned_nothing_silences_what_follows_from_it(tmp_path):
    curve = d.course([0.1] * 20, train_loss=[2.3] * 20)
    session = courses(tmp_path, lambda _: {"accuracy": 0.1, "train": 0.1, "curve": curve})
    found = d.found(session)
    (one, _) = [finding for finding in found if finding.rule == "learned_nothing"]
    counts = next(iter(session.plan.infos.values())).class_counts["validation"]
    assert f"({100 * max(counts) / sum(counts):.1f} %)" in one.says and one.grade == "serious"
    assert not {"underfit", "plateau"} & set(names(found))
    assert d.found(d.fill(d.study(other(tmp_path)), sound), "learned_nothing") == []


def test_underfit(tmp_path):
    curve = d.course([0.6] * 20, train_loss=[*np.linspace(2, 1.2, 10), *[1.2] * 10])
    (one, _) = d.found(courses(tmp_path, lambda _: {"accuracy": 0.6, "train": 0.605, "curve": curve}), "underfit")
    assert "rests at 60.5 %, validation at 60.0 %" in one.says
    assert d.found(d.fill(d.study(other(tmp_path)), sound), "underfit") == []


def test_unstable(tmp_path):
    losses = [*np.linspace(2, 1, 9), 5.0, *np.linspace(1, 0.5, 10)]
    (one, _) = d.found(courses(tmp_path, lambda _: {"curve": d.course(d.flat(), train_loss=losses)}), "unstable")
    assert "jumped from 1 to 5 before step 110 (3 of 3 seeds)" in one.says
    assert d.found(d.fill(d.study(other(tmp_path)), sound), "unstable") == []


# -- the design -------------------------------------------------------------------------------------------------------


def test_few_seeds(tmp_path):
    (found,) = d.found(d.study(tmp_path, seeds=2), "few_seeds")
    assert found.says.startswith("2 seeds") and found.grade == "serious"
    assert d.found(d.study(tmp_path, seeds=3), "few_seeds") == []


def test_no_baseline_and_no_claim(tmp_path):
    whole = d.STUDY.format(seeds=3, test="paired_t", more="")
    bare = whole[: whole.index("analysis:")]
    (found,) = d.found(d.study(tmp_path, text=bare), "no_baseline")
    assert "between: net, against: a" in found.action
    silent = whole[: whole.index("claims:")]
    assert names(d.found(d.study(tmp_path, text=silent), "no_claim")) == ["no_claim"]
    assert not {"no_baseline", "no_claim"} & set(names(d.found(d.study(tmp_path, text=whole))))


def test_out_of_reach(tmp_path):
    (found,) = d.found(d.study(tmp_path, seeds=4, test="permutation"), "out_of_reach")
    assert "with n = 4 no p is below 0.125, and the level is 0.05" in found.says
    assert d.found(d.study(tmp_path, seeds=6, test="permutation"), "out_of_reach") == []


def opened(session, times):
    name = registry.ledger(session.study, session.store)
    line = {"study": name, "registration": "r", "time": "2026-01-01T", "who": "u", "data": {}, "before": {}}
    for _ in range(times):
        session.store.append_line("unsealings", line)
    return session


def test_opened_twice(tmp_path):
    session = opened(d.study(tmp_path), 1)
    assert d.found(session, "opened_twice") == []
    (found,) = d.found(opened(session, 1), "opened_twice")
    assert "unsealed 2 times" in found.says and len(found.evidence) == 2


def test_after_the_data(tmp_path):
    session = d.study(tmp_path)
    registry.register(session.plan, session.store)
    d.fill(session, sound)
    assert not {"after_the_data", "extended"} & set(names(d.found(session)))
    changed = d.STUDY.format(seeds=4, test="paired_t", more="").replace("> 0", "> 0.5%")
    late = d.study(tmp_path, text=changed)
    registry.register(late.plan, late.store)
    found = {finding.rule: finding for finding in d.found(late)}
    assert found["after_the_data"].grade == "serious" and "better (" in found["after_the_data"].says
    assert "fresh" in found["extended"].action


def test_unequal_budgets(tmp_path):
    text = d.STUDY.format(seeds=3, test="paired_t", more="").replace("for: 20 epochs", "for: $net.long")
    text = text.replace("[8]}}", "[8]}}, long: 20 epochs").replace("[9]}}", "[9]}}, long: 30 epochs")
    (found,) = d.found(d.study(tmp_path, text=text), "unequal_budgets")
    assert "which: 'b' saw 42,240 training examples and 'a' 28,160" in found.says  # 11 batches of 128, 30 and 20 times
    assert d.found(d.study(tmp_path), "unequal_budgets") == []


def test_mixed_hardware(tmp_path):
    def how(node):
        device = {"device": "gpu" if node.instance.cell["net"] == "b" else "cpu"}
        return {**sound(node), "numerics": device}

    (found,) = d.found(d.fill(d.study(tmp_path), how), "mixed_hardware")
    assert found.evidence == ("device: cpu, gpu",)
    assert d.found(d.fill(d.study(other(tmp_path)), sound), "mixed_hardware") == []


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
    assert d.found(d.fill(d.study(other(tmp_path)), sound), "no_difference") == []


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
    assert d.found(d.fill(d.study(other(tmp_path)), sound), "under_baseline") == []


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
    good = d.fill(d.study(other(tmp_path), text=ARMS), lambda node: how(node, -0.02))
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
    session = d.fill(d.study(tmp_path, more=", select: accuracy"), sound)
    (found,) = d.found(session, "validation_only")
    assert found.says.startswith("better supported on the validation split")
    assert d.found(d.fill(d.study(other(tmp_path)), sound), "validation_only") == []


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
    session = d.fill(d.study(tmp_path), sound)
    assert not {"duplicates", "imbalance", "small_validation"} & set(names(d.found(session)))
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
    assert not {"imbalance", "under_baseline"} & set(names(d.found(d.fill(session, forgets("naive")))))
    (found,) = d.found(d.fill(d.study(other(tmp_path), text=AGENT), forgets("ewc")), "under_baseline")
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
