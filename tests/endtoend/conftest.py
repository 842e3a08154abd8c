"""Fixtures of the whole runs."""

from __future__ import annotations

import pytest
from lab import Lab


@pytest.fixture
def lab(tmp_path, monkeypatch):
    """A fresh folder with a store of its own."""
    for name in ("CRUCIS_STORE", "CRUCIS_DATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lab").mkdir()
    return Lab(tmp_path / "lab")
