"""Weights that are given up: what may go, what stays and why, and how it comes back bit for bit."""

from __future__ import annotations

import json

from crucis.engine import weights
from crucis.engine.store import Store

STUDY = """\
study: s
seeds: 2
stages:
  model: {train: supervised, net: {mlp: {widths: [8]}}, data: digits, batch: 256, for: 2 epochs}
  more: {train: supervised, of: model, data: digits, batch: 256, for: 1 epochs}
  scores: {measure: classification, of: more}
  early: {measure: classification, of: model@at=50%}
"""
LATER = "  later: {measure: classification, of: more, split: train}\n"
NEXT = """\
study: next
seeds: 1
stages:
  model: {train: supervised, net: {mlp: {widths: [8]}}, data: digits, batch: 256, for: 1 epochs, initial: "KEY"}
"""
NOW = ("--weights", "--rest", "0d", "--yes")


def models(lab):
    return {path: path.read_bytes() for path in (lab.store / "steps").glob("*/*/model.safetensors")}


def gc(lab, *words):
    return lab("gc", "--store", str(lab.store), *words, study=None)


def test_weights_go_and_come_back_bit_for_bit(lab):
    lab.write(STUDY)
    assert lab("run").code == 0
    before, table = models(lab), lab("table", "--format", "csv").out
    assert len(before) == 6  # two seeds: two trainings and a checkpoint
    contents = lab.contents()
    assert "0 records (0.0 MiB) would go" in gc(lab, "--weights").out  # younger than a week
    dry = gc(lab, "--weights", "--rest", "0d")
    assert "Weights of 6 records" in dry.out and "model seed 42 at " in dry.out and models(lab) == before, dry.all
    said = gc(lab, *NOW)
    assert "Gave up the weights of 6 records" in said.out and not models(lab), said.all
    assert "Gave up the weights of 0 records" in gc(lab, *NOW).out

    # Records, tables and their keys are as they were, and nothing looks damaged.
    assert lab("table", "--format", "csv").out == table and lab.contents() == contents
    assert "0 problems" in lab("verify").out
    assert "8 cached, 0 run" in lab("run").out and not models(lab)

    # What needs a network trains again, with what that training began with, and nothing else does.
    lab.write(STUDY + LATER)
    assert lab("plan", "--steps").out.count("  replay: ") == 4
    answer = lab("run")
    assert answer.code == 0 and "6 run" in answer.out, answer.all
    assert models(lab) == before  # the checkpoint too: its training passed it
    assert "Gave up the weights of 6 records" in gc(lab, *NOW).out
    assert lab("run", "--weights").code == 0 and models(lab) == before
    assert "0 problems" in lab("verify").out and lab("bundle", "-o", str(lab.folder / "b.zip")).code == 0


def test_what_is_needed_stays_and_what_is_missing_is_said(lab):
    lab.write(STUDY)
    assert lab("run", "--stages", "more").code == 0  # scores and early are planned by nobody yet
    lab.write(STUDY)
    (lab.folder / "next.yaml").write_text("", encoding="utf-8")
    store = Store(lab.store)
    first = sorted(key for key, body in lab.of_kind("train/supervised").items() if not body["spec"]["inputs"])
    lab.write(NEXT.replace("KEY", first[0]), "next.yaml")
    assert lab("run", study="next.yaml").code == 0
    said = gc(lab, *NOW)
    assert "1 keep theirs: other trainings began with them" in said.out, said.all
    assert store.whole(first[0]) and not store.whole(first[1])

    # A record that another study begins with, and that is gone: one clear line.
    lab.write(NEXT.replace("KEY", first[1]).replace("for: 1", "for: 2"), "next.yaml")
    answer = lab("run", study="next.yaml")
    assert answer.code == 2 and "whose weights were given up" in answer.err and "Traceback" not in answer.all, (
        answer.all
    )
    answer = lab("bundle", "-o", str(lab.folder / "b.zip"))
    assert answer.code == 2 and "crucis run study.yaml --weights" in answer.err, answer.all
    assert lab("run", "--weights").code == 0 and store.whole(first[1])
    assert lab("run", study="next.yaml").code == 0

    # Unfinished steps hold the weights that they will need; pins hold theirs; a gate's study keeps its own.
    assert lab("run").code == 0
    plan = store.read_plan(max((lab.store / "plans").iterdir(), key=lambda p: p.stat().st_mtime))
    waits = {key for step in plan if step.label.startswith("scores") for key in step.input_keys()}
    for step in plan:
        if step.label.startswith("scores"):
            store.quarantine(step.key, "taken away by this test")
    store.pin("mine", [first[1]])
    said = gc(lab, *NOW)
    assert "2 keep theirs: needed by steps that are not finished" in said.out
    assert "pinned, imported, or being worked on" in said.out
    assert all(store.whole(key) for key in {*waits, *first})


def test_what_could_not_be_computed_again_stays(lab):
    lab.write(STUDY.split("  more")[0])
    assert lab("run").code == 0
    record = next((lab.store / "steps").glob("*/*/record.json"))
    from crucis.engine import drafts

    body = json.loads(record.read_bytes())
    body.pop("seal")
    body["numerics"]["hash"] = "0" * 64
    record.chmod(0o644)
    record.write_text(drafts.sealed_text(body).decode(), encoding="utf-8")
    said = gc(lab, *NOW)
    assert "1 keep theirs: made on other hardware" in said.out and "Gave up the weights of 1 record " in said.out, (
        said.all
    )


def test_a_damaged_note_is_named(lab):
    lab.write(STUDY.split("  more")[0])
    assert lab("run").code == 0 and "2 records" in gc(lab, *NOW).out
    note = next((lab.store / "failures").glob(f"*/{weights.GONE}"))
    note.write_text("{", encoding="utf-8")
    answer = lab("verify")
    assert answer.code == 2 and "gone.json is damaged" in answer.err, answer.all


JUDGED = """\
study: judged
seeds: 2
stages:
  model: {train: supervised, net: {mlp: {widths: [8]}}, data: digits, batch: 256, for: 2 epochs}
  early: {measure: classification, of: model@at=50%}
"""
GATES = (
    "gates:\n  near: {gate: replication, of: model.accuracy, reported: 60%, source: none, tolerance: 50%, repeat: 1}\n"
)


def test_weights_that_the_evidence_of_a_gate_is_about_stay(lab):
    plain = JUDGED.replace("judged", "plain").replace("[8]", "[6]").replace("seeds: 2", "seeds: 1")
    lab.write(plain, "plain.yaml")
    lab.write(JUDGED + GATES)
    assert lab("run", study="plain.yaml").code == 0 and lab("run").code == 0
    assert "repeatable" in lab("gate").out
    decided, before, judged = lab("gate", "--known"), models(lab), set(lab.keys().values())
    assert len(before) == 6  # three trainings, each with a checkpoint
    said = gc(lab, *NOW)
    assert "Gave up the weights of 2 records" in said.out and "4 keep theirs: of studies with gates" in said.out, (
        said.all
    )
    specs = {path.parent.name: lab.bodies()[path.parent.name]["spec"] for path in models(lab)}
    assert len(specs) == 4 and {spec.get("of", key) for key, spec in specs.items()} <= judged
    assert models(lab).items() < before.items()
    again = lab("gate", "--known")
    assert (again.code, again.out) == (decided.code, decided.out)

    # A study that gives up its gates gives this up with them, from its next run on.
    lab.write(JUDGED)
    assert "Gave up the weights of 0 records" in gc(lab, *NOW).out and len(models(lab)) == 4
    assert lab("run").code == 0
    assert "Gave up the weights of 4 records" in gc(lab, *NOW).out and not models(lab)
