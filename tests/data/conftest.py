"""Data tests keep what they remember in a folder of their own."""

from __future__ import annotations

import pytest

from crucis.data import open as opening


@pytest.fixture(autouse=True, scope="session")
def cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        opening.forget()
        yield
        opening.forget()
