"""The bench of the whole runs, for tests of single commands."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "endtoend"))

from lab import Lab


@pytest.fixture
def lab(tmp_path, monkeypatch):
    """A fresh folder with a store of its own."""
    for name in ("CRUCIS_STORE", "CRUCIS_DATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lab").mkdir()
    return Lab(tmp_path / "lab")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The usual study after its run. Read only."""
    folder = tmp_path_factory.mktemp("finished")
    lab = Lab(folder)
    lab.study()
    assert lab("run").code == 0
    return lab
