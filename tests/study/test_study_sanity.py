"""Sanity checks before training: said at once, kept in the store and in the records, never in the way."""

from __future__ import annotations

import pytest

from crucis.nets.checks import whole
from crucis.study import sanity
from crucis.study.checklist import after, before
from crucis.study.session import conclude, execute, open_session

DEAD = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, inputs, classes):
        super().__init__()
        self.head = nn.Linear(inputs, classes)
        self.unused = nn.Parameter(torch.ones(3))
    def forward(self, x):
        return {scale} * self.head(x.flatten(1))

def build(input, classes):
    return Net(64, classes)
"""
STUDY = """\
study: sane
seeds: 1
factors: {net: {sound: {mlp: {widths: [8]}}, dead: ./dead.py}}
stages:
  model: {train: supervised, net: $net, data: digits, batch: 512, for: 1 epochs}
"""


@pytest.fixture
def session(tmp_path):
    (tmp_path / "dead.py").write_text(DEAD.format(scale=1.0), encoding="utf-8")
    (tmp_path / "s.yaml").write_text(STUDY, encoding="utf-8")
    return open_session(tmp_path / "s.yaml", store=tmp_path / ".crucis")


def _told(session, nodes=None):
    told = []
    nodes = session.plan.nodes if nodes is None else nodes
    sanity.check(session.plan, nodes, session.store.path, None, told.append)
    return told


def test_a_dead_parameter_is_told_and_noted(session):
    told = _told(session)
    assert [event.kind for event in told] == ["warn"] and "dead" in told[0].label
    assert "unused (none)" in told[0].data["text"]
    sound, dead = (sanity.noted(session.store.path, node.spec) for node in session.plan.nodes)
    assert {name: found["outcome"] for name, found in sound.items()} == dict.fromkeys(sanity.CHECKS, "ok")
    assert dead["gradients"]["outcome"] == "bad" and dead["memorises"]["outcome"] == "ok"


def test_checks_are_made_once_per_network_and_data(session, monkeypatch):
    _told(session)
    monkeypatch.setattr(whole, "gradients", lambda _: pytest.fail("checked twice"))
    assert len(_told(session)) == 1  # told again, not checked again
    assert _told(session, session.plan.nodes[:1]) == []


def test_a_first_loss_far_from_ln_k(tmp_path, session):
    (tmp_path / "dead.py").write_text(DEAD.format(scale=300.0), encoding="utf-8")
    session = open_session(tmp_path / "s.yaml", store=tmp_path / ".crucis")
    _told(session)
    dead = sanity.noted(session.store.path, session.plan.nodes[1].spec)
    assert dead["initial_loss"]["outcome"] == "bad" and "sure of something false" in dead["initial_loss"]["says"]


def test_a_network_that_stops_is_told_with_its_line(tmp_path, session):
    (tmp_path / "dead.py").write_text(DEAD.replace("{scale} *", "1 / 0 *"), encoding="utf-8")
    session = open_session(tmp_path / "s.yaml", store=tmp_path / ".crucis")
    told = _told(session)
    assert "ZeroDivisionError" in told[0].data["text"] and "dead.py, line 11" in told[0].data["text"]


def test_the_run_goes_on_and_the_records_take_it_along(session):
    events = []
    ticks = {tick.what: tick for tick in before(session, session.plan.nodes)}
    assert ticks["overfits one batch"].holds is None
    outcome = execute(session, workers=1, progress=events.append)
    assert outcome.done == 2 and [event for event in events if event.kind == "warn"]
    for node in session.plan.nodes:
        body = session.store.read(node.key).body
        assert set(body["notes"][sanity.NOTE]) == set(sanity.CHECKS)
    ticks = {tick.what: tick for tick in after(session, conclude(session))}
    assert ticks["overfits one batch"].holds is True and ticks["gradient everywhere"].holds is False
    assert "unused" in ticks["gradient everywhere"].says
