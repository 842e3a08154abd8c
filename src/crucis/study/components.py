"""Which components the levels of a factor have in or out: what `attribute` takes a factor apart into."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .matching import label_of
from .spec import Study

#: Field values that say in or out, as labels.
IN, OUT = ("in", "on", "yes", "true", "1", "with"), ("out", "off", "no", "false", "0", "without")


@dataclass(frozen=True)
class Components:
    """Names of the components that vary, and level -> 1 (in) or 0 (out) of each, in the order of the file."""

    names: tuple[str, ...]
    coded: Mapping[str, tuple[int, ...]]


def components_of(study: Study, factor: str, labels: Iterable[str]) -> Components:
    """The components of some levels of a factor; no names if their fields say nothing of the kind.

    A component is a field that every one of these levels has with the value `in` or `out`, both of which occur. Only
    where no field says `in` or `out`, other fields of two values count: on/off, yes/no, true/false, 1/0, with/without.
    """
    kept = set(labels)
    levels = [level for level in study.factors[factor].levels if level.label in kept]
    rows = {level.label: {k: _state(v) for k, v in (level.fields or {}).items()} for level in levels}
    plain = _varying(rows, ("in",), ("out",))
    names = plain or _varying(rows, IN, OUT)
    return Components(names, {label: tuple(int(row[name] in IN) for name in names) for label, row in rows.items()})


def _state(value: Any) -> str:
    return ("true" if value else "false") if isinstance(value, bool) else label_of(value)


def _varying(rows: Mapping[str, Mapping[str, str]], inside: Sequence[str], outside: Sequence[str]) -> tuple[str, ...]:
    names = dict.fromkeys(name for row in rows.values() for name in row)
    found = {name: {row.get(name, "") for row in rows.values()} for name in names}
    return tuple(
        name
        for name, states in found.items()
        if len(states) == 2 and all(one in (*inside, *outside) for one in states) and states & set(inside)
        and states & set(outside)
    )  # fmt: skip


def asked(names: Sequence[str], pairs: bool) -> list[tuple[str, tuple[int, ...]]]:
    """Label on the axis `component` and the places of the components it names: each alone, or every pair."""
    some = itertools.combinations(range(len(names)), 2 if pairs else 1)
    return [("-".join(names[i] for i in places), places) for places in some]
