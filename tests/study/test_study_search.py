"""Searches as stages: what is planned, what is found, what is taken over, what is refused. No network is trained."""

# ruff: noqa: E501 - studies and their faults, one a line

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest
from search_toys import accuracy, ran

from crucis.cli import main
from crucis.study.attributing import search_tasks
from crucis.study.load import check_study, study_from_text
from crucis.study.plan import make_plan
from crucis.study.readings import Readings
from crucis.study.session import conclude, open_session
from crucis.study.spec import Analysis, Ref

BODY = "train: supervised, net: mlp, data: digits, for: 8 epochs, lr: {log_uniform: [1e-4, 1]}"
ONE = f"""study: s
stages:
  tuned: {{search: random, trial: {{{BODY}}}, maximise: accuracy, trials: 6, pool: seed, seeds: [42, 123]}}
  confirmed: {{winner_of: tuned, seeds: {{fresh: 2}}}}
"""


def write(folder, text, name="s.yaml"):
    path = folder / name
    path.write_text(text)
    return path


def column(session, ref):
    return [point.value for point in Readings(session.plan, session.store).points(ref)]


# --- planning ------------------------------------------------------------------------------------------------


def test_before_the_run_everything_waits_for_the_search():
    study, faults = study_from_text(ONE, Path())
    assert faults == []
    plan = make_plan(study)
    assert [node.label for node in plan.nodes] == ["tuned", "confirmed seed 900001", "confirmed seed 900002"]
    assert all(node.waits == "tuned" for node in plan.nodes)
    assert plan.steps() == []
    assert (plan.hunts[0].planned, plan.hunts[0].seeds, plan.hunts[0].unknown) == (6, 2, 12)


def test_trials_are_the_steps_that_a_person_would_write(tmp_path):
    session = ran(write(tmp_path, ONE), tmp_path / "store")
    hunt = session.plan.hunts[0]
    lr = {ask.trial: ask.values[0] for ask, _ in hunt.asked}
    hand = BODY.replace("{log_uniform: [1e-4, 1]}", f"{lr[3]!r}")
    study, _ = study_from_text(f"study: other\nseeds: [42, 123]\nstages: {{m: {{{hand}}}}}\n", Path())
    trial = {ask.trial: nodes for ask, nodes in hunt.asked}[3]
    assert [node.key for node in make_plan(study).nodes] == [node.key for node in trial]
    assert session.complete


def test_the_winner_is_the_best_mean_and_is_trained_again(tmp_path):
    session = ran(write(tmp_path, ONE), tmp_path / "store")
    hunt = session.plan.hunts[0]
    by_hand = []
    for ask, _ in hunt.asked:
        spec = {"params": {"lr": ask.values[0], "length": "8 epochs"}}
        by_hand.append(sum(accuracy({**spec, "seed": seed}) for seed in (42, 123)) / 2)
    best = max(range(6), key=lambda trial: (by_hand[trial], -trial))
    assert column(session, Ref("tuned", "best")) == [pytest.approx(by_hand[best])]
    assert column(session, Ref("tuned", "winner")) == [best]
    assert column(session, Ref("tuned", "lr")) == [hunt.asked[best][0].values[0]]
    assert column(session, Ref("tuned", "steps_spent")) == [6 * 2 * 10]
    fresh = [accuracy({"params": {"lr": hunt.asked[best][0].values[0], "length": "8 epochs"}, "seed": seed})
             for seed in (900001, 900002)]  # fmt: skip
    assert column(session, Ref("confirmed", "accuracy")) == pytest.approx(fresh)


def test_two_searches_with_one_winner_share_the_confirmation(tmp_path):
    grid = "lr: {choice: [0.5, 0.01]}"
    text = f"""study: s
stages:
  a: {{search: grid, trial: {{{BODY.replace("lr: {log_uniform: [1e-4, 1]}", grid)}}}, maximise: accuracy, pool: seed}}
  b: {{search: random, trial: {{{BODY.replace("lr: {log_uniform: [1e-4, 1]}", grid)}}}, minimise: loss, pool: seed, trials: 9}}
  first: {{winner_of: a}}
  second: {{winner_of: b}}
  third: {{train: supervised, net: mlp, data: digits, for: 8 epochs, lr: $b.lr}}
"""
    session = ran(write(tmp_path, text), tmp_path / "store")
    keys = {
        stage: [n.key for n in session.plan.nodes if n.instance.stage == stage]
        for stage in ("first", "second", "third")
    }
    assert keys["first"] == keys["second"] == keys["third"]
    trial = next(nodes for ask, nodes in session.plan.hunts[0].asked if ask.trial == 1)
    assert keys["first"] == [node.key for node in trial], "the winner on the same seeds is the trial itself"


def test_one_search_per_seed_without_pool(tmp_path):
    text = ONE.replace(", pool: seed", "").replace(", seeds: {fresh: 2}", ", for: 3 epochs")
    session = ran(write(tmp_path, text), tmp_path / "store")
    assert [hunt.instance.seed for hunt in session.plan.hunts] == [42, 123]
    values = column(session, Ref("tuned", "lr"))
    assert values[0] != values[1], "each seed draws its own trials"
    confirmed = [node.spec["params"]["lr"] for node in session.plan.nodes if node.instance.stage == "confirmed"]
    assert confirmed == values
    assert {node.spec["params"]["length"] for node in session.plan.nodes if node.owner == "confirmed"} == {"3 epochs"}


def test_a_level_is_fixed_for_the_winner_and_free_for_the_stage(tmp_path):
    text = """study: s
factors:
  group: {small: {mlp: {widths: [8]}}, large: {mlp: {widths: [32]}}}
  arm: {a: {net: {mlp: {widths: [9]}}, group: small}, b: {net: {mlp: {widths: [33]}}, group: large}}
  data: [digits, {gaussian_blobs: {n: 200}}]
seeds: [42]
stages:
  tuned: {search: random, trial: {train: supervised, net: $group, data: $data, for: 8 epochs, lr: {uniform: [1e-3, 1]}}, maximise: accuracy, trials: 4, pool: seed}
  model: {winner_of: tuned@group=$arm.group, net: $arm.net, for: 9 epochs}
  plain: {winner_of: tuned@group=large, for: 5 epochs}
"""
    session = ran(write(tmp_path, text), tmp_path / "store")
    assert len(session.plan.hunts) == 4
    winners = {tuple(h.instance.cell.values()): h.winner[0] for h in session.plan.hunts}
    rows = {tuple(n.instance.cell.values()): n.spec for n in session.plan.nodes if n.instance.stage == "model"}
    assert set(rows) == {(arm, data) for arm in "ab" for data in ("digits", "gaussian_blobs")}
    for (arm, data), spec in rows.items():
        assert spec["params"]["lr"] == winners[({"a": "small", "b": "large"}[arm], data)]
        assert spec["net"]["params"]["widths"] == ([9] if arm == "a" else [33])
    plain = [n for n in session.plan.nodes if n.instance.stage == "plain"]
    assert [n.instance.cell for n in plain] == [{"data": "digits"}, {"data": "gaussian_blobs"}]
    assert all(n.spec["net"]["params"]["widths"] == [32] for n in plain)


def test_conditional_choices_reach_the_trial_and_the_winner(tmp_path):
    text = """study: s
seeds: [42]
stages:
  tuned:
    search: random
    trial: {train: supervised, net: mlp, data: digits, for: 8 epochs, optimiser: {choice: [{sgd: {momentum: {uniform: [0.8, 0.99]}}}, adamw]}, batch: {int_log_uniform: [16, 64]}}
    maximise: accuracy
    trials: 12
    pool: seed
  again: {winner_of: tuned}
"""
    session = ran(write(tmp_path, text), tmp_path / "store")
    seen = set()
    for ask, nodes in session.plan.hunts[0].asked:
        form = nodes[0].spec["params"].get("optimiser", {"leaf": "sgd", "params": {}})
        seen.add(form["leaf"])
        if form["leaf"] == "sgd":
            assert form["params"]["momentum"] == ask.values[1]
        assert nodes[0].spec["params"]["batch"] == ask.values[2]
    assert seen == {"sgd", "adamw"}


@pytest.mark.parametrize(
    "leaf", ["tpe", "{halving: {minimum: 1 epochs}}", "{asha: {generation: 4}}", "{gp: {startup: 3}}"]
)
def test_every_search_ends_and_a_rung_is_a_shorter_training(tmp_path, leaf):
    text = ONE.replace("search: random", f"search: {leaf}").replace("for: 8 epochs", "for: 9 epochs")
    session = ran(write(tmp_path, text), tmp_path / "store")
    hunt = session.plan.hunts[0]
    lengths = {(ask.rung, nodes[0].spec["params"]["length"]) for ask, nodes in hunt.asked}
    expected = {"t": {(0, "2 epochs"), (1, "9 epochs")}, "g": {(0, "9 epochs")}}
    full = {(0, "1 epochs"), (1, "3 epochs"), (2, "9 epochs")}
    assert lengths == expected.get(leaf.strip("{")[0], full)
    assert session.complete
    record = session.store.read(next(n.key for n in session.plan.nodes if n.instance.stage == "tuned"))
    values = record.values
    assert values["trials"] == values["done"] + values["pruned"] + values["failed"] == 6
    assert len(record.arrays("trials.npz")["trial"]) == len(hunt.asked)


# --- thresholds ----------------------------------------------------------------------------------------------

EDGE = """study: s
stages:
  capacity: {search: threshold, trial: {train: supervised, net: mlp, data: digits, for: 8 epochs, view: {n: {int_log_uniform: [8, 1000]}, labels: random}, lr: {choice: [0.01, 0.03]}}, find: view.n, success: train_accuracy >= 100%, level: 50%, tolerance: 1%, pool: seed}
  again: {winner_of: capacity, seeds: [42]}
"""


def test_a_threshold_is_the_largest_size_that_enough_seeds_reach(tmp_path):
    session = ran(write(tmp_path, EDGE), tmp_path / "store")
    low, high = column(session, Ref("capacity", "low"))[0], column(session, Ref("capacity", "high"))[0]
    assert low <= 110 < high, "two of three seeds memorise 110"
    assert high <= low * 1.01 or high == low + 1
    assert column(session, Ref("capacity", "n")) == [low]
    assert column(session, Ref("capacity", "bits")) == [pytest.approx(low * math.log2(10))]
    assert column(session, Ref("capacity", "censored")) == [0]
    assert column(session, Ref("capacity", "lr")) == [0.03]
    again = [node.spec for node in session.plan.nodes if node.instance.stage == "again"]
    assert [(spec["data"]["view"]["n"], spec["params"]["lr"]) for spec in again] == [(low, 0.03)]


def test_thresholds_by_seed_share_the_trials_of_the_pooled_one(tmp_path):
    text = EDGE.replace("  again", "  each: {like: capacity, pool: none, level: 100%}\n  again")
    session = ran(write(tmp_path, text), tmp_path / "store")
    lows = column(session, Ref("each", "low"))
    for low, most in zip(lows, (100, 110, 120), strict=True):
        assert low <= most < low * 1.01 + 1
    pooled = {node.key for node in session.plan.nodes if node.instance.stage == "capacity.trial"}
    alone = {node.key for node in session.plan.nodes if node.instance.stage == "each.trial"}
    assert len(pooled & alone) > len(alone) / 2


def test_a_threshold_beyond_the_range_is_a_lower_bound_and_below_it_no_number(tmp_path):
    above = ran(write(tmp_path, EDGE.replace("[8, 1000]", "[8, 64]")), tmp_path / "store")
    assert column(above, Ref("capacity", "low")) == [64]
    assert column(above, Ref("capacity", "censored")) == [1]
    assert column(above, Ref("capacity", "bits")) == [None]
    below = ran(write(tmp_path, EDGE.replace("[8, 1000]", "[500, 1000]"), "t.yaml"), tmp_path / "store")
    readings = Readings(below.plan, below.store)
    assert {readings.state(n) for n in below.plan.nodes if not n.inner} == {"refused"}


# --- failures ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("batch", [13, 7])
def test_a_trial_that_crashes_or_diverges_loses_and_is_counted(tmp_path, batch):
    text = f"""study: s
seeds: [42]
stages:
  tuned: {{search: grid, trial: {{train: supervised, net: mlp, data: digits, batch: {{choice: [{batch}, 32]}}}}, maximise: accuracy, pool: seed}}
  final: {{winner_of: tuned, seeds: {{fresh: 1}}}}
"""
    session = ran(write(tmp_path, text), tmp_path / "store")
    assert column(session, Ref("tuned", "failed")) == [1]
    assert column(session, Ref("tuned", "done")) == [1]
    assert [n.spec["params"]["batch"] for n in session.plan.nodes if n.instance.stage == "final"] == [32]


def test_a_search_without_any_result_is_refused_with_its_reason(tmp_path, capsys):
    text = ONE.replace("lr: {log_uniform: [1e-4, 1]}", "batch: {choice: [7, 13]}")
    session = ran(write(tmp_path, text), tmp_path / "store")
    readings = Readings(session.plan, session.store)
    states = {node.owner: readings.state(node) for node in session.plan.nodes if not node.inner}
    assert states == {"tuned": "refused", "confirmed": "refused"}
    assert "none of the 6 trials" in next(readings.why(n) for n in session.plan.nodes if n.owner == "confirmed")
    assert session.complete
    assert main(["status", str(tmp_path / "s.yaml"), "--store", str(tmp_path / "store")]) == 0
    assert "refused" in capsys.readouterr().out


def test_a_seed_that_is_missing_makes_its_trial_lose():
    from crucis.study.trials import score

    assert score("maximise", [0.9, None]) is None
    assert score("minimise", [0.5, 0.25]) == -0.375
    assert score("maximise", []) is None


# --- interruptions -------------------------------------------------------------------------------------------


def test_a_search_in_pieces_ends_with_the_same_trials(tmp_path):
    text = ONE.replace("search: random", "search: {tpe: {generation: 2, startup: 2}}")
    path = write(tmp_path, text)
    whole = ran(path, tmp_path / "whole")
    for rounds in range(1, 8):
        ran(path, tmp_path / "pieces", rounds=rounds)
    pieces = ran(path, tmp_path / "pieces")
    assert [n.key for n in pieces.plan.nodes] == [n.key for n in whole.plan.nodes]
    assert pieces.store.all_keys() == whole.store.all_keys()
    for key in whole.store.all_keys():
        assert pieces.store.read(key).body["content"] == whole.store.read(key).body["content"]


def test_the_plan_counts_and_is_light(tmp_path, capsys):
    path = write(tmp_path, ONE)
    assert main(["plan", str(path), "--store", str(tmp_path / "store"), "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["steps"], found["missing"]) == (15, 15)
    assert found["searches"][0]["trials"] == 6
    ran(path, tmp_path / "store")
    code = (
        "import sys, contextlib, io; from crucis.cli import main\n"
        f"main(['plan', {str(path)!r}, '--store', {str(tmp_path / 'store')!r}])\n"
        "print(sorted({'torch', 'optuna', 'pandas', 'matplotlib'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.splitlines()[0] == "s: 17 steps, 17 cached, 0 to run", done.stdout  # 12 trainings, 2 proposals
    assert done.stdout.splitlines()[-1] == "[]"
    assert "6 trials, 6 done" in done.stdout


# --- tables for attributions -----------------------------------------------------------------------------------


def test_the_table_of_a_search_is_its_complete_trials_on_their_own_scales(tmp_path):
    text = ONE.replace("lr:", "batch: {choice: [32, 13, 64]}, lr:").replace("trials: 6", "trials: 12")
    session, whole = ran(write(tmp_path, text), tmp_path / "store"), Analysis("what", "attribute", ())
    tasks = search_tasks(Readings(session.plan, session.store), Ref("tuned"), whole)
    assert [task.axes for task in tasks] == [{"parameter": "batch"}, {"parameter": "lr"}]
    hunt = session.plan.hunts[0]
    kept = [ask.values for ask, _ in hunt.asked if ask.values[0] != 1]  # a batch of 13 crashes here
    assert 0 < len(kept) < 12
    assert (tasks[1].n, tasks[1].n_planned, tasks[1].table.target) == (len(kept), 12, 1)
    expected = [(math.log10(values[1]) + 4) / 4 for values in kept]
    assert tasks[1].table.shares[:, 1].tolist() == pytest.approx(expected)
    assert tasks[0].table.shares[:, 0].tolist() == [values[0] for values in kept]
    assert tasks[0].table.choices == (3, 0)
    unfinished = open_session(write(tmp_path, text, "u.yaml"), store=tmp_path / "empty")
    waiting = search_tasks(Readings(unfinished.plan, unfinished.store), Ref("tuned"), whole)
    assert [task.refused.code for task in waiting] == ["input_refused", "input_refused"]


def test_a_search_is_taken_apart_by_an_analysis(tmp_path):
    text = ONE.replace("trials: 6", "trials: 24") + (
        "analysis:\n  what: {attribute: [fanova, sobol], of: tuned}\n"
        "claims:\n  rate: what.importance@method=fanova@parameter=lr > 0.9\n"
    )
    session = ran(write(tmp_path, text), tmp_path / "store")
    found = conclude(session)
    rows = {(row.axes["method"], row.axes["parameter"]): row for row in found.results["what"].rows}
    assert set(rows) == {("fanova", "lr"), ("sobol", "lr")}
    assert rows["fanova", "lr"].values["importance"] == pytest.approx(1.0)  # there is no other parameter
    assert rows["fanova", "lr"].values["n"] == 24
    assert found.verdicts["rate"].outcome == "supported"


@pytest.mark.parametrize(
    ("line", "path", "words"),
    [("{attribute: fanova, of: model.accuracy}", "what.of", "no search for the best trial"),
     ("{attribute: fanova, of: tuned, over: net}", "what.over", "Remove 'over'"),
     ("{attribute: [fanova, shapley], of: tuned}", "what.attribute", "Write two analyses"),
     ("{attribute: shapley, of: tuned.best}", "what", "Write over: FACTOR")],
)  # fmt: skip
def test_what_cannot_be_taken_apart(tmp_path, line, path, words):
    text = ONE.rstrip() + f"\n  model: {{train: supervised, net: mlp, data: digits}}\nanalysis:\n  what: {line}\n"
    _, faults = check_study(write(tmp_path, text))
    assert [fault.path for fault in faults] == [f"analysis.{path}"], [str(fault) for fault in faults]
    assert words in faults[0].text


# --- what is refused -----------------------------------------------------------------------------------------

BROKEN = {
    "30 test column": (ONE.replace("for: 8 epochs", "split: test"), "stages.tuned.maximise",
                       "'accuracy' of split test. Nothing may be chosen on the test split; use validation."),
    "test metric": (ONE.replace("maximise: accuracy", "maximise: test_accuracy"), "stages.tuned.maximise", "split test"),
    "no column": (ONE.replace("maximise: accuracy", "maximise: acuracy"), "stages.tuned.maximise", "Did you mean 'accuracy'?"),
    "time": (ONE.replace("maximise: accuracy", "minimise: seconds"), "stages.tuned.minimise", "circumstance"),
    "curve": (ONE.replace("maximise: accuracy", "maximise: curve"), "stages.tuned.maximise", "varies over step"),
    "training split": (ONE.replace("maximise: accuracy", "maximise: train_accuracy"), "stages.tuned.maximise", "validation"),
    "no direction": (ONE.replace(", maximise: accuracy", ""), "stages.tuned", "what is better"),
    "no trial": ("study: s\nstages: {t: {search: tpe, maximise: loss, trials: 3}}\n", "stages.t", "nothing is tried"),
    "no distribution": (ONE.replace("{log_uniform: [1e-4, 1]}", "0.1"), "stages.tuned.trial", "no distribution"),
    "no trials": (ONE.replace(", trials: 6", ""), "stages.tuned", "'random' needs 'trials'"),
    "wrong order": (ONE.replace("[1e-4, 1]", "[1, 1e-4]"), "stages.tuned.trial.lr", "smallest value is written first"),
    "log of zero": (ONE.replace("[1e-4, 1]", "[0, 1]"), "stages.tuned.trial.lr", "begins above 0"),
    "outside the range": (ONE.replace("[1e-4, 1]", "[1e-4, 1000]"), "stages.tuned.trial.lr", "1000.0 is outside (0, 100]"),
    "one choice": (ONE.replace("{log_uniform: [1e-4, 1]}", "{choice: [0.1]}"), "stages.tuned.trial.lr", "two or more"),
    "wrong choice": (ONE.replace("lr: {log_uniform: [1e-4, 1]}", "optimiser: {choice: [sgd, adamm]}"),
                     "stages.tuned.trial.optimiser", "Did you mean 'adam'"),
    "grid of an interval": (ONE.replace("search: random", "search: grid").replace(", trials: 6", ""),
                            "stages.tuned.trial.lr", "points: 5"),
    "unknown parameter": (ONE.replace("trials: 6", "trials: 6, reduction: 3"), "stages.tuned.reduction",
                          "'random' has no parameter 'reduction'"),
    "51 distribution outside": (ONE + "  m: {train: supervised, net: mlp, data: digits, lr: {log_uniform: [1e-3, 1]}}\n",
                                "stages.m.lr", "{log_uniform: ...} stands for a search"),
    "57 several winners": ("study: s\nfactors: {group: [mlp, convnet]}\n" + ONE.replace("study: s\n", "").replace(
        "net: mlp", "net: $group").replace("{winner_of: tuned", "{winner_of: tuned, net: mlp"),
        "stages.confirmed.winner_of", "'tuned' has a winner per group (2). Choose: tuned@group=convnet."),
    "not a search": (ONE + "  x: {winner_of: confirmed}\n", "stages.x.winner_of", "'confirmed' is no search. Searches: tuned."),
    "misspelled search": (ONE.replace("winner_of: tuned", "winner_of: tunde"), "stages.confirmed.winner_of", "Did you mean 'tuned'?"),
    "verb beside winner_of": (ONE.replace("{winner_of: tuned", "{winner_of: tuned, train: supervised"),
                              "stages.confirmed.train", "stands instead of a verb"),
    "no such output": (ONE + "  m: {train: supervised, net: mlp, data: digits, lr: $tuned.momentum}\n", "stages.m.lr",
                       "'tuned' chooses lr."),
    "output of a training": (ONE + "  m: {train: supervised, net: mlp, data: digits, lr: $confirmed.lr}\n", "stages.m.lr",
                             "only a search has outputs"),
    "output of the wrong type": (ONE + "  m: {train: supervised, net: mlp, data: digits, batch: $tuned.lr}\n",
                                 "stages.m.batch", "expected an integer"),
    "seeds twice": (ONE.replace(", pool: seed", ""), "stages.confirmed.seeds", "pool: seed in 'tuned'"),
    "a model of a search": (ONE + "  m: {measure: size, of: tuned}\n", "stages.m.of", "leaves values and no model"),
    "nested verb": (ONE.replace("train: supervised", "measure: size"), "stages.tuned.trial", "a trial is a training"),
    "seeds inside": (ONE.replace("for: 8 epochs", "seeds: 3"), "stages.tuned.trial.seeds", "stands at the search itself"),
    "find of nothing": (EDGE.replace("find: view.n", "find: view.m"), "stages.capacity.find", "no distribution of whole numbers"),
    "no criterion": (EDGE.replace(">= 100%", ""), "stages.capacity.success", "such as train_accuracy >= 100%"),
    "open choice": (EDGE.replace("{choice: [0.01, 0.03]}", "{uniform: [0.01, 0.03]}"), "stages.capacity.trial.lr", "points: 5"),
    "direction of a threshold": (EDGE.replace("level:", "maximise: loss, level:"), "stages.capacity.maximise", "Remove it"),
    "no such search": (ONE.replace("search: random", "search: hyperband"), "stages.tuned.search", "no search 'hyperband'"),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_refused(name):
    text, path, words = BROKEN[name]
    study, faults = study_from_text(text, Path(), file="s.yaml")
    assert study is None
    assert [fault.path for fault in faults if words in fault.text] == [path], [str(fault) for fault in faults]
    assert len(faults) == 1 or name in ("30 test column",), [str(fault) for fault in faults]


def test_the_resolved_text_keeps_the_search():
    study, _ = study_from_text(ONE, Path())
    from crucis.study.dump import dump
    from crucis.study.registry import registered_text

    again, faults = study_from_text(dump(study.resolved), Path())
    assert faults == []
    assert again.stages == study.stages
    other, _ = study_from_text(ONE.replace("trials: 6", "trials: 7"), Path())
    assert registered_text(other) != registered_text(study)


def worked(name, *swaps):
    """A worked study without the parts of later versions, on data that needs no file."""
    text = (Path(__file__).parent / "worked" / f"{name}.yaml").read_text(encoding="utf-8")
    text = text[: text.index("\nanalysis:")] + "\n"
    for old, new in swaps:
        assert old in text
        text = text.replace(old, new)
    study, faults = study_from_text(text, Path())
    assert [str(fault) for fault in faults if not fault.note] == []
    return make_plan(study)


def test_the_worked_search_with_confirmation_is_planned():
    recipe = ", recipe: wrn-28-10-cifar, because: the recipe of the family"
    plan = worked("tune-wrn", ("fashion_mnist", "digits"), (recipe, ""))
    assert [hunt.planned for hunt in plan.hunts] == [60]
    counts = {stage: sum(node.instance.stage == stage for node in plan.nodes) for stage in plan.study.stages}
    assert counts == {"tuned": 1, "confirmed": 5, "default": 5}
    assert {node.waits for node in plan.nodes if node.owner == "confirmed"} == {"tuned"}
    assert [step.label for step in plan.steps()] == [f"default seed {900000 + i}" for i in range(1, 6)]


def test_the_worked_method_searches_once_per_group_and_data_set():
    stages = ("  cost:", "  # cost:"), ("  shift:", "  # shift:"), ("  review:", "  # review:")
    arms = "{generate: factorial, of: ./gated_mixer.py, baseline: ./baseline.py}"
    plan = worked(
        "gated-mixer", ("{baseline: ./baseline.py, method: ./gated_mixer.py}", "{baseline: mlp, method: convnet}"),
        (arms, "{full: {net: convnet, group: method}, baseline: {net: mlp, group: baseline}}"),
        ("[cifar10, cifar100, flowers17]", "[digits, {shapes: {n: 200}}]"), *stages,
    )  # fmt: skip
    assert [hunt.planned for hunt in plan.hunts] == [40] * 4
    assert sum(hunt.unknown for hunt in plan.hunts) == 4 * 40 * 5
    models = [node for node in plan.nodes if node.instance.stage == "model"]
    assert len(models) == 2 * 2 * 5
    assert {node.waits for node in models} == {"tuned"}
