"""The table of a study: planned rows with their states, joined column by column. A row that is absent is named."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from .spec import Dollar, Filter, Ref

#: Why a planned value is absent. `excluded` (absent by design) is counted, never listed as missing.
ABSENT = ("refused", "diverged", "failed", "missing", "sealed")


@dataclass(frozen=True)
class Point:
    """One planned value of a column.

    `state` is `ok`, one of `ABSENT`, or `excluded`; `numerics` names the hardware and libraries that computed it;
    `se` is the standard error that the measurement gave itself; `why` says in words why a value is absent.
    """

    axes: Mapping[str, str]
    seed: int | None
    value: float | None
    state: str
    key: str = ""
    numerics: str = ""
    se: float | None = None
    why: str = ""


class Source(Protocol):
    """Where points come from."""

    def points(self, ref: Ref) -> list[Point]:
        """Every planned value of a stage's column or a factor's field, whatever its state."""
        ...

    def field(self, factor: str, label: str, field: str) -> Any:
        """The field of a level; None if the level has none of that name."""
        ...

    def labels(self, axis: str) -> tuple[str, ...]:
        """Labels of an axis in the order of the file; empty if unknown."""
        ...


@dataclass(frozen=True)
class Missing:
    """A planned value that a result lacks: the record's key, its state and where it stands in the table."""

    key: str
    state: str
    axes: Mapping[str, str]
    seed: int | None
    why: str = ""

    @property
    def order(self) -> tuple[Any, ...]:
        """For a list that is the same every time."""
        return (tuple(sorted(self.axes.items())), -1 if self.seed is None else self.seed, self.key, self.state)


@dataclass(frozen=True)
class Entry:
    """A point, or what an expression made of several: its value, and everything that was absent on the way.

    `value` is None if it cannot be known; a value beside `missing` was computed from an incomplete contrast.
    """

    axes: Mapping[str, str]
    seed: int | None
    value: float | None
    missing: tuple[Missing, ...] = ()
    excluded: bool = False
    numerics: frozenset[str] = frozenset()
    se: float | None = None

    @property
    def present(self) -> bool:
        """Whether there is a number."""
        return self.value is not None and not self.excluded

    def without(self, axes: Iterable[str]) -> Entry:
        """The same entry with these axes left out (`seed` included)."""
        gone = set(axes)
        return replace(
            self,
            axes={axis: label for axis, label in self.axes.items() if axis not in gone},
            seed=None if "seed" in gone else self.seed,
        )


Column = list[Entry]


def text_of(value: Any) -> str:
    """The label of a field's value, as a level of that value would be labelled."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return repr(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    return str(value).replace(" ", "-").replace("/", "_")


def entries(points: Sequence[Point], ref: Ref) -> Column:
    """Points as entries, with the axes that `ref` fixes selected and removed.

    A failed step has no labels on an instrument's own axes; its absence is spread over the labels the others have.
    """
    fixed = {axis: value for axis, value in ref.at if not isinstance(value, Dollar) and value != "*"}
    out = [_entry(point) for point in points if _fits(point, fixed)]
    return [entry.without(fixed) for entry in _spread(out)]


def _fits(point: Point, fixed: Mapping[str, str]) -> bool:
    for axis, value in fixed.items():
        if axis == "seed":
            if point.seed is not None and str(point.seed) != value:
                return False
        elif point.axes.get(axis, value) != value:
            return False
    return True


def _entry(point: Point) -> Entry:
    numerics = frozenset({point.numerics}) if point.numerics else frozenset()
    if point.state == "ok" and point.value is not None:
        return Entry(point.axes, point.seed, float(point.value), (), False, numerics, point.se)
    if point.state == "excluded":
        return Entry(point.axes, point.seed, None, (), True)
    state = point.state if point.state in ABSENT else "refused"
    lost = Missing(point.key, state, point.axes, point.seed, point.why)
    return Entry(point.axes, point.seed, None, (lost,), False, numerics)


def _spread(column: Column) -> Column:
    known: dict[str, list[str]] = {}
    for entry in column:
        for axis, label in entry.axes.items():
            if label not in known.setdefault(axis, []):
                known[axis].append(label)
    out: Column = []
    for entry in column:
        open_ends = [{}] if entry.present else [dict[str, str]()]
        if not entry.present:
            for axis in known:
                if axis not in entry.axes:
                    open_ends = [{**rest, axis: label} for rest in open_ends for label in known[axis]]
        out += [replace(entry, axes={**entry.axes, **rest}) for rest in open_ends]
    return out


# --- joining -------------------------------------------------------------------------------------------------


def axes_of(column: Column) -> tuple[str, ...]:
    """The axes that a column has, in order of appearance, without the seed."""
    seen: dict[str, None] = {}
    for entry in column:
        seen.update(dict.fromkeys(entry.axes))
    return tuple(seen)


def seeded(column: Column) -> bool:
    """Whether any entry has a seed."""
    return any(entry.seed is not None for entry in column)


def join(left: Column, right: Column, combine: Callable[[Entry, Entry], Entry]) -> Column:
    """Combine entries that agree on every axis they share, seed by seed; what has no seed goes with every seed.

    An entry without a partner became absent by design on the other side and counts as excluded.
    """
    shared = [axis for axis in axes_of(left) if axis in axes_of(right)]
    index: dict[tuple[str, ...], list[Entry]] = {}
    for entry in right:
        index.setdefault(tuple(entry.axes.get(axis, "") for axis in shared), []).append(entry)
    out: Column = []
    for one in left:
        partners = [
            other
            for other in index.get(tuple(one.axes.get(axis, "") for axis in shared), [])
            if one.seed is None or other.seed is None or one.seed == other.seed
        ]
        out += [combine(one, other) for other in partners] or [replace(one, value=None, missing=(), excluded=True)]
    return out


def merged(one: Entry, other: Entry, value: float | None) -> Entry:
    """The entry of a value computed from two: all axes, all that was missing, all hardware."""
    return Entry(
        {**one.axes, **other.axes},
        other.seed if one.seed is None else one.seed,
        value,
        united((*one.missing, *other.missing)),
        one.excluded or other.excluded,
        one.numerics | other.numerics,
    )


def united(missing: Iterable[Missing]) -> tuple[Missing, ...]:
    """Each absence once, in a fixed order."""
    return tuple(sorted({item.order: item for item in missing}.values(), key=lambda item: repr(item.order)))


def grouped(column: Column, by: Sequence[str], source: Source) -> dict[tuple[str, ...], Column]:
    """Entries by their labels on `by` (axes or `factor.field`); entries without such an axis go to every group."""
    groups: dict[tuple[str, ...], Column] = {}
    loose: Column = []
    for entry in column:
        labels = [label_of(entry.axes, axis, source) for axis in by]
        if any(label is None for label in labels):
            loose.append(entry)
        else:
            groups.setdefault(tuple(str(label) for label in labels), []).append(entry)
    for entry in loose:
        for labels_, group in groups.items():
            known = [label_of(entry.axes, axis, source) for axis in by]
            if all(mine is None or mine == theirs for mine, theirs in zip(known, labels_, strict=True)):
                group.append(entry)
    return groups


def label_of(axes: Mapping[str, str], axis: str, source: Source) -> str | None:
    """The label of an entry on an axis or on `factor.field`; None if it does not vary over that."""
    if axis in axes:
        return axes[axis]
    factor, _, name = axis.partition(".")
    if name and factor in axes:
        value = source.field(factor, axes[factor], name)
        return None if value is None else text_of(value)
    return None


def ordered(labels: Iterable[str], axis: str, source: Source) -> list[str]:
    """Distinct labels in the order of the file, unknown ones behind in order of appearance."""
    found = list(dict.fromkeys(labels))
    factor, _, name = axis.partition(".")
    if name:
        fields = (source.field(factor, level, name) for level in source.labels(factor))
        known = [text_of(value) for value in fields if value is not None]
    else:
        known = list(source.labels(axis))
    rank = {label: place for place, label in enumerate(dict.fromkeys(known))}
    return sorted(found, key=lambda label: rank.get(label, len(rank)))


def allowed(axes: Mapping[str, str], only: Filter, exclude: Filter, source: Source) -> bool:
    """Whether a row with these axes passes `only` and `except`; a condition on an axis it lacks does not bind."""
    kept = not only or any(_holds(axes, alternative, source, True) for alternative in only)
    return kept and not any(_holds(axes, alternative, source, False) for alternative in exclude)


def _holds(axes: Mapping[str, str], alternative: Mapping[Any, Any], source: Source, absent: bool) -> bool:
    for (factor, name), values in alternative.items():
        if factor not in axes:
            if not absent:
                return False
            continue
        label = axes[factor]
        mine = label if name is None else source.field(factor, label, name)
        if mine is None or text_of(mine) not in {text_of(value) for value in values}:
            return False
    return True
