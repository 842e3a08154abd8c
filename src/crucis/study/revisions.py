"""The ledger that ties built-in code to its revisions, so that no number changes behind an unchanged key."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from .. import shelf
from ..errors import CrucisError, did_you_mean
from ..source import tree_digest
from .identity import room_revision

PACKAGE = Path(shelf.__file__).parent
#: Rooms whose code can change the number that a step leaves.
ROOMS = ("train", "data", "measure", "numerics", "nets", "search")


def ledger_path() -> Path:
    """`tests/revisions.json` of the source tree.

    Raises:
        CrucisError: the package is installed without its tests.
    """
    path = PACKAGE.parents[1] / "tests" / "revisions.json"
    if not path.parent.is_dir():
        raise CrucisError("revisions are kept in the source tree (tests/revisions.json), which is not here")
    return path


def state() -> dict[str, dict[str, Any]]:
    """What the code is now: `room/path` -> syntax-tree digest and the revision that covers it.

    A leaf is covered by its own `REVISION`; any other file of a room by that of the room (the nets' shared files by
    the digest alone, since every net that imports them must be raised by hand).
    """
    leaves = {
        shelf.leaf(name, leaf).path: shelf.leaf(name, leaf).revision
        for name, home in shelf.SHELVES.items()
        if home.folder.split("/")[0] in ROOMS
        for leaf in shelf.names(name)
    }
    out = {}
    for room in ROOMS:
        for path in sorted((PACKAGE / room).rglob("*.py")):
            text = path.read_text(encoding="utf-8")
            name = path.relative_to(PACKAGE).with_suffix("").as_posix()
            if path.name == "__init__.py":
                continue
            out[name] = {"digest": tree_digest(text), "revision": str(leaves.get(path) or room_revision(room))}
    return out


def changed() -> dict[str, str]:
    """Files whose code differs from the ledger although their revision does not, each with the two ways out."""
    known = json.loads(ledger_path().read_text(encoding="utf-8")) if ledger_path().is_file() else {}
    out = {}
    for name, now in state().items():
        before = known.get(name)
        if before is None:
            out[name] = f"{name} is not in the ledger. Note it: crucis revise {name} --same-numbers"
        elif before["digest"] != now["digest"] and before["revision"] == now["revision"]:
            out[name] = (
                f"the code of {name} changed and its revision did not. If numbers changed, raise REVISION and run "
                f"'crucis revise {name}'; if they are bit for bit the same: 'crucis revise {name} --same-numbers'"
            )
    for name in known.keys() - state().keys():
        out[name] = f"{name} is in the ledger and no more in the code. Forget it: crucis revise {name}"
    return out


def revise(name: str, *, same_numbers: bool = False) -> str:
    """Bring the ledger's line of `name` (or of `all`) up to the code.

    Raises:
        CrucisError: an unknown name; or the code changed, the revision did not, and `same_numbers` was not said.
    """
    path = ledger_path()
    known: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    now = state()
    if name != "all" and name not in now and name not in known:
        raise CrucisError(f"no file '{name}'.{did_you_mean(name, now)}")
    wanted = sorted(now.keys() | known.keys()) if name == "all" else [name]
    for item in wanted:
        before, current = known.get(item), now.get(item)
        if current is None:
            known.pop(item, None)
            continue
        moved = before is not None and before["digest"] != current["digest"]
        if moved and before is not None and before["revision"] == current["revision"] and not same_numbers:
            raise CrucisError(changed()[item])
        known[item] = current
    path.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    return f"{len(wanted)} line{'s' * (len(wanted) != 1)} of the ledger are up to date"
