"""Landscapes through the whole machine: the same bits whoever works on them, and after an interruption in a row."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import crucis
from crucis.engine.inline import run_inline
from crucis.measure.instruments import loss_landscape
from crucis.study import session as sessions

STUDY = """
study: planes
question: does it matter who looks at a landscape?
seeds: 2
stages:
  a:
    train: supervised
    net: {resnet_cifar: {depth: 8, width: 4}}
    data: digits
    view: {classes: first-half}
    batch: 64
    lr: 0.02
    for: 4 steps
  plane: {measure: loss_landscape, of: a, grid: 5, slices: 2, images: 48, batch: 16}
"""


def arrays(store: Path) -> dict[str, str]:
    return {
        path.parent.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in store.glob("steps/*/*/landscape.npz")
    }


def test_two_workers_and_one_process_that_stops_in_a_row_write_the_same_bits(tmp_path: Path, monkeypatch: Any) -> None:
    (tmp_path / "s.yaml").write_text(STUDY)
    monkeypatch.chdir(tmp_path)
    crucis.run("s.yaml", store=tmp_path / "two", workers=2)
    want = arrays(tmp_path / "two")
    assert len(want) == 2

    rows, loss = [], loss_landscape.Rows.finish

    def dies(self: Any, s: int, i: int) -> None:
        loss(self, s, i)
        rows.append((s, i))
        if len(rows) in (3, 14):
            raise OSError("the disk went away")  # transient: tried again

    monkeypatch.setattr(loss_landscape.Rows, "finish", dies)
    session = sessions.open_session(tmp_path / "s.yaml", store=tmp_path / "one")
    session.plan.code.keep(session.store.path / "code")
    for _ in range(3):
        run_inline(session.plan.steps(), session.store)
    assert arrays(tmp_path / "one") == want
    assert len(rows) == 2 * 2 * 5  # no row was evaluated twice
