"""The table of a study: planned rows with their states, joined column by column. A row that is absent is named."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from .matching import same_value
from .scalars import label_of as scalar_label
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

    def without(self, axes: Collection[str]) -> Entry:
        """The same entry with these axes left out (`seed` included)."""
        gone = [axis for axis in axes if axis in self.axes]
        seed = None if "seed" in axes else self.seed
        if not gone and seed == self.seed:
            return self
        kept = {axis: label for axis, label in self.axes.items() if axis not in gone}
        return Entry(kept, seed, self.value, self.missing, self.excluded, self.numerics, self.se)

    def with_value(self, value: float | None) -> Entry:
        """The same row with another number, which has no standard error of its own."""
        return Entry(self.axes, self.seed, value, self.missing, self.excluded, self.numerics)


Column = list[Entry]


def text_of(value: Any) -> str:
    """The label of a field's value, as a level of that value would be labelled."""
    return scalar_label(value) or str(value)


def entries(points: Sequence[Point], ref: Ref, source: Source) -> Column:
    """Points as entries, with the axes that `ref` fixes selected and removed.

    A failed step has no labels on an instrument's own axes; its absence is spread over the labels the others have.
    `@factor.field=value` removes the factor if one level is left.
    """
    return fix(_spread([_entry(point) for point in points]), ref, source)


def fix(column: Column, ref: Ref, source: Source) -> Column:
    """Select what `@axis=value` says, and remove these axes; `*` leaves an axis as it is."""
    for axis, value in ref.at:
        if isinstance(value, Dollar) or value == "*":
            continue
        factor = axis.partition(".")[0]
        column = [entry for entry in column if _fits(entry, axis, value, source)]
        if axis == factor or len({entry.axes[factor] for entry in column if factor in entry.axes}) <= 1:
            column = [entry.without({factor}) for entry in column]
    return column


def _fits(entry: Entry, axis: str, value: str, source: Source) -> bool:
    if axis == "seed":
        return entry.seed is None or str(entry.seed) == value
    label = label_of(entry.axes, axis, source)
    return axis.partition(".")[0] not in entry.axes or (label is not None and same_value(label, value))


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
    known: dict[str, dict[str, None]] = {}
    for entry in column:
        for axis, label in entry.axes.items():
            known.setdefault(axis, {})[label] = None
    out: Column = []
    for entry in column:
        absent = () if entry.present else [axis for axis in known if axis not in entry.axes]
        if not absent:
            out.append(entry)
            continue
        open_ends: list[dict[str, str]] = [{}]
        for axis in absent:
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


def align(columns: Sequence[Column]) -> list[tuple[Entry, tuple[Entry, ...]]]:
    """Rows over all axes of all columns: (frame, the entry of each column).

    Entries belong together if they agree on every axis they share and in the seed; what has no seed goes with every
    seed. The frame has the axes, the seed, everything missing and all hardware of its row, and no value. A row without
    a partner in some column is absent there by design: its frame is `excluded`.
    """
    rows: list[tuple[Entry, tuple[Entry, ...]]] = []
    if columns:
        rows = [(entry.with_value(None), (entry,)) for entry in columns[0]]
    known = set(axes_of(columns[0])) if columns else set()
    for column in columns[1:]:
        shared = [axis for axis in axes_of(column) if axis in known]
        known |= set(axes_of(column))
        index: dict[tuple[str, ...], list[Entry]] = {}
        for entry in column:
            index.setdefault(tuple(entry.axes.get(axis, "") for axis in shared), []).append(entry)
        rows = [pair for row in rows for pair in _with(row, index, shared)]
    return rows


def _with(
    row: tuple[Entry, tuple[Entry, ...]], index: Mapping[tuple[str, ...], list[Entry]], shared: Sequence[str]
) -> list[tuple[Entry, tuple[Entry, ...]]]:
    frame, parts = row
    found = index.get(tuple(frame.axes.get(axis, "") for axis in shared), [])
    partners = [one for one in found if frame.seed is None or one.seed is None or one.seed == frame.seed]
    if not partners:
        gone = replace(frame, excluded=True)
        return [(gone, (*parts, Entry(frame.axes, frame.seed, None, (), True)))]
    return [(merged(frame, other), (*parts, other)) for other in partners]


def merged(one: Entry, other: Entry) -> Entry:
    """A frame over two entries: all axes, all that was missing, all hardware; no value."""
    return Entry(
        {**one.axes, **other.axes},
        other.seed if one.seed is None else one.seed,
        None,
        united((*one.missing, *other.missing)),
        one.excluded or other.excluded,
        one.numerics | other.numerics,
    )


def united(missing: Iterable[Missing]) -> tuple[Missing, ...]:
    """Each absence once, in a fixed order."""
    found = tuple(missing)
    if len(found) < 2:
        return found
    return tuple(sorted({item.order: item for item in found}.values(), key=lambda item: repr(item.order)))


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
        if mine is None or not any(same_value(mine, value) for value in values):
            return False
    return True
