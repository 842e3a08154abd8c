"""Checkpoints: kept because they are referred to, measured, read as columns, and made again by a replay."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from lab import clean_error

from crucis.nets.weights import load_weights

STUDY = """\
study: marks
seeds: 1
factors:
  net:
    small: {mlp: {widths: [8]}}
stages:
  model: {train: supervised, net: $net, data: digits, batch: 256, for: 4 epochs, lr: 0.05, select: accuracy}
  half: {measure: classification, of: model@at=50%}
  start: {measure: classification, of: model@at=0%}
  best: {measure: classification, of: model@at=best}
  last: {measure: classification, of: model}
analysis:
  middle: {describe: summary, of: model.accuracy@at=50%}
"""


MARKED = {"last": "model", "half": "model@at=50%"}


def only(bodies):
    (found,) = bodies.values()
    return found


def test_checkpoints_are_records_that_can_be_measured(lab):
    lab.write(STUDY)
    answer = lab("run")
    assert answer.code == 0, answer.all
    model = only(lab.of_kind("train/supervised"))
    marks = {body["spec"]["at"]: body for body in lab.of_kind("at").values()}
    half = model["values"]["steps"] // 2
    assert set(marks) == {half, "best"}
    assert all(body["spec"]["of"] == model["key"] for body in marks.values())
    assert marks[half]["values"]["step"] == half

    table = lab("table", "--format", "json")
    (row,) = json.loads(table.out)
    assert row["half.accuracy"] == marks[half]["values"]["accuracy"]
    assert row["last.accuracy"] == row["model.accuracy"]
    assert row["best.accuracy"] == row["model.best_accuracy"] == marks["best"]["values"]["accuracy"]
    assert row["start.loss"] == pytest.approx(math.log(10), rel=0.25)
    assert "marks: 5 steps, 5 cached" in lab("plan").out

    weights = {
        name: load_weights(lab.store / "steps" / body["key"][:2] / body["key"] / "model.safetensors")
        for name, body in {"half": marks[half], "last": model}.items()
    }
    assert any(not np.array_equal(weights["half"][n], weights["last"][n]) for n in weights["last"])


def test_a_checkpoint_that_was_not_kept_is_made_by_a_replay(lab):
    head = STUDY.split("  half:")[0]
    lab.write(head + "  last: {measure: classification, of: model}\n")
    assert lab("run").code == 0
    assert not lab.of_kind("at")
    files, contents = lab.touched(), lab.contents()

    lab.write(
        head + "  last: {measure: classification, of: model}\n  half: {measure: classification, of: model@at=50%}\n"
    )
    plan = lab("plan")
    assert "replay" in plan.out, plan.out
    answer = lab("run")
    assert answer.code == 0, answer.all
    assert len(lab.of_kind("at")) == 1
    assert files.items() <= lab.touched().items()
    assert contents.items() <= lab.contents().items()

    other = lab("run", "--store", str(lab.folder / "fresh"))  # both asked for from the beginning
    assert other.code == 0
    assert lab.contents(lab.folder / "fresh") == lab.contents()


def test_an_analysis_of_a_new_checkpoint_replays_too(lab):
    head = STUDY.split("  half:")[0]
    lab.write(head)
    assert lab("run").code == 0
    lab.write(head + "analysis:\n  middle: {describe: summary, of: model.accuracy@at=50%}\n")
    answer = lab("run")
    assert answer.code == 0, answer.all
    body = only(lab.of_kind("at"))
    assert f"{body['values']['accuracy']:.3f}"[:4] in lab.page("marks")
    assert "not kept" not in lab.page("marks")


@pytest.mark.parametrize(
    ("at", "words"),
    [("9epochs", "has"), ("best", "select"), ("120%", "100"), ("soon", "at=soon")],
)
def test_a_checkpoint_that_cannot_be_is_refused_before_the_run(lab, at, words):
    text = STUDY.split("  half:")[0] + f"  half: {{measure: classification, of: model@at={at}}}\n"
    lab.write(text.replace(", select: accuracy", "") if at == "best" else text)
    answer = lab("plan")
    assert answer.code == 2, answer.all
    assert words in answer.err
    assert "Traceback" not in answer.err


@pytest.mark.parametrize("column", ["accuracy@at=0%", "train_accuracy@at=50%"])
def test_a_column_that_no_checkpoint_holds_is_refused_before_the_run(lab, column):
    lab.write(STUDY.split("  half:")[0] + f"analysis:\n  odd: {{describe: summary, of: model.{column}}}\n")
    clean_error(lab("plan"), f"model.{column}", "measure: classification")


def test_a_checkpoint_beyond_an_early_end_is_said_so(lab):
    text = STUDY.split("  half:")[0].replace("4 epochs, lr: 0.05", "20 epochs, lr: 0.2, patience: 1")
    lab.write(text + "  late: {measure: classification, of: model@at=99%}\n")
    answer = lab("run")
    assert answer.code == 3, answer.all
    assert "left no checkpoint at step" in answer.err
    assert "left no checkpoint at step" in lab("status").out

    lab.write(text + "analysis:\n  odd: {describe: summary, of: model.loss@at=99%}\n", "column.yaml")
    for _ in range(2):  # it is no reason to train again and again
        answer = lab("run", study="column.yaml")
        assert answer.code == 0, answer.all
        assert "1 cached, 0 run" in answer.out
    assert "0 missing" not in lab("plan", study="column.yaml").out
