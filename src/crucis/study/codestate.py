"""What git says of the study's folder when steps run: the commit, and what differs from it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

from ..canon import sha256
from ..engine import machine
from ..engine.store import Store

MAX_DIFF = 1_000_000  # bytes; of a longer one only the digest is kept
_PATIENCE_S = 20.0


def described(folder: Path, store: Store) -> dict[str, Any]:
    """Provenance of the steps of a run: interpreter, host, packages, and `git` where the folder is in a repository.

    `git` holds `commit`, `dirty` (tracked files differ from it) and, if so, `diff`: the SHA-256 of the difference,
    whose text is kept beside the description as `environments/SHA.diff`, SHA being that of the description.
    """
    found = machine.environment()
    commit = _git(folder, "rev-parse", "HEAD")
    if commit is None:
        return found
    diff = _git(folder, "diff", "--no-ext-diff", "--no-textconv", "--no-color", "HEAD", "--") or b""
    state: dict[str, Any] = {"commit": commit.decode().strip(), "dirty": bool(diff)}
    found["git"] = {**state, "diff": sha256(diff)} if diff else state
    if diff and len(diff) <= MAX_DIFF:
        path = store.path / "environments" / f"{store.environment(found)}.diff"
        if not path.exists():
            aside = path.with_name(f".{path.name}.{os.getpid()}")
            aside.write_bytes(diff)
            aside.replace(path)
    return found


def _git(folder: Path, *words: str) -> bytes | None:
    """What git answers, or None where there is no git, no repository or no commit."""
    try:
        done = subprocess.run(
            ["git", "-c", "core.fsmonitor=", "-C", str(folder), *words],
            capture_output=True, check=False, timeout=_PATIENCE_S, env={**os.environ, "GIT_OPTIONAL_LOCKS": "0"},
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None
