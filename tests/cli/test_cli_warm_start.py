"""A training that begins with the weights of another study's record."""

from __future__ import annotations

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
