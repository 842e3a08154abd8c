"""One small study with a store, run once with all trackers that are installed switched on."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "endtoend"))

from lab import Lab

from crucis.trackers import targets

INSTALLED = [
    name
    for name in targets.names()
    if all(importlib.util.find_spec(need) is not None for need in targets.literal(name, "NEEDS"))
]
STUDY = """\
study: watched
seeds: 2
factors:
  net:
    small: {mlp: {widths: [8]}}
    wide: {mlp: {widths: [12], dropout: 0.1}}
stages:
  model: {train: supervised, net: $net, data: digits, batch: 256, for: 4 epochs, optimiser: {adamw: {beta2: 0.98}}}
  scores: {measure: classification, of: model}
analysis:
  which: {compare: paired_t, of: model.accuracy, between: net, against: small}
"""


@pytest.fixture(scope="session")
def tracked(tmp_path_factory):
    """A lab after `crucis run --track ...` with every installed tracker; `said` is what the command answered."""
    lab = Lab(tmp_path_factory.mktemp("tracked"))
    lab.write(STUDY)
    words = [word for name in INSTALLED for word in ("--track", name)]
    lab.said = lab("run", *words)
    assert lab.said.code == 0, lab.said.all
    assert "warning" not in lab.said.err, lab.said.all + logs(lab)
    return lab


def logs(lab: Lab) -> str:
    """What the writers' processes said."""
    return "".join(path.read_text(encoding="utf-8") for path in (lab.store / "journal").glob("*.log"))
