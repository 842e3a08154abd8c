"""`crucis lr` on a small study: what it says, what it draws, and that a stage of the study finds its records."""

from __future__ import annotations

import json

STUDY = """\
study: rates
seeds: 2
factors: {net: {small: {mlp: {widths: [8]}}, linear: {mlp: {widths: []}}}}
stages:
  model: {train: supervised, net: $net, data: digits, batch: 256, for: 1 epochs}
analysis:
  which: {describe: summary, of: [model.accuracy]}
"""
QUICK = ("--steps", "60", "--hold", "20", "--start", "1e-4", "--quiet")


def test_ranges_of_a_study(lab):
    lab.write(STUDY)
    answer = lab("lr", *QUICK, "--out", str(lab.folder / "rates.svg"))
    assert answer.code == 0, answer.all
    assert "small (2 seeds)" in answer.out and "linear (2 seeds)" in answer.out
    assert answer.out.count("a tenth to a third") == 2 and "95 % interval" in answer.out
    assert (lab.folder / "rates.svg").read_text(encoding="utf-8").count("<svg") == 1
    found = json.loads(lab("lr", *QUICK, "--format", "json", "--only", "net=small").out)
    assert [one["cell"] for one in found] == ["small"] and set(found[0]["seeds"]) == {"42", "123"}
    middle = [one["largest"] for one in found[0]["seeds"].values()]
    assert abs(found[0]["largest"]["mean"] - (middle[0] * middle[1]) ** 0.5) < 1e-9
    assert found[0]["advised"] == [found[0]["largest"]["mean"] / 10, found[0]["largest"]["mean"] / 3]
    assert not (lab.store / "ledger").exists() or not list((lab.store / "ledger").iterdir())  # nothing is registered
    stage = "  range: {perturb: {lr_range: {steps: 60, hold: 20, start: 1e-4}}, of: model@at=0%}\nanalysis:"
    lab.write(STUDY.replace("analysis:", stage))
    ran = lab("run", "--stages", "range", "--quiet")
    assert "4 cached, 0 run" in ran.out, ran.all


def test_a_search_stands_for_its_trial(lab):
    lab.write("""\
study: tuned
seeds: 1
stages:
  tuned:
    search: {random: {trials: 2}}
    trial: {train: supervised, net: mlp, data: digits, batch: 256, for: 1 epochs, lr: {log_uniform: [1e-3, 1]},
            weight_decay: {log_uniform: [1e-5, 1e-3]}}
    maximise: accuracy
analysis:
  which: {describe: summary, of: [tuned.best]}
""")
    answer = lab("lr", *QUICK)
    assert answer.code == 2 and "also vary weight_decay" in answer.err and "--set 'stages.tuned.trial" in answer.err
    answer = lab("lr", *QUICK, "--set", "stages.tuned.trial.weight_decay=0.0005")
    assert answer.code == 0 and "largest stable rate" in answer.out and "says nothing of how far" in answer.out


def test_what_cannot_be_asked(lab):
    lab.write(STUDY)
    for words, says in (
        (("--stage", "modle"), "Did you mean 'model'?"),
        (("--start", "1", "--end", "0.1"), "a ramp rises"),
        (("--out", "x.gif"), "write x.svg"),
        (("--only", "net=big"), "no level 'big'"),
        (("--hold", "5"), "--hold: 5 is outside [20, 100000]"),
    ):
        answer = lab("lr", *words)
        assert answer.code == 2 and says in answer.err, answer.all


def test_no_answer_is_no_success(lab):
    lab.write("study: rates\nseeds: 1\nstages: {model: {train: supervised, net: mlp, data: digits, for: 1 epochs}}\n")
    answer = lab("lr", *QUICK, "--start", "1000", "--end", "10000")
    assert answer.code == 3 and "seed 42: refused: " in answer.out, answer.all


def test_another_protocol_is_told_before_anything_runs(lab):
    lab.write("""\
study: rates
seeds: 1
stages: {encoder: {train: mae, net: {vit: {width: 8, depth: 1, heads: 1, patch: 4}}, data: digits, for: 1 epochs}}
""")
    answer = lab("lr", *QUICK, "--stage", "encoder")
    assert answer.code == 2 and "--stage encoder: it has a protocol of its own" in answer.err, answer.all


def test_a_profile_is_said_shown_and_no_part_of_the_key(lab):
    lab.write(STUDY)
    plain = lab.keys()
    answer = lab("run", "--profile")
    assert answer.code == 0 and "Profile of model small (2 trainings): data " in answer.out, answer.all
    assert lab.keys() == plain
    page = lab.page("rates")
    assert "model-profile" in page and "where the time of model goes" in page
    again = lab("run", "--profile")
    assert "0 run" in again.out and "Profile of model small" in again.out
