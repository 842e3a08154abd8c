"""From what a runner returned to the text of `record.json`: values checked, files described, digests made."""
# Paths are plain text here: pathlib costs more than the system calls that it wraps.
# ruff: noqa: PTH108, PTH122, PTH208

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..canon import canonical, plainly, sha256
from ..records import Reason, Result
from . import disk

FORMAT = 1
MAX_RECORD = 1_000_000
FILE_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")
RECORD = "record.json"
_ROLES = {".safetensors": "model", ".npz": "table"}
OUTCOMES = ("ok", "refused", "diverged")


@dataclass(frozen=True)
class Draft:
    """All that a record needs. `out` is the folder, inside the store's `tmp`, that becomes the record."""

    key: str
    spec: Mapping[str, Any]
    result: Result
    out: str
    attempt: Mapping[str, Any] = field(default_factory=dict)
    numerics: Mapping[str, Any] = field(default_factory=dict)
    environment: str = ""
    cost: Mapping[str, Any] = field(default_factory=dict)
    time: Mapping[str, str] = field(default_factory=dict)
    label: str = ""


def _number(value: Any, path: str, bad: list[str]) -> Any:
    """The value as JSON; names of what is not finite are added to `bad`. Low-precision numpy scalars become floats."""
    if isinstance(value, Mapping):
        return {name: _number(item, f"{path}.{name}" if path else str(name), bad) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_number(item, f"{path}[{i}]", bad) for i, item in enumerate(value)]
    if type(value).__module__ == "numpy" and getattr(value, "shape", None) == ():
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        bad.append(path)
        return None
    return value


def _readable(value: Any) -> Any:
    """Notes are for people: what has no canonical form is written as text instead of stopping a commit."""
    if isinstance(value, Mapping):
        return {str(name): _readable(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_readable(item) for item in value]
    if value is None or (isinstance(value, (bool, int, str)) or (isinstance(value, float) and math.isfinite(value))):
        return value
    if type(value).__module__ == "numpy" and getattr(value, "shape", None) == ():
        return _readable(value.item())
    return str(value)


def checked(result: Result) -> Result:
    """The result with plain numbers; one that is not finite turns the whole into a refusal that names it.

    Raises:
        ValueError: unknown outcome, or an outcome other than `ok` without a reason.
        TypeError: a value that is no number, text or mapping of them.
    """
    if result.outcome not in OUTCOMES:
        raise ValueError(f"the outcome {result.outcome!r} is none of {', '.join(OUTCOMES)}")
    if result.outcome != "ok" and result.reason is None:
        raise ValueError(f"the outcome {result.outcome!r} needs a reason")
    bad: list[str] = []
    values = _number(result.values, "", bad)
    uncertainty = _number(result.uncertainty, "uncertainty", bad)
    if bad:
        reason = Reason("not_finite", f"not a finite number: {', '.join(bad[:5])}", bad[0])
        return Result("refused", reason=reason, notes=result.notes, reactions=result.reactions)
    return Result(
        result.outcome,
        plainly(values, "values"),
        result.reason,
        plainly(uncertainty, "uncertainty"),
        result.files,
        result.notes,
        result.reactions,
    )


def describe_files(out: str, roles: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Name -> bytes, sha256 and role of every file in the folder.

    Raises:
        ValueError: a folder, link or name that may not be in a record, or a role for a file that is not there.
    """
    found: dict[str, dict[str, Any]] = {}
    with os.scandir(out) as entries:
        for entry in sorted(entries, key=lambda item: item.name):
            if not FILE_NAME.fullmatch(entry.name) or entry.name == RECORD:
                raise ValueError(f"'{entry.name}' may not be the name of a record's file (use a-z 0-9 . _ -)")
            if not entry.is_file(follow_symlinks=False):
                raise ValueError(f"'{entry.name}' is no plain file; a record holds no folders and no links")
            role = roles.get(entry.name) or _ROLES.get(os.path.splitext(entry.name)[1], "file")
            size = entry.stat(follow_symlinks=False).st_size
            found[entry.name] = {"bytes": size, "sha256": disk.file_sha256(entry.path), "role": role}
    missing = sorted(set(roles) - set(found))
    if missing:
        raise ValueError(f"the result names the file '{missing[0]}', which the runner did not leave")
    return found


def content_digest(body: Mapping[str, Any]) -> str:
    """What two computations of one key are compared by: outcome, reason code, values, uncertainty and files."""
    reason = body["reason"]
    parts = [body["outcome"], reason["code"] if reason else None, body["values"], body["uncertainty"], body["files"]]
    return sha256(canonical(parts))


def numerics_block(found: Mapping[str, Any], spec: Mapping[str, Any]) -> dict[str, Any]:
    """The circumstances that numbers depend on, with their digest."""
    block = {name: value for name, value in found.items() if name != "hash"}
    # A spec that does not mention it runs strictly too; leaving it out would look like other hardware.
    block["determinism"] = spec.get("determinism", "strict")
    return {**block, "hash": sha256(canonical(block))}


def body_of(draft: Draft) -> dict[str, Any]:
    """The record's body, without its seal. A refused result keeps no files.

    Some notes of a result go to places of their own: `cost` (seconds by part, joined with what the engine measured),
    and in `attempt` `resumed_at` (positions from which earlier attempts were taken up), `executor` (`solo`, `stacked`)
    and `company` (how many steps were computed together).
    """
    result = checked(draft.result)
    if result.outcome == "refused":
        for name in os.listdir(draft.out):
            os.unlink(f"{draft.out}/{name}")
    notes = dict(result.notes)
    cost = {**draft.cost, **notes.pop("cost", {})}
    resumed, executor, company = notes.pop("resumed_at", []), notes.pop("executor", "solo"), notes.pop("company", 1)
    body: dict[str, Any] = {
        "format": FORMAT,
        "key": draft.key,
        "spec": draft.spec,
        "outcome": result.outcome,
        "reason": result.reason.as_dict() if result.reason else None,
        "values": result.values,
        "uncertainty": result.uncertainty,
        "files": describe_files(draft.out, result.files if result.outcome != "refused" else {}),
        "attempt": {
            "resumed_at": _readable(resumed),
            "reactions": _readable(result.reactions),
            "executor": _readable(executor),
            "slot": None,
            "company": _readable(company),
            **draft.attempt,
        },
        "numerics": numerics_block(draft.numerics, draft.spec),
        "environment": draft.environment,
        "notes": _readable({"label": draft.label, **notes}),
        "cost": _readable(cost),
        "time": dict(draft.time),
    }
    body["content"] = content_digest(body)
    return body


def sealed_text(body: Mapping[str, Any]) -> bytes:
    """The canonical text with its seal in place.

    Raises:
        ValueError: more than 1 MB: longer things are files of the record.
    """
    plain = plainly(body)
    seal = sha256(_dump(plain))
    text = _dump({**plain, "seal": seal}).encode("utf-8")
    if len(text) > MAX_RECORD:
        raise ValueError(f"the record would take {len(text):,} bytes, at most {MAX_RECORD:,}: write a file instead")
    return text


def _dump(plain: Any) -> str:
    return json.dumps(plain, sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def unsealed(text: str) -> dict[str, Any]:
    """The body of a record whose seal holds.

    Raises:
        ValueError: not JSON, no seal, or a seal that does not fit the text.
    """
    body = json.loads(text)
    seal = body.get("seal") if isinstance(body, dict) else None
    if not isinstance(seal, str) or len(seal) != 64:
        raise ValueError("no seal")
    # The text is canonical, so cutting the seal out gives exactly what was sealed; a rewritten text does not fit.
    if sha256(text.replace(f',"seal":"{seal}"', "", 1)) != seal:
        raise ValueError("the seal does not fit the text")
    return body
