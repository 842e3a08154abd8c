"""No number changes behind an unchanged key: changed code raises a revision or is said to be equal."""

import json

import pytest

from crucis.errors import CrucisError
from crucis.study import revisions


def test_code_and_revisions_agree():
    found = revisions.changed()
    assert not found, "\n".join(found.values())


def test_a_change_without_a_raised_revision_is_found(monkeypatch, tmp_path):
    ledger = tmp_path / "revisions.json"
    state = revisions.state()
    name = sorted(state)[0]
    before = {**state, name: {**state[name], "digest": "0" * 64}}
    ledger.write_text(json.dumps(before))
    monkeypatch.setattr(revisions, "ledger_path", lambda: ledger)
    assert "--same-numbers" in revisions.changed()[name]
    with pytest.raises(CrucisError, match="raise REVISION"):
        revisions.revise(name)
    revisions.revise(name, same_numbers=True)
    assert revisions.changed() == {}
    raised = {**state, name: {"digest": "0" * 64, "revision": "0"}}
    ledger.write_text(json.dumps(raised))
    assert revisions.changed() == {}
    revisions.revise(name)
    assert json.loads(ledger.read_text()) == state


def test_unknown_and_forgotten_files(monkeypatch, tmp_path):
    ledger = tmp_path / "revisions.json"
    ledger.write_text(json.dumps({**revisions.state(), "train/gone": {"digest": "1", "revision": "1"}}))
    monkeypatch.setattr(revisions, "ledger_path", lambda: ledger)
    assert list(revisions.changed()) == ["train/gone"]
    revisions.revise("train/gone")
    assert revisions.changed() == {}
    with pytest.raises(CrucisError, match="no file"):
        revisions.revise("train/nowhere")
