"""Which weights could not be computed again here, bit for bit, and so must stay."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .. import shelf
from ..engine.drafts import numerics_block
from ..engine.store import Store
from ..records import Record
from . import registry
from .identity import ROOMS, revision, room_revision
from .reproduction import circumstance


class Judge:
    """Says of a record why its weights stay, or nothing. Built-in code of another revision, a file that is not kept any
    more, other hardware or libraries: a replay would end in other content. Studies with gates keep theirs, since a
    decision is evidence of records as they are."""

    def __init__(self, store: Store) -> None:
        from .steps import numerics

        self.store, self.here, self.gated = store, numerics(), registry.gated(store)

    def __call__(self, record: Record) -> str:
        """Why the weights of this record stay, in words; empty if they may go."""
        made = record
        if record.spec["kind"] == "at":
            found = self.store.read(str(record.spec["of"]))
            if found is None:
                return "their training has no record"
            made = found
        if made.outcome != "ok":
            return "their training did not end well"
        if {record.key, made.key} & self.gated:
            return "of studies with gates"
        if made.spec["kind"].partition("/")[0] not in ("train", "perturb"):
            return "no training made them"
        if circumstance(made, self.store):
            return "with times in their record, which no replay repeats"
        if not all(self._current(part) for part in _parts(made.spec)):
            return "made by code of another revision"
        world = {"world": made.spec["world"]} if "world" in made.spec else {}
        if numerics_block({**self.here, **world}, made.spec)["hash"] != made.body["numerics"]["hash"]:
            return "made on other hardware or by other libraries"
        return ""

    def _current(self, part: Mapping[str, Any]) -> bool:
        verb, _, name = part.get("kind", "").partition("/")
        if "source" in part:
            rooms = [str(room_revision(room)) for room in ROOMS.get(verb, ())]
            kept = (self.store.path / "code" / part["source"]).is_dir()
            return kept and part.get("revision", "").split(".")[1:] == rooms if verb else kept
        if verb:
            return name in shelf.names(verb) and revision(shelf.leaf(verb, name), verb) == part["revision"]
        homes = [home for home in shelf.SHELVES if part["leaf"] in shelf.names(home)]
        return any(revision(shelf.leaf(home, part["leaf"])) == part["revision"] for home in homes)


def _parts(spec: Any) -> Iterator[Mapping[str, Any]]:
    """Every leaf of a spec with its revision or the digest of its code."""
    if isinstance(spec, Mapping):
        if "source" in spec or {"leaf", "revision"} <= spec.keys() or {"kind", "revision"} <= spec.keys():
            yield spec
        for value in spec.values():
            yield from _parts(value)
    elif isinstance(spec, (list, tuple)):
        for value in spec:
            yield from _parts(value)
