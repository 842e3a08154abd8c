"""Computing records again, in an empty store, and saying whether they are bit for bit the same, and if not, where."""

from __future__ import annotations

import json
import re
import shutil
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from .. import shelf
from ..canon import canonical
from ..engine import arrivals, supervisor
from ..engine.steps import Step
from ..engine.store import Store
from ..errors import CrucisError, Stopped
from ..records import Record
from ..report.content import plain
from .identity import ENTRY
from .pictures import figures
from .plan import Node
from .provenance import stages_behind, times_behind
from .session import PRELOAD, Conclusion, Session, conclude

RUNNER = "crucis.study.steps:run"


@dataclass(frozen=True)
class Comparison:
    """What recomputing gave. `lines` name every record or number that differs, and where it first does, in the order
    in which they were computed; `said`: what a claim, an analysis or a figure came to again; `timed` records are equal
    but for what depends on the machine and the moment."""

    checked: int
    lines: tuple[str, ...]
    said: tuple[str, ...] = ()
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
        return f"{self.checked} record{'s' * (self.checked != 1)} recomputed, {len(self.lines)} differ"


def reproduce_record(store: Store, key: str, folder: Path, *, workers: int | None = None) -> Comparison:
    """Recompute one record from its inputs, which are taken from the store as they are.

    Raises:
        CrucisError: no plan in the store knows the step.
    """
    step = _planned(store, key)
    return _recompute(store, [step], Store(folder / "store"), workers, {step.key})


def reproduce_study(
    session: Session, folder: Path, *, workers: int | None = None, part: str | None = None
) -> Comparison:
    """Recompute records of a study from nothing and compare those that the store has.

    Args:
        session: the study at its store.
        folder: an empty folder for the records computed again.
        workers: worker processes.
        part: a claim, an analysis, a derived column, a figure of the report, a stage, or a record's key (its
            beginning): only what that rests on. Of a claim, an analysis and a figure also the numbers are compared.

    Raises:
        CrucisError: the study has no such part.
    """
    names, nodes = _part(session, part)
    steps = session.plan.steps_of(nodes)
    present = session.store.hits([step.key for step in steps if not step.sealed])
    session.plan.code.keep(session.store.path / "code")
    fresh = Store(folder / "store")
    found = _recompute(session.store, steps, fresh, workers, present)
    if not names:
        return found
    lines, said = _conclusions(session, fresh, names)
    return replace(found, lines=(*found.lines, *lines), said=said)


def _part(session: Session, part: str | None) -> tuple[list[str], list[Node]]:
    """The claims, analyses and figures to compare, and the nodes to compute."""
    plan, study = session.plan, session.study
    if part is None:
        return [*study.claims, *study.analysis], plan.nodes
    if re.fullmatch(r"[0-9a-f]{4,64}", part):
        wanted = [node for node in plan.nodes if any(key.startswith(part) for key in (node.key, *node.marks.values()))]
        if wanted:
            return [], plan.with_inputs(wanted)
    drawn = {figure.name for figure in _figures(conclude(session))}
    name = part
    if part in drawn and not any(part in entries for entries in (study.claims, study.analysis, study.stages)):
        known = [entry for entry in (*study.analysis, *study.stages) if part.startswith(entry)]
        name = max(known, key=len)
    stages = stages_behind(study, name)
    nodes = plan.with_inputs([node for node in plan.nodes if node.instance.stage in stages])
    return ([part] if part not in study.stages else []), nodes


def _figures(conclusion: Conclusion) -> Iterable[Any]:
    return figures(conclusion.readings, conclusion.results)


def _conclusions(session: Session, fresh: Store, names: list[str]) -> tuple[list[str], tuple[str, ...]]:
    """What the analyses and claims say of the records computed again, held against what they say of the old ones."""
    before, after = conclude(session), conclude(replace_store(session, fresh))
    lines, said = [], []
    for name in dict.fromkeys(names):
        pairs = {
            "claim": (before.verdicts.get(name), after.verdicts.get(name)),
            "analysis": (before.results.get(name), after.results.get(name)),
            "figure": tuple(next((f for f in _figures(c) if f.name == name), None) for c in (before, after)),
        }
        for kind, (old, new) in pairs.items():
            if old is None and new is None:
                continue
            if repr(plain(_numbers(old))) == repr(plain(_numbers(new))):  # NaN is equal to itself in writing
                again = f"{old.outcome.upper()} again, " if kind == "claim" else ""  # type: ignore[union-attr]
                said.append(f"{kind} {name}: {again}every number bitwise equal")
            elif times := times_behind(session.study, name):
                said.append(f"{kind} {name}: not compared, since it reads times ({', '.join(times)})")
            else:
                lines.append(f"{kind} {name}: comes out otherwise with the records computed again")
    return lines, tuple(said)


def replace_store(session: Session, store: Store) -> Session:
    """The same study and plan over other records."""
    other = replace(session, store=store)
    other.__dict__["plan"] = session.plan
    return other


def _numbers(value: Any) -> Any:
    """A result without the mappings that `plain` does not enter, in a fixed order."""
    if isinstance(value, Mapping):
        return tuple((name, _numbers(value[name])) for name in sorted(value))
    fields = getattr(type(value), "__dataclass_fields__", None)
    if fields is not None:
        return tuple((name, _numbers(getattr(value, name))) for name in fields)
    if isinstance(value, (list, tuple)):
        return tuple(map(_numbers, value))
    return value


def _planned(store: Store, key: str) -> Step:
    plans = sorted((store.path / "plans").glob("*.json"), key=lambda path: -path.stat().st_mtime)
    for path in plans:
        if key in path.read_text(encoding="utf-8"):
            for step in store.read_plan(path):
                if step.key == key:
                    return replace(step, sealed=False)
                if key in step.publishes:
                    raise CrucisError(f"{key[:12]} is a checkpoint of {step.key[:12]}; reproduce that training")
    raise CrucisError(f"no plan in {store.path} knows the step {key[:12]}; name its study too: "
                      f"crucis reproduce STUDY {key[:12]}")  # fmt: skip


def _recompute(store: Store, steps: list[Step], fresh: Store, workers: int | None, compare: set[str]) -> Comparison:
    ours = {step.key for step in steps} | {key for step in steps for key in step.publishes}
    for needed in {key for step in steps for key in step.input_keys()} - ours:
        if store.has(needed) and not store.whole(needed):
            raise CrucisError(f"the weights of {needed[:12]} were given up (crucis gc --weights); to make them again: "
                              "crucis run STUDY --weights")  # fmt: skip
        target = Path(fresh.root) / "steps" / needed[:2] / needed
        shutil.copytree(Path(store.root) / "steps" / needed[:2] / needed, target)
    code = Path(store.root) / "code"
    if code.is_dir():
        shutil.copytree(code, Path(fresh.root) / "code", dirs_exist_ok=True)
    outcome = supervisor.run(steps, fresh, runner=RUNNER, preload=PRELOAD, workers=workers)
    if outcome.stopped:
        raise Stopped("stopped before everything was recomputed; nothing can be said")
    labels = {}
    for step in steps:
        labels[step.key] = step.label
        if step.key in compare:
            labels |= dict.fromkeys(step.publishes, f"checkpoint of {step.label}")
    lines, equal, timed = [], [], 0
    for key, label in labels.items():
        before, after = store.read(key), fresh.read(key)
        if key in compare and before is None:
            lines.append(f"{label} ({key[:12]}): the record in the store is damaged and is now in quarantine")
        elif key in compare and after is None:
            lines.append(f"{label} ({key[:12]}): could not be recomputed{_failure(fresh, key)}")
        elif before is not None and after is not None:
            chance = circumstance(before, store)
            if before.body["content"] == after.body["content"]:
                equal.append(key)
            elif chance and _lasting(before, chance) == _lasting(after, chance):
                timed += 1
                equal.append(key)
            else:
                lines.append(f"{label} ({key[:12]}): {'; '.join(first_differences(before, after, chance))}")
    arrivals.confirm(store, equal)
    return Comparison(len(compare), tuple(lines), timed=timed)


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
