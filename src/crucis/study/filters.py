"""Filters and seeds as written: which cells exist and how often each is repeated."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .. import seeds as sequences
from ..errors import did_you_mean
from .matching import allowed
from .scalars import bare, show
from .spec import Factor, Filter, Study
from .tree import BAD, Reading, has_bad

MAX_SEEDS = 20  # more ask for --yes


def read_filter(raw: Any, path: str, factors: Mapping[str, Factor], reading: Reading) -> Filter:
    """A filter: one mapping, or a list of them."""
    if raw is BAD or raw is None:
        return ()
    items = raw if isinstance(raw, list) else [raw]
    out = []
    for i, item in enumerate(items):
        here = f"{path}[{i}]" if isinstance(raw, list) else path
        if item is BAD:
            continue
        if not isinstance(item, Mapping):
            reading.fault("wrong-type", here, f"expected {{factor: level}}, got {show(item)}.")
            continue
        conditions = {}
        for key, wanted in item.items():
            condition = _condition(key, wanted, f"{here}.{key}", factors, reading)
            if condition:
                conditions[condition[0]] = condition[1]
        if len(conditions) == len(item):
            out.append(conditions)
    return tuple(out)


def _condition(
    key: str, wanted: Any, path: str, factors: Mapping[str, Factor], reading: Reading
) -> tuple[tuple[str, str | None], tuple[Any, ...]] | None:
    name, _, part = key.partition(".")
    if name in reading.broken or has_bad(wanted):
        return None
    if name not in factors:
        listed = ", ".join(factors) or "none"
        text = f"no factor '{name}'.{did_you_mean(name, factors) or f' Factors: {listed}.'}"
        if name == "seed":
            text = f"seeds are replicates; a filter is over factors: {listed}."
        reading.fault("unknown-name", path, text, key=True)
        return None
    factor = factors[name]
    fields = sorted({one for level in factor.levels for one in (level.fields or {})})
    if part and part not in fields:
        hint = did_you_mean(part, fields) or (f" Fields: {', '.join(fields)}." if fields else "")
        reading.fault("no-field", path, f"no level of '{name}' has a field '{part}'.{hint}", key=True)
        return None
    values = tuple(wanted) if isinstance(wanted, list) else (wanted,)
    study = Study("", Path(), "", factors=factors)  # only the factors are looked at
    for value in values:
        if isinstance(value, Mapping) or not allowed(study, name, part or None, (value,)):
            known = _known(factor, part)
            is_or = f"{', '.join(known[:-1])} or {known[-1]}" if len(known) > 1 else known[0]
            hint = did_you_mean(bare(value), known)
            reading.fault("no-cell", path, f"no cell has {key}={bare(value)}, since {key} is {is_or}.{hint}")
            return None
    return (name, part or None), values


def _known(factor: Factor, part: str) -> list[str]:
    if not part:
        return list(factor.labels)
    return list(
        dict.fromkeys(bare(level.fields[part]) for level in factor.levels if level.fields and part in level.fields)
    )


# --- seeds ---------------------------------------------------------------------------------------------------


def read_seeds(raw: Any, path: str, reading: Reading) -> tuple[int, ...] | None:
    """Seeds as a count, a list, or `{fresh: count}`; None after a fault."""
    if has_bad(raw):
        return None
    if isinstance(raw, list):
        return _seed_list(raw, path, reading)
    if isinstance(raw, Mapping):
        if list(raw) != ["fresh"]:
            reading.fault("wrong-type", path, f"expected {{fresh: count}}, got {show(raw)}.")
            return None
        count = _seed_count(raw["fresh"], f"{path}.fresh", reading)
        return tuple(sequences.fresh(count)) if count else None
    count = _seed_count(raw, path, reading)
    return tuple(sequences.sequence(count)) if count else None


def _seed_count(raw: Any, path: str, reading: Reading) -> int | None:
    if isinstance(raw, bool) or not isinstance(raw, int):
        reading.fault("wrong-type", path, f"expected a count, a list of seeds or {{fresh: count}}, got {show(raw)}.")
    elif raw < 1:
        reading.fault("out-of-range", path, f"{raw} seeds leave nothing to compute. Write at least 1.")
    elif raw > 100_000:
        reading.fault("out-of-range", path, f"{raw} seeds are more than any study needs.")
    else:
        return raw
    return None


def _seed_list(raw: list[Any], path: str, reading: Reading) -> tuple[int, ...] | None:
    for i, item in enumerate(raw):
        if isinstance(item, bool) or not isinstance(item, int) or item < 0:
            reading.fault("wrong-type", f"{path}[{i}]", f"expected a whole number from 0, got {show(item)}.")
            return None
    if not raw or len(set(raw)) != len(raw):
        reading.fault("out-of-range", path, "a seed twice." if raw else "an empty list of seeds. Write at least one.")
        return None
    return tuple(raw)
