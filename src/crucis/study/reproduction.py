"""Computing records again, in an empty store, and saying whether they are bit for bit the same, and if not, where."""

from __future__ import annotations

import json
import shutil
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from .. import shelf
from ..canon import canonical
from ..engine import supervisor
from ..engine.steps import Step
from ..engine.store import Store
from ..errors import CrucisError, Stopped
from ..records import Record
from .identity import ENTRY
from .session import PRELOAD, Session

RUNNER = "crucis.study.steps:run"


@dataclass(frozen=True)
class Comparison:
    """What recomputing gave. `lines` name every record that differs, and where it first does; `timed` records are equal
    but for what depends on the machine and the moment."""

    checked: int
    lines: tuple[str, ...]
    timed: int = 0

    @property
    def equal(self) -> bool:
        """Whether everything is bitwise equal."""
        return not self.lines

    @property
    def sentence(self) -> str:
        """In words."""
        if self.equal:
            aside = f" ({self.timed} of them but for times, which no two runs share)" if self.timed else ""
            return f"{self.checked} record{'s' * (self.checked != 1)} recomputed, bitwise equal{aside}"
        return f"{self.checked} records recomputed, {len(self.lines)} differ"


def reproduce_record(store: Store, key: str, folder: Path, *, workers: int | None = None) -> Comparison:
    """Recompute one record from its inputs, which are taken from the store as they are.

    Raises:
        CrucisError: no plan in the store knows the step.
    """
    step = _planned(store, key)
    return _recompute(store, [step], Store(folder / "store"), workers, {step.key})


def reproduce_study(session: Session, folder: Path, *, workers: int | None = None) -> Comparison:
    """Recompute every record of a study from nothing and compare those that the store has."""
    steps = session.plan.steps()
    present = session.store.hits([step.key for step in steps if not step.sealed])
    session.plan.code.keep(session.store.path / "code")
    return _recompute(session.store, steps, Store(folder / "store"), workers, present)


def _planned(store: Store, key: str) -> Step:
    plans = sorted((store.path / "plans").glob("*.json"), key=lambda path: -path.stat().st_mtime)
    for path in plans:
        if key in path.read_text(encoding="utf-8"):
            for step in store.read_plan(path):
                if step.key == key:
                    return replace(step, sealed=False)
                if key in step.publishes:
                    raise CrucisError(f"{key[:12]} is a checkpoint of {step.key[:12]}; reproduce that training")
    raise CrucisError(f"no plan in {store.path} knows the step {key[:12]}")


def _recompute(store: Store, steps: list[Step], fresh: Store, workers: int | None, compare: set[str]) -> Comparison:
    ours = {step.key for step in steps} | {key for step in steps for key in step.publishes}
    for needed in {key for step in steps for key in step.input_keys()} - ours:
        target = Path(fresh.root) / "steps" / needed[:2] / needed
        shutil.copytree(Path(store.root) / "steps" / needed[:2] / needed, target)
    code = Path(store.root) / "code"
    if code.is_dir():
        shutil.copytree(code, Path(fresh.root) / "code", dirs_exist_ok=True)
    outcome = supervisor.run(steps, fresh, runner=RUNNER, preload=PRELOAD, workers=workers)
    if outcome.stopped:
        raise Stopped("stopped before everything was recomputed; nothing can be said")
    labels = {step.key: step.label for step in steps}
    lines = [
        f"{labels[key]} ({key[:12]}): could not be recomputed{_failure(fresh, key)}"
        for key in sorted(compare)
        if not fresh.has(key)
    ]
    timed = 0
    labels |= {key: f"checkpoint of {step.label}" for step in steps if step.key in compare for key in step.publishes}
    for key, label in labels.items():
        before, after = store.read(key), fresh.read(key)
        if before is None and key in compare:
            lines.append(f"{label} ({key[:12]}): the record in the store is damaged and is now in quarantine")
        if before is not None and after is not None and before.body["content"] != after.body["content"]:
            chance = circumstance(before, store)
            if chance and _lasting(before, chance) == _lasting(after, chance):
                timed += 1
            else:
                lines.append(f"{label} ({key[:12]}): {'; '.join(first_differences(before, after, chance))}")
    return Comparison(len(compare), tuple(lines), timed)


def _failure(store: Store, key: str) -> str:
    notes = store.failures(key)
    return f": {notes[-1].get('text', '')}" if notes else ""


def circumstance(record: Record, store: Store) -> frozenset[str]:
    """Columns and files that depend on the machine and the moment, as the record's leaf declares (`CIRCUMSTANCE`)."""
    verb, _, name = record.spec["kind"].partition("/")
    if verb not in shelf.SHELVES:
        return frozenset()
    if "source" in record.spec:
        folder = store.path / "code" / record.spec["source"]
        name = (folder / ENTRY).read_text(encoding="utf-8")
        leaf = shelf.read_leaf(shelf.SHELVES[verb], folder / name, name, own=True)
    else:
        leaf = shelf.leaf(verb, name)
    return frozenset(leaf.constants.get("CIRCUMSTANCE", ()))


def _lasting(record: Record, chance: frozenset[str]) -> str:
    """What two computations of a record must share, as text."""
    columns = [
        {name: value for name, value in found.items() if name.partition("@")[0] not in chance}
        for found in (record.values, record.uncertainty)
    ]
    files = {name: about["sha256"] for name, about in record.body["files"].items() if name not in chance}
    return canonical([record.outcome, (record.body.get("reason") or {}).get("code", ""), columns, files])


def first_differences(before: Record, after: Record, chance: frozenset[str] = frozenset()) -> list[str]:
    """Where two records of one key differ: hardware, values, and the first differing place of each file; `chance` names
    columns and files that are no part of the comparison."""
    out = []
    old, new = before.body.get("numerics", {}), after.body.get("numerics", {})
    out += [f"{name} was {old.get(name)}, is {new.get(name)}" for name in sorted({*old, *new} - {"hash"})
            if old.get(name) != new.get(name)]  # fmt: skip
    if before.outcome != after.outcome:
        out.append(f"outcome {before.outcome} became {after.outcome}")
    for name in sorted({*before.values, *after.values}):
        if name.partition("@")[0] in chance:
            continue
        if canonical(before.values.get(name)) != canonical(after.values.get(name)):
            out.append(f"{name} {before.values.get(name)} became {after.values.get(name)}")
    for name in sorted({*before.body["files"], *after.body["files"]} - chance):
        pair = before.folder / name, after.folder / name
        if all(path.is_file() for path in pair) and pair[0].read_bytes() != pair[1].read_bytes():
            out.append(f"{name}: {_place(*pair)}")
    return out


def _place(first: Path, second: Path) -> str:
    if first.suffix == ".npz":
        with np.load(first, allow_pickle=False) as a, np.load(second, allow_pickle=False) as b:
            return _first_array({n: a[n] for n in a.files}, {n: b[n] for n in b.files})
    if first.suffix == ".safetensors":
        return _first_array(_tensors(first), _tensors(second))
    return "bytes differ"


def _first_array(a: Mapping[str, np.ndarray], b: Mapping[str, np.ndarray]) -> str:
    for name in _in_order(a, b):
        if name not in a or name not in b or a[name].shape != b[name].shape:
            return f"'{name}' has another shape"
        differs = np.flatnonzero(~_same(a[name], b[name]).reshape(-1))
        if len(differs):
            where = np.unravel_index(int(differs[0]), a[name].shape) if a[name].ndim else ()
            at = f" (step {a['step'][int(where[0])]})" if "step" in a and where else ""
            return f"'{name}' differs first at {[int(i) for i in where]}{at}, {len(differs)} of {a[name].size} entries"
    return "layout differs"


def _in_order(a: Iterable[str], b: Iterable[str]) -> list[str]:
    return list(dict.fromkeys([*a, *b]))


def _same(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    both = np.isnan(a) & np.isnan(b) if a.dtype.kind == "f" else np.zeros(a.shape, bool)
    return (a == b) | both


def _tensors(path: Path) -> dict[str, np.ndarray]:
    """Tensors of a safetensors file as raw integers of their width: enough to compare bits, without torch."""
    data = path.read_bytes()
    (size,) = struct.unpack("<Q", data[:8])
    header: dict[str, Any] = json.loads(data[8 : 8 + size])
    out = {}
    for name, about in header.items():
        if name != "__metadata__":
            begin, end = about["data_offsets"]
            raw = np.frombuffer(data[8 + size + begin : 8 + size + end], np.uint8)
            count = int(np.prod(about["shape"])) or 1
            width = len(raw) // count
            wide = raw.view(f"<u{width}") if width in (1, 2, 4, 8) else raw
            out[name] = wide.reshape(about["shape"]) if wide.size == count else raw
    return out
