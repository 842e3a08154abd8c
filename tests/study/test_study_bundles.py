"""What a bundle gathers and what it hides; what rests on what."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from crucis.canon import sha256
from crucis.engine.store import Store
from crucis.errors import CrucisError
from crucis.study.bundles import lock_text, source_digest
from crucis.study.codestate import described
from crucis.study.gathering import NotWhole, gather, main_file, runs_commands
from crucis.study.labels import Labels
from crucis.study.load import load_study
from crucis.study.plan import make_plan
from crucis.study.provenance import resting_on, stages_behind

NET = """\
from torch import nn

import {name}


def build(input, classes, *, width: int = 4):
    return nn.Linear(1, 1)
"""
STUDY = """\
study: own
seeds: 2
factors: {net: [mlp, {./net.py: {width: 8}}]}
stages:
  model: {train: supervised, net: $net, data: digits, for: 1 epochs}
  scores: {measure: classification, of: model}
  size: {measure: size, of: model}
derive:
  ratio: scores.accuracy / size.parameters
analysis:
  which: {compare: paired_t, of: model.accuracy, between: net, against: mlp}
  how: {describe: summary, of: ratio}
claims:
  better: which.effect@net=net > 0
"""


@pytest.fixture
def study(tmp_path):
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib/__init__.py").write_text("")
    (tmp_path / "lib/more.py").write_text("X = 1\n")
    (tmp_path / "unused.py").write_text("")
    (tmp_path / "net.py").write_text(NET.format(name="lib.more"))
    (tmp_path / "own.yaml").write_text(STUDY)
    return load_study(tmp_path / "own.yaml")


def test_all_that_the_study_names_and_nothing_else(study):
    assert set(gather(study)) == {"own.yaml", "net.py", "lib/more.py", "lib/__init__.py"}
    assert main_file(study) == study.folder / "own.yaml"


def test_texts_that_it_starts_from_and_files_that_they_name(tmp_path, study):
    (tmp_path / "child.yaml").write_text("study: child\nfrom: ./own.yaml\nset: {seeds: 3}\n")
    (tmp_path / "card.md").write_text("card")
    child = load_study(tmp_path / "child.yaml")
    assert set(gather(child)) == {"child.yaml", "own.yaml", "net.py", "lib/more.py", "lib/__init__.py"}
    named = replace(child, resolved={**child.resolved, "question": "./card.md"})
    assert "card.md" in gather(named)


def test_a_protocol_by_its_name():
    study = load_study("persist")
    assert set(gather(study)) == {"persist.yaml"} and main_file(study).is_file()


def test_files_that_leave_the_folder(tmp_path, study):
    inner = tmp_path / "inner"
    inner.mkdir()
    (inner / "own.yaml").write_text(STUDY.replace("./net.py", "../net.py"))
    with pytest.raises(NotWhole, match=r"'\.\./net\.py', which lies outside its folder"):
        gather(load_study(inner / "own.yaml"))
    (inner / "net.py").write_text("DEPENDS = ['../unused.py']\n" + NET.format(name="math"))
    (inner / "own.yaml").write_text(STUDY)
    with pytest.raises(NotWhole, match=r"'unused\.py', which lies outside the study's folder"):
        gather(load_study(inner / "own.yaml"))
    (inner / "net.py").unlink()
    (inner / "net.py").symlink_to(tmp_path / "net.py")
    with pytest.raises(NotWhole, match="outside"):
        gather(load_study(inner / "own.yaml"))


def test_commands_are_seen(tmp_path):
    path = tmp_path / "s.yaml"
    for text, runs in (
        ("study: s\ngates: {g: {gate: method, check: [pytest -q]}}\n", True),
        ("study: s\nfrom: x\nset: {gates.g.check: [pytest -q]}\n", True),
        ("study: s\nquestion: check\n", False),
        ("not: [yaml", False),
    ):
        path.write_text(text)
        assert runs_commands(path) is runs, text


# -- labels -----------------------------------------------------------------------------------------------------------


def test_hosts_users_and_places_become_labels(tmp_path):
    places = {tmp_path / "study/.crucis": ".crucis", tmp_path / "study": "", Path("/home/ada"): "HOME"}
    labels = Labels(["zeus-12", "ares-07"], ["ada", ""], places)
    said = {
        "text": f"{tmp_path}/study/.crucis/tmp/x and {tmp_path}/study/net.py in {tmp_path}/study on zeus-12",
        "list": ["/home/ada/.cache/x", "/home/adam/x", "/srv/lab/data.npz", "https://example.org/a/b", "8/255", 7],
    }
    assert labels.value(said) == {
        "text": ".crucis/tmp/x and net.py in . on host-002",
        "list": ["HOME/.cache/x", "PATH/x", "PATH/data.npz", "https://example.org/a/b", "8/255", 7],
    }
    assert labels.users == {"ada": "user-001"}
    assert labels.value(labels.value(said)) == labels.value(said)
    again = Labels(labels.hosts.values(), labels.users.values(), places)
    assert again.hosts == {name: name for name in labels.hosts.values()}


def test_a_home_at_the_root_hides_nothing():
    assert Labels([], [], {Path("/"): "HOME"}).known("a / b /c") == "a / b /c"


def test_lock_files():
    text = lock_text({"python": "3.11.7", "platform": "x", "packages": {
        "torch": "2.13.0+cpu", "numpy": "2.0", "crucis": "0.1.0",
    }})  # fmt: skip
    assert text.splitlines() == [
        "# Python 3.11.7, x", "# crucis==0.1.0", "--extra-index-url https://download.pytorch.org/whl/cpu",
        "numpy==2.0", "torch==2.13.0+cpu",
    ]  # fmt: skip
    assert len(source_digest()) == 64 and source_digest() == source_digest()


# -- what git says ----------------------------------------------------------------------------------------------------


def test_the_commit_and_what_differs_from_it(tmp_path, monkeypatch):
    folder, store = tmp_path / "lab", Store(tmp_path / "store")
    folder.mkdir()
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    assert "git" not in described(folder, store)
    (folder / "s.yaml").write_text("study: s\n")
    said = ["-c", "user.name=a", "-c", "user.email=a@b"]
    for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "first"]):
        subprocess.run(["git", *said, *words], cwd=folder, check=True, capture_output=True)
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=folder, check=True, capture_output=True, text=True).stdout
    assert described(folder, store)["git"] == {"commit": head.strip(), "dirty": False}
    (folder / "s.yaml").write_text("study: t\n")
    found = described(folder, store)
    text = (store.path / "environments" / f"{store.environment(found)}.diff").read_bytes()
    assert b"-study: s" in text and b"+study: t" in text
    assert found["git"] == {"commit": head.strip(), "dirty": True, "diff": sha256(text)}


# -- what rests on what -----------------------------------------------------------------------------------------------


def test_stages_behind_each_entry(study):
    behind = {name: stages_behind(study, name) for name in ("better", "which", "how", "ratio", "model")}
    assert behind == {
        "better": ("model",), "which": ("model",), "how": ("scores", "size"), "ratio": ("scores", "size"),
        "model": ("model",),
    }  # fmt: skip
    with pytest.raises(CrucisError, match="Did you mean 'which'"):
        stages_behind(study, "whcih")


def test_what_is_computed_from_a_record_rests_on_it(study):
    plan = make_plan(study)
    model = next(node for node in plan.nodes if node.instance.stage == "model")
    found = resting_on(plan, {model.key})
    labels = {plan.by_key[key].instance.stage for key in found}
    assert labels == {"model", "scores", "size"} and len(found) == 3
    assert resting_on(plan, set()) == set()
    assert json.dumps(sorted(resting_on(plan, {"x"}))) == '["x"]'
