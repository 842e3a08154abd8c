"""What a store keeps beside its records: plans, pins, environments, users' code and small append-only ledgers."""

from __future__ import annotations

import json
import os
import re
import shutil
import uuid
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ..canon import canonical, sha256
from . import disk
from .steps import EngineError, Step

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")


def _named(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise EngineError(f"'{name}' cannot name a file of the store (use a-z 0-9 . _ -)")
    return name


def _keep(path: Path, text: str, tmp: Path) -> Path:
    """Write a file that is named by its content, once."""
    if path.exists():
        os.utime(path)  # its age counts from the last use
    else:
        path.parent.mkdir(exist_ok=True)
        disk.write_once(str(path), text.encode("utf-8"), str(tmp))
    return path


def write_plan(root: Path, steps: Iterable[Step]) -> Path:
    """`plans/SHA.json`, the steps in topological order. 10,000 steps take about 0.15 s."""
    body = {"format": 1, "steps": [step.pack() for step in steps]}
    text = json.dumps(body, sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return _keep(root / "plans" / f"{sha256(text)}.json", text, root / "tmp")


def read_plan(root: Path, name: str | Path) -> list[Step]:
    """The steps of a plan.

    Raises:
        EngineError: no such plan, several that begin so, or a file that is no plan.
    """
    path = Path(name)
    if not path.is_file():
        found = sorted((root / "plans").glob(f"{path.name}*.json"))
        if len(found) != 1:
            raise EngineError(f"{'several plans' if found else 'no plan'} of the store {root} begin with '{name}'")
        path = found[0]
    try:
        body = json.loads(path.read_bytes())
        return [Step.unpack(data) for data in body["steps"]]
    except (ValueError, KeyError, TypeError) as error:
        raise EngineError(f"{path} is no plan: {error}") from error


def pin(root: Path, name: str, keys: Iterable[str]) -> Path:
    """`pins/NAME.json`."""
    path = root / "pins" / f"{_named(name)}.json"
    path.parent.mkdir(exist_ok=True)
    disk.replace(str(path), canonical({"format": 1, "keys": sorted(set(keys))}).encode(), str(root / "tmp"))
    return path


def references(path: Path) -> list[str]:
    """The keys that a pin or an import lists; an import counts until it is marked as verified."""
    body = json.loads(path.read_bytes())
    return [] if body.get("verified") else [str(key) for key in body.get("keys", [])]


def environment(root: Path, found: Mapping[str, Any]) -> str:
    """`environments/SHA.json`; returns the digest."""
    text = canonical(found)
    name = sha256(text)
    _keep(root / "environments" / f"{name}.json", text, root / "tmp")
    return name


def code(root: Path, files: Mapping[str, bytes]) -> Path:
    """`code/SHA/` with the files by relative path; the digest is that of names and bytes.

    Raises:
        EngineError: a path that would leave the folder.
    """
    name = sha256("\n".join(f"{path}\0{sha256(data)}" for path, data in sorted(files.items())))
    target = root / "code" / name
    if target.is_dir():
        return target
    draft = root / "tmp" / f"code.{uuid.uuid4().hex}"
    for path, data in files.items():
        if path.startswith("/") or ".." in Path(path).parts or "\\" in path:
            raise EngineError(f"the file '{path}' lies outside the study's folder")
        (draft / path).parent.mkdir(parents=True, exist_ok=True)
        (draft / path).write_bytes(data)
    target.parent.mkdir(exist_ok=True)
    try:
        draft.rename(target)
    except OSError:  # somebody was first with the same bytes
        shutil.rmtree(draft, ignore_errors=True)
        if not target.is_dir():
            raise
    return target


def append_line(root: Path, name: str, line: Mapping[str, Any]) -> int:
    """`ledger/NAME/N.json`: one write-once file per line, so that writers on several machines never mix."""
    folder = root / "ledger" / _named(name)
    folder.mkdir(parents=True, exist_ok=True)
    data = canonical(line).encode()
    number = max((int(path.stem) for path in folder.glob("*.json")), default=0) + 1
    while not disk.write_once(str(folder / f"{number}.json"), data, str(root / "tmp")):
        number += 1
    return number


def ledgers(root: Path, prefix: str) -> list[str]:
    """The names of all ledgers that begin so, sorted."""
    folder = root / "ledger"
    return sorted(path.name for path in folder.glob(f"{_named(prefix)}*")) if folder.is_dir() else []


def lines(root: Path, name: str) -> list[dict[str, Any]]:
    """The lines of a ledger, in order."""
    folder = root / "ledger" / _named(name)
    found = sorted(folder.glob("*.json"), key=lambda path: int(path.stem)) if folder.is_dir() else []
    return [json.loads(path.read_bytes()) for path in found]
