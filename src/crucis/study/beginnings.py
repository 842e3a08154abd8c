"""Trainings that begin with the weights of a record: which record a study means, and what that says of the step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..engine.store import Store

ROLE = "initial"
MODEL = "model.safetensors"
_LEAST = 8  # characters of a key that name a record


@dataclass(frozen=True)
class Beginning:
    """The record whose weights a training begins with: its key, the digest of the weights, the trainings behind it."""

    key: str
    weights: str
    depth: int


def beginning(written: Any, store: Store | None) -> Beginning | None:
    """The record that `initial: KEY` names by its key or the beginning of it; None if nothing is written.

    Raises:
        ValueError: no store, no such record or several, or one that left no model.
    """
    if written is None:
        return None
    if store is None:
        raise ValueError("'initial' names a record of the store, and there is no store here")
    if len(written) < _LEAST:
        raise ValueError(f"initial: {written} is too short for a key; write at least {_LEAST} of its characters")
    found = [key for key in store.all_keys() if key.startswith(written)]
    if len(found) != 1:
        many = (
            f"{len(found)} records begin with {written}" if found else f"no record of this store begins with {written}"
        )
        raise ValueError(f"initial: {many}. crucis plan STUDY --steps lists keys; crucis restore brings archives in")
    record = store.read(found[0])
    file = record.body["files"].get(MODEL) if record is not None else None
    if record is None or record.outcome != "ok" or file is None:
        raise ValueError(f"initial: the record {found[0][:12]} left no model")
    made = store.read(str(record.spec["of"])) if record.spec["kind"] == "at" else record
    depth = int(made.spec.get("depth", 0)) + 1 if made is not None else 1
    return Beginning(found[0], str(file["sha256"]), depth)
