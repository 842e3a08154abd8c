"""A training that begins with the weights of another study's record."""

from __future__ import annotations

import json
import shutil
import zipfile

import pytest
from lab import Lab, clean_error, said

FIRST = """\
study: first
seeds: 1
stages:
  model: {train: supervised, net: {mlp: {widths: [8]}}, data: digits, batch: 256, for: 2 epochs}
"""
SECOND = """\
study: second
seeds: 2
stages:
  model:
    {{train: supervised, net: {{mlp: {{widths: [8]}}}}, data: digits, batch: 256, for: 1 epochs,
     initial: "{key}", initial_head: {head}}}
  before: {{measure: classification, of: model@at=0%}}
"""


def test_a_record_of_another_study_is_a_beginning(lab):
    lab.write(FIRST, "first.yaml")
    assert lab("run", study="first.yaml").code == 0
    (source,) = lab.of_kind("train/supervised")
    lab.write(SECOND.format(key=source[:12], head="keep"))
    answer = lab("run")
    assert answer.code == 0 and "3 run" in answer.out, answer.all  # two trainings, one measurement
    found = {key: body for key, body in lab.of_kind("train/supervised").items() if key != source}
    weights = lab.bodies()[source]["files"]["model.safetensors"]["sha256"]
    for body in found.values():
        assert body["spec"]["inputs"] == {"initial": source} and body["spec"]["depth"] == 1
        assert body["spec"]["params"]["initial"] == f"sha256:{weights}"
        assert body["notes"]["initial"]["fresh"] == [] and len(body["notes"]["initial"]["loaded"]) == 4
    known = lab.bodies()[source]["values"]["accuracy"]
    before = lab.of_kind("measure/classification").values()
    assert [body["values"]["accuracy"] for body in before] == [known] * len(before)  # at 0 % it is the record's network
    assert "3 cached, 0 run" in lab("run").out
    assert lab("verify").code == 0


def test_a_fresh_head_and_faults_in_words(lab):
    lab.write(FIRST, "first.yaml")
    lab("run", study="first.yaml")
    (source,) = lab.of_kind("train/supervised")
    text = SECOND.format(key=source, head="new")
    lab.write(text)
    answer = lab("plan")
    assert answer.code == 2 and "fresh head, which is no record" in answer.err
    lab.write(text[: text.index("  before")])
    assert lab("run").code == 0
    fresh = [
        body["notes"]["initial"]["fresh"] for key, body in lab.of_kind("train/supervised").items() if key != source
    ]
    assert fresh and all(len(names) == 2 for names in fresh)
    for key, says in (("0" * 64, "no record of this store begins with"), ("abc", "too short for a key")):
        lab.write(SECOND.format(key=key, head="keep"))
        answer = lab("plan")
        assert answer.code == 2 and says in answer.err, answer.all


@pytest.mark.parametrize("at", ["last", "checkpoint"])
def test_a_bundle_takes_along_what_a_training_began_with(lab, tmp_path, monkeypatch, at):
    """In an empty store everything is cached; more seeds begin with the same weights; without them it is refused."""
    early = "  early: {measure: classification, of: model@at=50%}\n" if at == "checkpoint" else ""
    lab.write(FIRST + early, "first.yaml")
    assert lab("run", study="first.yaml").code == 0
    kind = "at" if at == "checkpoint" else "train/supervised"
    (source,) = lab.of_kind(kind)
    lab.write(SECOND.format(key=source[:12], head="keep"))
    assert lab("run").code == 0
    archive = tmp_path / "second.zip"
    answer = lab("bundle", "-o", str(archive))
    assert answer.code == 0, answer.all
    with zipfile.ZipFile(archive) as whole:
        assert f"records/{source}/model.safetensors" in whole.namelist()

    monkeypatch.chdir(tmp_path)
    restored = said(["restore", str(archive), "there"])
    assert restored.code == 0, restored.all
    there = Lab(tmp_path / "there")
    assert there("verify").code == 0
    answer = there("run")
    assert answer.code == 0 and "3 cached, 0 run" in answer.out, answer.all
    assert there.keys() == lab.keys()
    assert there("run", "--set", "seeds=3").code == 0
    found = there.of_kind("train/supervised").values()
    assert sum(body["spec"]["inputs"] == {"initial": source} for body in found) == 3
    again = there("reproduce", "--workers", "1")
    assert again.code == 0 and "3 records recomputed, bitwise equal" in again.out, again.all
    assert said(["reproduce", str(archive), "--workers", "1"]).code == 0

    shutil.rmtree(there.store / "steps" / source[:2] / source)
    clean_error(there("run", "--set", "seeds=4", "--yes"), f"no record of this store begins with {source[:12]}")


def test_a_bundle_of_a_study_whose_beginning_is_not_there_is_refused(lab, tmp_path):
    lab.write(FIRST, "first.yaml")
    lab("run", study="first.yaml")
    (source,) = lab.of_kind("train/supervised")
    lab.write(SECOND.format(key=source[:12], head="keep"))
    assert lab("run").code == 0
    shutil.rmtree(lab.store / "steps" / source[:2] / source)
    clean_error(lab("bundle", "-o", str(tmp_path / "second.zip")), f"no record of this store begins with {source[:12]}")
    assert not (tmp_path / "second.zip").exists()
    assert json.loads(lab("check", "--format", "json").out) == []  # the text has no fault; the store lacks a record
