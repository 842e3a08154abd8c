"""The words of the switch: one clear line when they are off, and a study that is not disturbed when a tracker fails."""

from __future__ import annotations

import importlib.util
import json

import pytest
from lab import Lab, clean_error

from crucis.trackers import targets


@pytest.mark.parametrize(
    "word, said",
    [
        ("tensorbord", "Did you mean 'tensorboard'?"),
        ("neptune", "There are: clearml, mlflow, tensorboard, wandb."),
        ("mlflow=", "nothing stands after '='"),
        ("wandb=https://wandb.example", "wandb writes to a folder, not to an address"),
    ],
)
def test_bad_words_are_one_line(tracked, word, said):
    for command, switch in (("run", "--track"), ("track", "--to")):
        answer = tracked(command, switch, word)
        clean_error(answer, said)
        assert f"{switch} {word}" in answer.err and said in answer.err and len(answer.err.splitlines()) == 1


def test_no_tracker_named(tracked):
    clean_error(tracked("track"), "--to")


def test_a_missing_library_names_its_extra(tracked, monkeypatch):
    there = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "wandb" else there(name))
    answer = tracked("run", "--track", "wandb")
    clean_error(answer)
    assert "needs the package wandb, which is not installed: pip install 'crucis[wandb]'" in answer.err


def test_the_extras_hold_what_each_tracker_needs():
    import tomllib
    from pathlib import Path

    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))
    extras = project["project"]["optional-dependencies"]
    for name in targets.names():
        given = {item.partition(">")[0].partition("[")[0].removesuffix("-skinny") for item in extras[name]}
        assert given == set(targets.literal(name, "NEEDS"))
        assert name in extras["trackers"][0]


def test_the_setting_names_trackers_too(tracked, monkeypatch):
    monkeypatch.setenv("CRUCIS_TRACK", "tensorbord mlflow")
    answer = tracked("run")
    clean_error(answer)
    assert "CRUCIS_TRACK tensorbord: no tracker" in answer.err


def test_a_tracker_that_fails_disturbs_nothing(tmp_path):
    """Its folder cannot be made: the study ends as without it, with one warning and the command to go on."""
    pytest.importorskip("tensorboard", reason="crucis[tensorboard] is not installed")
    lab = Lab(tmp_path)
    lab.study(seeds=2)
    (tmp_path / "file").write_text("in the way")
    answer = lab("run", "--track", f"tensorboard={tmp_path}/file/runs")
    assert answer.code == 0 and "Traceback" not in answer.all
    assert "warning: tensorboard was not written to the end" in answer.err and "NotADirectoryError" in answer.err
    assert f"crucis track {tmp_path}/study.yaml --to tensorboard={tmp_path}/file/runs" in answer.err
    assert len(lab.bodies()) == 8 and "wide" in lab.page()
    (tmp_path / "file").unlink()
    later = lab("track", "--to", f"tensorboard={tmp_path}/file/runs")
    assert later.code == 0 and "tensorboard: 8 runs of first" in later.out
    marks = json.loads((tmp_path / "file" / "runs" / "crucis.json").read_text())
    assert len(marks) == 9 and all(entry["mark"] for entry in marks.values())


def test_targets_without_a_place_lie_beside_the_study(tmp_path):
    pytest.importorskip("tensorboard", reason="crucis[tensorboard] is not installed")
    (target,) = targets.parse(["tensorboard", "tensorboard"], tmp_path, "--track")
    assert target.place == str(tmp_path / "tracking" / "tensorboard")
    assert targets.afterwards(target) == f"tensorboard --logdir {target.place}"
