"""Section `gates` of a study: kinds, parameters, waivers and mitigations, each fault at its place."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ...errors import did_you_mean
from ..levels import check_name
from ..references import parse_ref
from ..scalars import number, show
from ..spec import Gate
from ..tree import BAD, Reading, has_bad
from .tables import CHECKS, INTEGRITY, PARAMETERS, THRESHOLDS

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_CONDITION = re.compile(r"\s*(<=|>=|<|>)\s*(\S+)\s*")
_COMMON = ("gate", "waive", "mitigate")


def read_gates(raw: Any, reading: Reading) -> dict[str, Gate]:
    """All gates that could be read."""
    if raw is None or raw is BAD:
        return {}
    if not isinstance(raw, Mapping):
        reading.fault("wrong-type", "gates", "expected a mapping of named entries.")
        return {}
    out = {}
    for name, body in raw.items():
        path = f"gates.{name}"
        if check_name(name, path, reading) and body is not BAD:
            gate = _gate(name, body, path, reading)
            if gate is not None:
                out[name] = gate
    return out


def _gate(name: str, body: Any, path: str, reading: Reading) -> Gate | None:
    if not isinstance(body, Mapping) or "gate" not in body:
        kinds = ", ".join(PARAMETERS)
        reading.fault("no-verb", path, f"no kind of gate. Write {{gate: KIND, ...}} with one of {kinds}.")
        return None
    kind = body["gate"]
    if kind is BAD:
        return None
    if not isinstance(kind, str) or kind not in PARAMETERS:
        hint = did_you_mean(str(kind), PARAMETERS) or f" Gates: {', '.join(PARAMETERS)}."
        reading.fault("unknown-name", f"{path}.gate", f"no gate {show(kind)}.{hint}")
        return None
    before = len(reading.faults.items)
    known = PARAMETERS[kind]
    for key in body:
        if key not in known and key not in _COMMON:
            names = (*known, "waive", "mitigate")
            hint = did_you_mean(key, names) or f" It has: {', '.join(names)}."
            reading.fault("unknown-key", f"{path}.{key}", f"gate '{kind}' has no parameter '{key}'.{hint}", key=True)
    params: dict[str, Any] = {}
    for key, (form, default) in known.items():
        if key in body:
            params[key] = None if has_bad(body[key]) else _value(form, body[key], f"{path}.{key}", reading)
        elif default is ...:
            reading.fault("missing", path, f"gate '{kind}' needs '{key}'. Write {key}: {_EXAMPLES[form]}.", key=True)
        else:
            params[key] = default
    if params.get("reported") == 0:
        reading.fault("out-of-range", f"{path}.reported", "the tolerance is relative, and nothing lies relative to 0.")
    waive = {
        check: (who, date, reason)
        for check, (who, date, reason) in _notes(body, "waive", kind, path, reading, "name, date, reason", 3).items()
    }
    mitigate = {
        check: (what, date)
        for check, (what, date) in _notes(body, "mitigate", kind, path, reading, "what is done, date", 2).items()
    }
    return Gate(name, kind, params, waive, mitigate) if len(reading.faults.items) == before else None


_EXAMPLES = {
    "column": "test.accuracy", "number": "91.25%", "text": "TEXT", "comparison": "ANALYSIS", "attribution": "ANALYSIS",
    "file": "./FILE.md", "review": "[review.robust_accuracy]", "gates": "[GATE]",
}  # fmt: skip


def _value(form: str, value: Any, path: str, reading: Reading) -> Any:
    """A parameter's value in its type, or None after a fault."""
    if form in ("number", "share"):
        found = number(value)
        if found is None or (form == "share" and not 0 < found < 1):
            what = "a number" if form == "number" else "a share between 0 and 1, such as 1%"
            reading.fault("wrong-type", path, f"expected {what}, got {show(value)}.")
            return None
        return float(found)
    if form == "count":
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 100:
            reading.fault("wrong-type", path, f"expected a count from 1 to 100, got {show(value)}.")
            return None
        return value
    if form == "direction":
        if value not in ("higher", "lower"):
            reading.fault("not-a-choice", path, f"expected higher or lower, got {show(value)}.")
            return None
        return value
    if form == "column":
        return _column(value, path, reading)
    if form == "review":
        return _review(value, path, reading)
    if form in ("texts", "gates"):
        items = value if isinstance(value, list) else [value]
        if not items or not all(isinstance(item, str) and item.strip() for item in items):
            reading.fault("wrong-type", path, f"expected a list of texts, got {show(value)}.")
            return None
        return tuple(items)
    if not isinstance(value, str) or not value.strip():
        reading.fault("wrong-type", path, f"expected a text, got {show(value)}.")
        return None
    return value


def _column(value: Any, path: str, reading: Reading) -> Any:
    try:
        ref = parse_ref(value)
    except ValueError as error:
        reading.fault("not-a-reference", path, str(error))
        return None
    return ref


def _review(value: Any, path: str, reading: Reading) -> Any:
    """[(column, operator, limit)]: conditions as written, or the stated ones for columns that have one."""
    if isinstance(value, Mapping):
        pairs = [(name, condition, f"{path}.{name}") for name, condition in value.items()]
    else:
        items = value if isinstance(value, list) else [value]
        pairs = [(item, None, f"{path}[{i}]") for i, item in enumerate(items)]
    out = []
    for name, condition, where in pairs:
        ref = _column(name, where, reading)
        if ref is None:
            continue
        text = condition if condition is not None else THRESHOLDS.get(ref.column or "")
        if text is None:
            stated = ", ".join(f"{column} {limit}" for column, limit in THRESHOLDS.items())
            reading.fault(
                "no-criterion", where, f"'{name}' has no stated threshold. Write {{{name}: \"> NUMBER\"}}. "
                f"Stated: {stated}.",
            )  # fmt: skip
            continue
        match = _CONDITION.fullmatch(text) if isinstance(text, str) else None
        limit = number(match[2]) if match else None
        if match is not None and limit is None:
            limit = _plain(match[2])
        if match is None or limit is None:
            reading.fault("wrong-type", where, f'expected a condition such as "> 0.2", got {show(text)}.')
            continue
        out.append((ref, match[1], float(limit)))
    return tuple(out) or None


def _plain(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _notes(
    body: Mapping[str, Any], key: str, kind: str, path: str, reading: Reading, form: str, parts: int
) -> dict[str, tuple[str, ...]]:
    """`waive` or `mitigate`: check -> its parts."""
    raw = body.get(key)
    if raw is None or raw is BAD:
        return {}
    if not isinstance(raw, Mapping):
        reading.fault("wrong-type", f"{path}.{key}", f'expected {{check: "{form}"}}, got {show(raw)}.')
        return {}
    out = {}
    for check, text in raw.items():
        where = f"{path}.{key}.{check}"
        if check not in CHECKS[kind]:
            hint = did_you_mean(check, CHECKS[kind]) or f" Checks: {', '.join(CHECKS[kind])}."
            reading.fault("unknown-name", where, f"gate '{kind}' has no check '{check}'.{hint}", key=True)
            continue
        if check in INTEGRITY and key == "waive":
            reading.fault(
                "integrity", where, f"'{check}' says whether records and evidence are what was written; nobody can "
                "waive that.", key=True,
            )  # fmt: skip
            continue
        if key == "mitigate" and CHECKS[kind][check]:
            reading.fault(
                "critical", where, f"'{check}' is critical; it can be mended or waived, not mitigated.", key=True
            )
            continue
        found = _split(text, parts) if isinstance(text, str) else None
        if found is None:
            if text is not BAD:
                reading.fault(
                    "wrong-type", where, f'expected "{form}" with a date such as 2026-01-31, got {show(text)}.'
                )
            continue
        out[check] = found
    return out


def _split(text: str, parts: int) -> tuple[str, ...] | None:
    """`name, date, reason` (a reason may hold commas), or `text, date` (the text may hold them)."""
    if parts == 3:
        found = [part.strip() for part in text.split(",", 2)]
        date = found[1] if len(found) == 3 else ""
    else:
        found = [part.strip() for part in text.rsplit(",", 1)]
        date = found[-1] if len(found) == 2 else ""
    return tuple(found) if _DATE.fullmatch(date) and all(found) else None
