"""A small study with every instrument that works on curvature or on several networks, through the whole machine."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import crucis
from crucis.study import steps

STUDY = """
study: small
question: does everything reach its networks?
seeds: 2
factors:
  strategy: [naive, ewc]
stages:
  a: {train: supervised, net: {convnet: {widths: [4, 8]}}, data: digits, view: {classes: first-half}, batch: 64, lr: 0.02, for: 2 epochs, select: accuracy}
  hessian: {measure: hessian, of: a@at=best, probes: 4, steps: 6, images: 100}
  fisher: {measure: fisher, of: a@at=best, images: 100}
  b: {perturb: second_task, of: a@at=best, data: digits, view: {classes: second-half}, strategy: $strategy, strength: 30, images: 100, record_at: [3, 12]}
  barrier: {measure: loss_barrier, of: {start: a@at=best, end: b@strategy=naive}, images: 100, points: 5}
  apart: {measure: loss_barrier, of: a@at=best, pool: seed, images: 100, points: 5}
"""  # noqa: E501


def test_networks_of_two_roles_and_of_a_pool(tmp_path: Path, monkeypatch: Any) -> None:
    (tmp_path / "s.yaml").write_text(STUDY)
    monkeypatch.chdir(tmp_path)
    crucis.run("s.yaml", store=tmp_path / "store")
    frame = crucis.table("s.yaml", store=tmp_path / "store")
    rows = frame.to_dict("records")
    assert len(rows) == 4
    for row in rows:
        assert row["hessian.top"] >= row["hessian.bottom"]
        assert row["fisher.trace"] > row["fisher.top"] > 0
        assert row["barrier.distance"] > 0
        assert row["barrier.pairs"] == row["apart.pairs"] == 1
    assert len({row["barrier.distance"] for row in rows}) == 2  # one per seed, whatever the strategy
    assert len({row["apart.distance"] for row in rows}) == 1
    assert {row["strategy"] for row in rows if np.isfinite(row["b.aurc"])} == {"naive", "ewc"}


def test_models_are_made_only_when_asked_for(monkeypatch: Any) -> None:
    made = []
    monkeypatch.setattr(steps, "_network", lambda each, folder, step, context: made.append((each["name"], folder)))

    roles = {"of": [{"name": n, "trained": n != "b"} for n in "abc"], "end": {"name": "e"}}
    step = SimpleNamespace(hints={"models": roles})
    context = SimpleNamespace(inputs={"of": ["folder-a", "folder-c"], "end": "folder-e"})
    models = steps._Models(step, context)  # type: ignore[arg-type]
    assert "of" in models
    assert "start" not in models
    assert list(models) == ["of", "end"]
    assert len(models) == 2
    assert made == []
    assert len(models["of"]) == 3
    assert made == [("a", "folder-a"), ("b", None), ("c", "folder-c")]
    assert models["end"] is None
    assert made[-1] == ("e", "folder-e")
    with pytest.raises(KeyError):
        models["start"]
