"""Rule 8 and its company: what changes the key of a step, and what does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from crucis.canon import step_key
from crucis.study.load import load_study
from crucis.study.plan import Circumstance, make_plan

BASE = """\
study: one
question: Does it matter what things are called?
seeds: [42, 7]
let: {rate: 0.05}
factors:
  net:
    small: {mlp: {widths: [8]}}
    wide: {mlp: {widths: [12]}}
stages:
  model: {train: supervised, net: $net, data: digits, view: {n: 500}, lr: $rate, for: 2 epochs, select: accuracy}
  scores: {measure: classification, of: model@at=best}
  second:
    {perturb: second_task, of: model, data: digits, view: {classes: second-half}, strategy: naive, record_at: [1, 2]}
"""


def plan_of(tmp_path: Path, text: str, circumstance: Circumstance | None = None, sets=()):
    path = tmp_path / "study.yaml"
    path.write_text(text, encoding="utf-8")
    return make_plan(load_study(path, sets=sets), circumstance)


def keys(tmp_path, text, **more):
    return {node.key for node in plan_of(tmp_path, text, **more).nodes}


def by_stage(plan):
    out: dict[str, set[str]] = {}
    for node in plan.nodes:
        out.setdefault(node.instance.stage, set()).add(node.key)
    return out


def test_every_key_is_the_digest_of_its_spec_and_no_name_is_in_it(tmp_path):
    plan = plan_of(tmp_path, BASE)
    assert len(plan.by_key) == 12
    for node in plan.nodes:
        assert step_key(node.spec) == node.key
        text = repr(node.spec)
        assert not {"small", "wide", "scores", "'one'", "rate"} & set(text.replace('"', "'").split())
        assert str(tmp_path) not in text


RENAMED = {
    "study: one": "study: another",
    "question: Does": "question: Did",
    "let: {rate: 0.05}": "let: {speed: 0.05}",
    "lr: $rate": "lr: $speed",
    "  net:\n": "  body:\n",
    "net: $net": "net: $body",
    "small: {mlp": "tiny: {mlp",
    "wide: {mlp": "vast: {mlp",
    "  model: {": "  first: {",
    "of: model@": "of: first@",
    "of: model,": "of: first,",
    "  scores: {": "  measured: {",
    "  second:": "  later:",
}


def test_names_are_not_identity(tmp_path):
    text = BASE
    for old, new in RENAMED.items():
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    assert keys(tmp_path, text) == keys(tmp_path, BASE)


def reordered(text: str) -> str:
    head, stages = text.replace("second:\n   ", "second:").split("stages:\n")
    first = head.split("factors:\n")
    return "stages:\n" + "".join(reversed(stages.splitlines(keepends=True))) + "factors:\n" + first[1] + first[0]


@pytest.mark.parametrize(
    "other",
    [
        reordered(BASE),
        BASE.replace("lr: $rate", "lr: 5e-2"),
        BASE.replace("lr: $rate", "lr: 5%"),
        BASE.replace("for: 2 epochs", "for: 2 epochs, batch: 128"),  # the default
        BASE.replace("for: 2 epochs", "for: 2 epochs, label_smoothing: 0, precision: fp32, optimiser: sgd"),
        BASE.replace("small: {mlp: {widths: [8]}}", "small: {mlp: {widths: [8], dropout: 0}}"),
        BASE.replace("study: one", "study: one # a comment\n# another"),
        BASE.replace("seeds: [42, 7]", "seeds: [7, 42]"),
        BASE
        + "analysis:\n  sum: {describe: summary, of: scores.loss}\nclaims: {low: sum.mean@net=wide < 9}\nbudget: 8 h\n",
        BASE.replace("strategy: naive, ", ""),
    ],
)
def test_what_means_the_same_has_the_same_keys(tmp_path, other):
    assert other != BASE
    assert keys(tmp_path, other) == keys(tmp_path, BASE)


@pytest.mark.parametrize(
    ("old", "new", "stages"),
    [
        ("lr: $rate", "lr: 0.06", {"model", "scores", "second"}),
        ("for: 2 epochs", "for: 3 epochs", {"model", "scores", "second"}),
        ("for: 2 epochs", "for: 2 epochs, batch: 64", {"model", "scores", "second"}),
        ("{n: 500}", "{n: 501}", {"model", "scores", "second"}),
        ("@at=best", "@at=50%", {"scores"}),
        ("@at=best", "", {"scores"}),
        ("@at=best", "@at=0%", {"scores"}),
        ("of: model@at=best}", "of: model@at=best, split: train}", {"scores"}),
        ("[1, 2]", "[1, 3]", {"second"}),
        ("second-half", "first-half", {"second"}),
    ],
)
def test_what_means_something_else_changes_exactly_what_uses_it(tmp_path, old, new, stages):
    before, after = by_stage(plan_of(tmp_path, BASE)), by_stage(plan_of(tmp_path, BASE.replace(old, new)))
    assert {stage for stage in before if not before[stage] & after[stage]} == stages
    assert {stage for stage in before if before[stage] == after[stage]} == set(before) - stages


def test_a_level_or_seed_more_keeps_the_others(tmp_path):
    base = keys(tmp_path, BASE)
    assert base < keys(tmp_path, BASE.replace("[42, 7]", "[42, 7, 8]"))
    assert base < keys(tmp_path, BASE.replace("    wide:", "    other: {mlp: {widths: [9]}}\n    wide:"))


def test_fast_kernels_are_another_result_and_a_device_is_not(tmp_path):
    base = keys(tmp_path, BASE)
    assert keys(tmp_path, BASE, circumstance=Circumstance(device="cpu")) == base
    assert not keys(tmp_path, BASE, circumstance=Circumstance(determinism="fast")) & base


def test_two_levels_that_say_the_same_share_their_steps(tmp_path):
    plan = plan_of(tmp_path, BASE.replace("widths: [12]", "widths: [8]"))
    assert len(plan.nodes) == 12
    assert len(plan.steps()) == 6


def test_seeds_of_one_dense_net_share_a_group_and_others_do_not(tmp_path):
    nodes = [node for node in plan_of(tmp_path, BASE).nodes if node.instance.stage == "model"]
    groups = {node.instance.cell["net"]: node.group for node in nodes}
    assert len(set(groups.values())) == 2
    assert all(node.group == groups[node.instance.cell["net"]] for node in nodes)
    other = plan_of(tmp_path, BASE.replace("{mlp: {widths: [12]}}", "{convnet: {widths: [4]}}"))
    assert {n.group is None for n in other.nodes if n.instance.cell.get("net") == "wide"} == {True}


def test_a_part_of_the_plan_takes_what_it_needs_along(tmp_path):
    plan = plan_of(tmp_path, BASE)
    part = plan.steps(("scores",), {"net": ("small",)})
    assert [step.label for step in part] == [
        "model small seed 42", "model small seed 7", "scores small seed 42", "scores small seed 7"
    ]  # fmt: skip
    assert all(step.publishes for step in part[:2])
    planned = {step.key for step in part} | {key for step in part for key in step.publishes}
    assert all(set(step.input_keys()) <= planned for step in part)


def _training(tmp_path, words):
    text = (
        f"study: one\nseeds: 1\nstages:\n  m: {{train: supervised, net: mlp, data: digits, for: 2 epochs, {words}}}\n"
    )
    (node,) = plan_of(tmp_path, text).nodes
    return node.key


def test_rules_that_tell_are_no_identity_and_those_that_change_the_training_are(tmp_path):
    plain = _training(tmp_path, "batch: 64")
    assert plain == _training(tmp_path, "batch: 64, watch: {grad_norm > 10: [log, checkpoint], disk_free < 10%: log}")
    cut = _training(tmp_path, "batch: 64, watch: {loss_rise > 50%: {lower_lr: 1/2}}")
    assert cut == _training(tmp_path, "batch: 64, watch: {loss_rise>0.50: [lower_lr, {mail: a@example.org}]}")
    others = [
        _training(tmp_path, f"batch: 64, {words}")
        for words in ("watch: {loss_rise > 50%: stop}", "on_not_finite: skip", "on_memory: halve_batch",
                      "precision: fp16", "schedule: plateau", "checkpointing: true")
    ]  # fmt: skip
    assert len({plain, cut, *others}) == 2 + len(others)
    assert plain == _training(tmp_path, "batch: 64, on_not_finite: stop, checkpointing: false")


def test_levels_that_differ_in_what_is_told_share_a_step_that_tells_all_of_it(tmp_path):
    text = (
        "study: one\nseeds: 1\n"
        "factors: {told: {a: {w: {loss > 1: log}}, b: {w: {loss > 1: checkpoint, lr > 0: log}}}}\n"
        "stages:\n  m: {train: supervised, net: mlp, data: digits, for: 2 epochs, watch: $told.w}\n"
    )
    (step,) = plan_of(tmp_path, text).steps()
    assert step.hints["tell"] == {"loss > 1.0": ["log", "checkpoint"], "lr > 0.0": ["log"]}
