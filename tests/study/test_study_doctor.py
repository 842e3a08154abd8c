"""Every rule of the doctor where it fires and where it does not; numbers against what was put in."""

from __future__ import annotations

import doctor_cases as d
import numpy as np
import pytest

from crucis.engine.failures import note_of
from crucis.study import registry


def test_a_sound_study_gets_no_advice(tmp_path):
    session = d.fill(d.study(tmp_path), d.sound)
    assert [finding for finding in d.found(session) if finding.grade != "note"] == []


# -- steps that did not end well --------------------------------------------------------------------------------------


def test_failed_steps_are_grouped_by_what_was_raised(tmp_path):
    session = d.study(tmp_path)
    nodes = list(session.plan.by_key.values())
    for node in nodes[:2]:
        session.store.fail(node.key, note_of(ValueError("no such thing\nmore")))
    session.store.fail(nodes[2].key, note_of(TypeError("other")))
    d.fill(session, lambda node: None if node in nodes[:3] else d.sound(node))
    found = d.found(session, "failed")
    assert [len(one.keys) for one in found] == [2, 1] and found[0].grade == "serious"
    assert found[0].says == "2 steps failed with value_error: no such thing"
    assert f"crucis show {nodes[0].key[:12]}" in found[0].action and "--again failed" in found[0].action
    assert "out_of_memory" not in d.names(d.found(session))


def memory_case(tmp_path):
    session = d.study(tmp_path)
    node = next(iter(session.plan.by_key.values()))
    session.store.fail(node.key, {**note_of(MemoryError("no memory")), "peak_ram_mb": 900})
    return session, node


def test_memory_without_trials_says_how_to_measure(tmp_path):
    session, node = memory_case(tmp_path)
    (found,) = d.found(session, "out_of_memory")
    assert "1 step of 'model' ran out of memory (out_of_memory) at 900 MiB" in found.says and found.keys == (node.key,)
    assert "without --quick" in found.action and "failed" not in d.names(d.found(session))


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
    d.fill(session, lambda node: {"diverged": step} if node is first else d.sound(node))
    (found,) = d.found(session, "diverged")
    assert f"at optimiser step {step} (lr 1.5)" in found.says and found.keys == (first.key,)
    assert "lr: 0.5" in found.action and words in found.action and found.evidence == ("last finite loss 2.5",)
    assert "diverged" not in d.names(d.found(d.fill(d.study(d.other(tmp_path)), d.sound)))


def test_refusals(tmp_path):
    session = d.study(tmp_path)
    first = next(iter(session.plan.by_key.values()))
    d.fill(session, lambda node: {"refused": ("too_few", "too few points")} if node is first else d.sound(node))
    (found,) = d.found(session, "refused")
    assert "(too_few): too few points" in found.says and found.grade == "advice"
    again = d.study(d.other(tmp_path))
    d.fill(again, lambda node: {"refused": ("input_refused", "x")} if node.instance.seed == 42 else d.sound(node))
    assert d.found(again, "refused") == []


def test_two_computations_that_differ(tmp_path, monkeypatch):
    from crucis.study.doctor import running
    from crucis.study.reproduction import Comparison

    session = d.fill(d.study(tmp_path), d.sound)
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
    assert d.found(d.fill(session, d.sound), "missing") == []


def test_what_is_sealed(tmp_path):
    text = d.STUDY.format(seeds=3, test="paired_t", more="").replace(
        "analysis:", "  test: {measure: classification, of: model, split: test}\nanalysis:"
    )
    session = d.study(tmp_path, text=text)
    d.fill(session, lambda node: None if node.sealed else d.sound(node))
    (found,) = d.found(session, "sealed")
    assert "6 steps wait" in found.says and found.grade == "note"


# -- courses of training ----------------------------------------------------------------------------------------------


def courses(tmp_path, make):
    return d.fill(d.study(tmp_path), lambda node: {**d.sound(node), **make(node)})


def test_still_rising(tmp_path):
    rising = list(np.linspace(0.3, 0.9, 20))
    (one, two) = d.found(courses(tmp_path, lambda _: {"curve": d.course(rising)}), "still_rising")
    gain = 100 * (rising[-1] - rising[15])
    assert f"gained {gain:.1f} points in the last fifth" in one.says and "model b" in two.says
    assert d.found(d.fill(d.study(d.other(tmp_path)), d.sound), "still_rising") == []
    resting = d.course(rising, train_loss=[0.5] * 20)  # better only because the rate fell: nothing is left to learn
    assert d.found(courses(d.other(tmp_path, "b"), lambda _: {"curve": resting}), "still_rising") == []


def test_plateau(tmp_path):
    early = d.course([0.5, 0.9, 0.95, *[0.955] * 17])
    found = d.found(courses(tmp_path, lambda _: {"curve": early}), "plateau")
    assert "after 15 % of training" in found[0].says and "save up to 85 s" in found[0].action
    assert d.found(d.fill(d.study(d.other(tmp_path)), d.sound), "plateau") == []


def test_overfit(tmp_path):
    curve = d.course(d.flat(0.7), loss=[*np.linspace(1, 0.5, 8), *np.linspace(0.55, 1.0, 12)])
    (one, _) = d.found(courses(tmp_path, lambda _: {"curve": curve, "accuracy": 0.7, "train": 0.99}), "overfit")
    assert "29.0 points above" in one.says and "100 % above its minimum" in one.says and "near epoch 8" in one.action
    assert d.found(d.fill(d.study(d.other(tmp_path)), d.sound), "overfit") == []


def test_learned_nothing_silences_what_follows_from_it(tmp_path):
    curve = d.course([0.1] * 20, train_loss=[2.3] * 20)
    session = courses(tmp_path, lambda _: {"accuracy": 0.1, "train": 0.1, "curve": curve})
    found = d.found(session)
    (one, _) = [finding for finding in found if finding.rule == "learned_nothing"]
    counts = next(iter(session.plan.infos.values())).class_counts["validation"]
    assert f"({100 * max(counts) / sum(counts):.1f} %)" in one.says and one.grade == "serious"
    assert not {"underfit", "plateau"} & set(d.names(found))
    assert d.found(d.fill(d.study(d.other(tmp_path)), d.sound), "learned_nothing") == []


def test_underfit(tmp_path):
    curve = d.course([0.6] * 20, train_loss=[*np.linspace(2, 1.2, 10), *[1.2] * 10])
    (one, _) = d.found(courses(tmp_path, lambda _: {"accuracy": 0.6, "train": 0.605, "curve": curve}), "underfit")
    assert "rests at 60.5 %, validation at 60.0 %" in one.says
    assert d.found(d.fill(d.study(d.other(tmp_path)), d.sound), "underfit") == []


def test_unstable(tmp_path):
    losses = [*np.linspace(2, 1, 9), 5.0, *np.linspace(1, 0.5, 10)]
    (one, _) = d.found(courses(tmp_path, lambda _: {"curve": d.course(d.flat(), train_loss=losses)}), "unstable")
    assert "jumped from 1 to 5 before step 110 (3 of 3 seeds)" in one.says
    assert d.found(d.fill(d.study(d.other(tmp_path)), d.sound), "unstable") == []


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
    assert d.names(d.found(d.study(tmp_path, text=silent), "no_claim")) == ["no_claim"]
    assert not {"no_baseline", "no_claim"} & set(d.names(d.found(d.study(tmp_path, text=whole))))


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
    d.fill(session, d.sound)
    assert not {"after_the_data", "extended"} & set(d.names(d.found(session)))
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
        return {**d.sound(node), "numerics": device}

    (found,) = d.found(d.fill(d.study(tmp_path), how), "mixed_hardware")
    assert found.evidence == ("device: cpu, gpu",)
    assert d.found(d.fill(d.study(d.other(tmp_path)), d.sound), "mixed_hardware") == []
