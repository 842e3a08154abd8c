"""The checklists: each line where it holds and where it does not."""

from __future__ import annotations

import doctor_cases as d

from crucis.study import registry
from crucis.study.checklist import after, before, settings
from crucis.study.session import conclude


def lines(ticks):
    return {tick.what: tick for tick in ticks}


def test_before_the_first_step(tmp_path, monkeypatch):
    session = d.study(tmp_path)
    nodes = list(session.plan.by_key.values())
    found = lines(before(session, nodes))
    assert found["seeds set"].says == "42, 123, 456" and found["configuration"].says == "complete and valid, 6 steps"
    assert found["splits disjoint"].says.startswith("1 data set, ") and found["disk space"].holds is None
    d.give(session, nodes[0])
    one = sum(about["bytes"] for about in session.store.read(nodes[0].key).body["files"].values())
    found = lines(before(session, nodes[1:]))
    assert found["disk space"].holds and f"{5 * one / 2**20:.1f} MiB needed" in found["disk space"].says
    monkeypatch.setattr(session.store, "free", lambda: 5 * one - 1)
    assert lines(before(session, nodes[1:]))["disk space"].holds is False
    monkeypatch.setattr(session.store, "free", lambda: 5 * one)
    assert lines(before(session, nodes[1:]))["disk space"].holds
    assert str(found["seeds set"]) == "[x] seeds set: 42, 123, 456"


def test_after_everything_ran(tmp_path):
    session = d.study(tmp_path, seeds=2)
    found = lines(after(session, conclude(session)))
    assert found["everything ran"].holds is False and found["three seeds or more"].holds is False
    assert found["baseline compared"].says == "which" and found["test evaluated once"].holds is None
    d.fill(session)
    assert lines(after(session, conclude(session)))["everything ran"].says == "4 of 4 steps have a record"


def test_the_test_split_is_counted(tmp_path):
    text = d.STUDY.format(seeds=3, test="paired_t", more="").replace(
        "analysis:", "  test: {measure: classification, of: model, split: test}\nanalysis:"
    )
    session = d.study(tmp_path, text=text)
    name = registry.ledger(session.study, session.store)
    line = {"study": name, "registration": "r", "time": "2026", "who": "u", "data": {}, "before": {}}
    for times, holds in ((0, None), (1, True), (2, False)):
        tick = lines(after(session, conclude(session)))["test evaluated once"]
        assert tick.holds is holds, times
        session.store.append_line("unsealings", line)


def test_every_parameter_is_listed_as_a_study_writes_it(tmp_path):
    session = d.study(tmp_path, more=", lr: 0.05")
    found = {(stage, name): values for stage, name, values in settings(session)}
    leaf = session.plan.nodes[0].bound.leaf
    assert {name for stage, name in found if stage == "model"} == {
        "for" if name == "length" else name for name in leaf.params
    } | {"net", "data"}
    assert found["model", "lr"] == "0.05" and found["model", "batch"] == "128" and found["model", "ema"] == "none"
    assert found["model", "net"] == "mlp {widths: [8]}, mlp {widths: [9]}"
