"""Garbage collection: what no pin, young plan, live lease or import rests on goes to the trash, and later away."""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from .archive import read_plan, references
from .lease import Leases
from .steps import EngineError
from .store import Store
from .weights import Shedding, Stays, needed_by
from .weights import survey as shedding

DAY = 86_400.0
_KEY = re.compile(r"[0-9a-f]{64}")
_JOURNAL_PID = re.compile(r"\.(\d+)(\.\d+\.jsonl|\.log(\.1)?)$")


@dataclass
class Sweep:
    """What a collection would remove, or has removed."""

    records: list[str] = field(default_factory=list)
    plans: list[str] = field(default_factory=list)
    tmp: list[str] = field(default_factory=list)
    scratch: list[str] = field(default_factory=list)
    journals: list[str] = field(default_factory=list)
    trash: list[str] = field(default_factory=list)
    bytes: int = 0
    kept: int = 0
    """How many records stay."""


def inputs_of(spec: Mapping[str, Any]) -> Iterator[str]:
    """Keys that a spec names: its `inputs`, and the step that a checkpoint is of."""
    named: list[Any] = [spec.get("of"), *dict(spec.get("inputs") or {}).values()]
    for value in named:
        for key in value if isinstance(value, list) else [value]:
            if isinstance(key, str) and _KEY.fullmatch(key):
                yield key


def _young_plans(store: Store, keep_s: float, now: float) -> tuple[list[Path], list[Path]]:
    young: list[Path] = []
    old: list[Path] = []
    for path in sorted((store.path / "plans").glob("*.json")):
        (young if now - path.stat().st_mtime <= keep_s else old).append(path)
    return young, old


def roots(store: Store, plans: Iterable[Path], leases: Leases) -> set[str]:
    """Keys that are kept for their own sake."""
    found = set(leases.alive())
    for path in plans:
        for step in read_plan(store.path, path):
            found.update((step.key, *step.publishes, *step.input_keys()))
    for folder in ("pins", "imports"):
        for path in (store.path / folder).glob("*.json"):
            found.update(references(path))
    return found


def reachable(store: Store, start: Iterable[str]) -> set[str]:
    """The keys and everything that their records rest on."""
    found, queue = set(start), list(start)
    while queue:
        record = store.read(queue.pop())
        for key in inputs_of(record.spec) if record else ():
            if key not in found:
                found.add(key)
                queue.append(key)
    return found


def _mark(store: Store, leases: Leases, keep_s: float, now: float) -> tuple[set[str], list[Path]]:
    """What is reachable, and old plans. Marks again when a plan was written meanwhile."""
    while True:
        young, old = _young_plans(store, keep_s, now)
        kept = reachable(store, roots(store, young, leases))
        if [path.name for path in _young_plans(store, keep_s, now)[0]] == [path.name for path in young]:
            return kept, old


def survey(store: Store, *, keep_days: float = 90.0, rest_days: float = 7.0, now: float | None = None) -> Sweep:
    """What `collect` would remove.

    Args:
        store: the store.
        keep_days: plans younger than this keep their steps.
        rest_days: records, and what lies in the trash, younger than this stay; also journals.
        now: wall-clock seconds (file times are all that is compared; for tests).
    """
    at = time.time() if now is None else now
    leases = Leases(store.root)
    kept, old = _mark(store, leases, keep_days * DAY, at)
    sweep = Sweep(plans=[path.name for path in old])
    for key in store.all_keys():
        if key not in kept and _age(store.folder(key), at) > rest_days * DAY:
            sweep.records.append(key)
            sweep.bytes += _size(store.folder(key))
        else:
            sweep.kept += 1
    _survey_rest(store, sweep, leases.alive(), rest_days * DAY, at)
    return sweep


def _survey_rest(store: Store, sweep: Sweep, alive: set[str], rest_s: float, at: float) -> None:
    heads = {key[:16] for key in alive}
    for entry in sorted((store.path / "tmp").iterdir()):
        if _age(str(entry), at) > DAY and entry.name[:16] not in heads:
            sweep.tmp.append(entry.name)
            sweep.bytes += _size(str(entry))
    for entry in sorted((store.path / "scratch").iterdir()):
        if store.has(entry.name) and entry.name not in alive:
            sweep.scratch.append(entry.name)
            sweep.bytes += _size(str(entry))
    for entry in sorted((store.path / "journal").iterdir()):
        if _JOURNAL_PID.search(entry.name) and _age(str(entry), at) > rest_s:
            sweep.journals.append(entry.name)
            sweep.bytes += _size(str(entry))
    for entry in sorted((store.path / "trash").iterdir()):
        if _age(str(entry), at) > rest_s:
            sweep.trash.append(entry.name)


def collect(
    store: Store,
    *,
    keep_days: float = 90.0,
    rest_days: float = 7.0,
    now: float | None = None,
    fault: Callable[[str], None] | None = None,
) -> Sweep:
    """Remove what `survey` lists. Records go to `trash/DATE/` first; what a plan written meanwhile names comes back.

    Raises:
        EngineError: another collection is going on.
    """
    leases = Leases(store.root)
    lease = leases.claim("gc")
    if lease is None:
        raise EngineError(f"another garbage collection is going on in {store.root}")
    try:
        at = time.time() if now is None else now
        sweep = survey(store, keep_days=keep_days, rest_days=rest_days, now=at)
        if fault:
            fault("marked")
        bin_ = store.path / "trash" / datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d")
        moved = [key for key in sweep.records if _move(Path(store.folder(key)), bin_ / key)]
        if moved:
            os.utime(bin_, (at, at))
        if fault:
            fault("moved")
        kept, _ = _mark(store, leases, keep_days * DAY, at)
        for key in moved:
            if key in kept:
                _move(bin_ / key, Path(store.folder(key)))
                sweep.records.remove(key)
                sweep.kept += 1
        for folder, names in (("plans", sweep.plans), ("tmp", sweep.tmp), ("scratch", sweep.scratch)):
            _remove(store.path / folder, names)
        _remove(store.path / "journal", sweep.journals)
        _remove(store.path / "trash", sweep.trash)
        return sweep
    finally:
        lease.drop()


def shed(
    store: Store,
    stays: Stays,
    *,
    act: bool = False,
    keep_days: float = 90.0,
    rest_days: float = 7.0,
    now: float | None = None,
) -> Shedding:
    """Give up weights that can be computed again and that nothing needs: records, tables and curves stay.

    Needed are: what pins, imports that were not yet computed again and live leases hold, with all they rest on; inputs
    of unfinished steps of young plans; what other trainings began with.

    Args:
        store: the store.
        stays: why the weights of a record stay for its own sake (they cannot be computed again here), or nothing.
        act: really remove; else only say what would go.
        keep_days, rest_days, now: as for `survey`.

    Raises:
        EngineError: another collection is going on.
    """
    leases = Leases(store.root)
    lease = leases.claim("gc") if act else None
    if act and lease is None:
        raise EngineError(f"another garbage collection is going on in {store.root}")
    try:
        at = time.time() if now is None else now
        while True:
            young, _ = _young_plans(store, keep_days * DAY, at)
            steps = [step for path in young for step in read_plan(store.path, path)]
            needed = needed_by(store, steps, reachable(store, roots(store, (), leases)))
            found = shedding(store, needed, stays, rest_s=rest_days * DAY, now=at)
            if _young_plans(store, keep_days * DAY, at)[0] == young:
                break
        if act:
            found.bytes = sum(store.give_up(key) for key in found.keys)
        return found
    finally:
        if lease is not None:
            lease.drop()


def _move(source: Path, target: Path) -> bool:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        source.rename(target)
    except OSError:  # computed or removed by somebody in the meantime
        return False
    return True


def _remove(folder: Path, names: Iterable[str]) -> None:
    for name in names:
        path = folder / name
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _age(path: str, at: float) -> float:
    try:
        return at - Path(path).stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _size(path: str) -> int:
    here = Path(path)
    if here.is_file():
        return here.stat().st_size
    return sum(file.stat().st_size for file in here.rglob("*") if file.is_file())
