"""A search with real networks: through the command line, killed and taken up, with equal trials at the end."""

from __future__ import annotations

import json
import time

import pytest
from lab import Lab

from crucis.engine.store import Store

SEARCH = """\
study: hunt
seeds: [42, 123]
stages:
  tuned:
    search: {tpe: {generation: 3, startup: 2, prune: none}}
    trial:
      train: supervised
      net: {mlp: {widths: [8]}}
      data: digits
      for: 2 epochs
      batch: 256
      lr: {log_uniform: [1e-3, 1]}
    maximise: accuracy
    trials: 6
    pool: seed
  confirmed: {winner_of: tuned, seeds: {fresh: 2}}
derive:
  gain: confirmed.accuracy - tuned.best
claims:
  sane: tuned.best > 5%
"""


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The contents after one run in one go."""
    lab = Lab(tmp_path_factory.mktemp("hunt"))
    lab.write(SEARCH)
    said = lab("run")
    assert said.code == 0, said.all
    assert "SUPPORTED  tuned.best > 5%" in said.out
    return lab


def test_a_second_run_finds_everything(undisturbed):
    said = undisturbed("run")
    assert said.code == 0
    assert "18 cached, 0 run" in said.out  # 12 trainings, 3 proposals (the last one empty), 1 search, 2 confirmations
    page = (undisturbed.folder / "report" / "hunt" / "index.html").read_text()
    assert "tuned" in page
    assert "6 trials, 6 done" in undisturbed("plan").out


def test_table_verify_and_reproduce_know_searches(undisturbed):
    rows = json.loads(undisturbed("table", "--format", "json").out)
    best = {row["tuned.best"] for row in rows if row["tuned.best"] is not None}
    assert len(best) == 1
    assert "18 records checked, 0 problems" in undisturbed("verify").out
    said = undisturbed("reproduce")
    assert "18 records recomputed, bitwise equal" in said.out, said.all


def test_killed_again_and_again_it_ends_with_the_trials_of_an_undisturbed_one(lab, undisturbed):
    lab.write(SEARCH)
    store = Store(lab.store)
    for least in (2, 6, 9, 13):
        process = lab.process("run", "study.yaml", "--quiet", "--workers", "1")
        limit = time.monotonic() + 250
        while len(store.all_keys()) < least and process.poll() is None and time.monotonic() < limit:
            time.sleep(0.01)
        process.kill()
        process.communicate()
    said = lab("run")
    assert said.code == 0, said.all
    assert lab.contents() == undisturbed.contents()
