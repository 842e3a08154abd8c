"""Weights that were given up to save room: the record stays, its model files go, and use means computing them again.

`failures/KEY/gone.json` names what went. Written first, so that a crash in between leaves files that are taken for gone
and never a record that looks damaged. A replay must end in the recorded content before its files are put back.
"""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..canon import canonical
from ..records import Record
from . import disk
from .steps import EngineError, Step

if TYPE_CHECKING:
    from .store import Store

GONE = "gone.json"
ROLE = "model"  # of the files that may go
#: Why the weights of a record stay, or nothing.
Stays = Callable[[Record], str]


def gone(root: str, key: str) -> Mapping[str, Any]:
    """Name -> size and digest of the files of a record that were given up; empty if it is whole."""
    try:
        return dict(json.loads(Path(f"{root}/failures/{key}/{GONE}").read_bytes())["files"])
    except FileNotFoundError:
        return {}
    except (ValueError, KeyError, TypeError) as error:
        path = f"{root}/failures/{key}/{GONE}"
        raise EngineError(f"{path} is damaged: {error}. Delete it; the record is checked then") from error


def is_gone(root: str, key: str) -> bool:
    """Whether some of a record's files were given up: one look at one name."""
    return os.path.exists(f"{root}/failures/{key}/{GONE}")  # noqa: PTH110 - as in the store


def give_up(root: str, record: Record, now: str) -> int:
    """Remove the model files of a record; the bytes that this frees."""
    files = {name: dict(about) for name, about in record.body["files"].items() if about["role"] == ROLE}
    folder = Path(f"{root}/failures/{record.key}")
    folder.mkdir(parents=True, exist_ok=True)
    text = canonical({"format": 1, "time": now, "files": files}).encode()
    disk.replace(str(folder / GONE), text, f"{root}/tmp")
    for name in files:
        (record.folder / name).unlink(missing_ok=True)
    return sum(int(about["bytes"]) for about in files.values())


def take_back(root: str, record: Record, out: str) -> None:
    """Put the files that a replay made in `out` where they were. Their content must have been compared before."""
    for name in gone(root, record.key):
        os.replace(f"{out}/{name}", record.folder / name)  # noqa: PTH105 - a plain string names it
    Path(f"{root}/failures/{record.key}/{GONE}").unlink()


def reads_files(step: Step) -> bool:
    """Whether a step opens the files of its inputs; one that says `values_only` needs their records."""
    return not step.hints.get("values_only", False)


@dataclass
class Shedding:
    """What giving up weights would remove, or has removed: keys in order, the bytes, and why others stay."""

    keys: list[str] = field(default_factory=list)
    bytes: int = 0
    kept: Counter[str] = field(default_factory=Counter)


def survey(
    store: Store, needed: Mapping[str, str], stays: Stays, *, rest_s: float, now: float | None = None
) -> Shedding:
    """Which weights may go.

    Args:
        store: the store.
        needed: key -> why its weights are needed (see `needed_by`).
        stays: why those of a record stay for its own sake, such as that they cannot be computed again here.
        rest_s: younger records keep theirs.
        now: wall-clock seconds, for tests.
    """
    at = time.time() if now is None else now
    out = Shedding()
    for key in store.all_keys():
        record = store.read(key) if not is_gone(store.root, key) else None
        if record is None or not any(about["role"] == ROLE for about in record.body["files"].values()):
            continue
        young = "younger than --rest" if at - Path(store.folder(key)).stat().st_mtime <= rest_s else ""
        why = needed.get(key) or young or stays(record)
        if why:
            out.kept[why] += 1
            continue
        out.keys.append(key)
        out.bytes += sum(int(a["bytes"]) for a in record.body["files"].values() if a["role"] == ROLE)
    return out


def needed_by(store: Store, steps: Iterable[Step], own: Iterable[str]) -> dict[str, str]:
    """Key -> why: inputs of the steps that have no record yet, keys that are kept with all they rest on, and what
    other trainings began with (theirs could not be computed again without it)."""
    found = dict.fromkeys(own, "pinned, imported, or being worked on")
    for step in steps:
        if not store.has(step.key):
            for value in step.inputs.values():
                for key in [value] if isinstance(value, str) else value:
                    found.setdefault(key, "needed by steps that are not finished")
    for key in store.all_keys():
        record = store.read(key)
        begun = dict(record.spec.get("inputs") or {}).get("initial") if record is not None else None
        if isinstance(begun, str):
            found.setdefault(begun, "other trainings began with them")
    return found
