"""Records from elsewhere: judged as a whole where they were unpacked, then moved into the store and listed there.

A key proves which question was asked, not that the answer is true: an imported key stays listed in `imports/` until
it has been computed again here and was equal.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .. import source
from ..canon import canonical
from . import disk, drafts
from .bundle import Contents
from .store import Store
from .strangers import CHECKS, BundleError, check_named, check_record, read_json, read_mapping

MAX_TABLE = 16_000_000  # bytes of a JSON file beside a record
CODE_ENTRY = "crucis-entry.txt"  # names a leaf's own file in a folder of users' code


@dataclass
class Arrival:
    """What became of a bundle's records: `taken`, `same` (there already) and `kept` (there with other content)."""

    taken: list[str] = field(default_factory=list)
    same: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)


# -- judging ------------------------------------------------------------------------------------------------------


def judge(folder: Path, contents: Contents) -> dict[str, dict[str, Any]]:
    """Key -> body of every record unpacked in `folder`; everything that came with them is judged too.

    Raises:
        BundleError: what does not hold, by name. Nothing of the bundle is then to be used.
    """
    bodies = {}
    groups: dict[str, list[str]] = {}
    for name in contents.within("records"):
        groups.setdefault(name.split("/")[1], []).append(name)
    for key, names in groups.items():
        bodies[key] = _judge_record(folder, contents, key, names)
    for name in contents.within("environments"):
        if name.endswith(".json"):
            data = (folder / name).read_bytes()
            read_mapping(data, name)
            check_named(data, Path(name).stem, name)
        else:  # what differed from a commit when the steps ran: a text that nothing reads but people
            (folder / name).rename((folder / name).with_suffix(".diff"))
    for digest in dict.fromkeys(name.split("/")[1] for name in contents.within("code")):
        _judge_code(folder / "code" / digest, digest)
    return bodies


def _judge_record(folder: Path, contents: Contents, key: str, names: list[str]) -> dict[str, Any]:
    head = f"records/{key}/"
    if f"{head}{drafts.RECORD}" not in names:
        raise BundleError(f"record {key[:12]}: its {drafts.RECORD} is missing")
    body = check_record((folder / head / drafts.RECORD).read_bytes(), key)
    listed = {f"{head}{name}": (about["bytes"], about["sha256"]) for name, about in body["files"].items()}
    there = {
        name: (contents.entries[name].bytes, contents.entries[name].sha256)
        for name in names
        if name != f"{head}{drafts.RECORD}"
    }
    if listed != there:
        odd = sorted(listed.items() ^ there.items())[0][0]
        raise BundleError(f"record {key[:12]}: {odd.removeprefix(head)} is not as the record lists it")
    for name in there:
        kind = name.rpartition(".")[2]
        shown = f"record {key[:12]}: {name.removeprefix(head)}"
        if kind in CHECKS:
            CHECKS[kind](folder / name, shown)
        elif kind == "json":
            read_json((folder / name).read_bytes(), shown, MAX_TABLE)
    return body


def _judge_code(folder: Path, digest: str) -> None:
    name = f"code {digest[:12]}"
    files = {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
    }
    entry = files.pop(CODE_ENTRY, b"").decode("utf-8", "replace")
    if entry not in files:
        raise BundleError(f"{name}: its {CODE_ENTRY} names no file of it")
    try:
        found = source.files_digest(files)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise BundleError(f"{name}: {error}") from None
    if found != digest:
        raise BundleError(f"{name}: its files have another digest than its name")


# -- moving in ----------------------------------------------------------------------------------------------------


def land(store: Store, folder: Path, bodies: Mapping[str, Mapping[str, Any]], bundle: str, *, code: bool) -> Arrival:
    """Move what `judge` found good into the store, each record by one rename.

    Args:
        store: where to.
        folder: where the bundle was unpacked, inside the store's `tmp`.
        bodies: what `judge` returned.
        bundle: SHA-256 of the archive.
        code: also take users' code.
    """
    arrival = Arrival()
    new = [key for key in sorted(bodies) if store.read(key) is None]
    _list(store, bundle, new)  # before they are there: never a record from elsewhere that nobody knows to be one
    _move_all(folder / "environments", store.path / "environments")
    if code:
        _move_all(folder / "code", store.path / "code")
    for key in sorted(bodies):
        there = store.read(key)
        if there is None and _move(folder / "records" / key, Path(store.folder(key))):
            arrival.taken.append(key)
            continue
        there = there or store.read(key)
        same = there is not None and there.body["content"] == bodies[key]["content"]
        (arrival.same if same else arrival.kept).append(key)
    return arrival


def _move_all(source_folder: Path, target: Path) -> None:
    if source_folder.is_dir():
        target.mkdir(exist_ok=True)
        for path in sorted(source_folder.iterdir()):
            _move(path, target / path.name)


def _move(path: Path, target: Path) -> bool:
    """Whether the place was free. A file or folder that is there stays."""
    if target.exists():
        return False
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.rename(path, target)  # noqa: PTH104 - must fail, not replace, when another process was first
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
            return False
        raise
    return True


# -- the list of what came from elsewhere ---------------------------------------------------------------------------


def _list(store: Store, bundle: str, keys: list[str]) -> None:
    path = store.path / "imports" / f"{bundle}.json"
    if not keys and not path.exists():
        return
    before = _read(path) if path.exists() else {"keys": [], "confirmed": []}
    _write(store, path, {*before["keys"], *keys}, set(before["confirmed"]) - set(keys))


def _read(path: Path) -> dict[str, Any]:
    body = json.loads(path.read_bytes())
    return {"keys": body.get("keys", []), "confirmed": body.get("confirmed", [])}


def _write(store: Store, path: Path, keys: Iterable[str], confirmed: Iterable[str]) -> None:
    keys, confirmed = sorted(keys), sorted(confirmed)
    body = {"format": 1, "bundle": path.stem, "keys": keys, "confirmed": confirmed, "verified": keys == confirmed}
    path.parent.mkdir(exist_ok=True)
    disk.replace(str(path), canonical(body).encode(), str(store.path / "tmp"))


def imported(store: Store) -> dict[str, str]:
    """Key -> SHA-256 of the bundle it came with, for every record that was imported and not computed again here."""
    found: dict[str, str] = {}
    for path in sorted((store.path / "imports").glob("*.json")):
        body = _read(path)
        found.update(dict.fromkeys(set(body["keys"]) - set(body["confirmed"]), path.stem))
    return found


def confirm(store: Store, keys: Iterable[str]) -> None:
    """Note that these keys were computed again here and were equal."""
    keys = set(keys)
    for path in sorted((store.path / "imports").glob("*.json")):
        body = _read(path)
        now = set(body["confirmed"]) | (keys & set(body["keys"]))
        if now != set(body["confirmed"]):
            _write(store, path, body["keys"], now)
