"""What one column is: unit, range, what it varies over; narrowing it by filters and putting two side by side."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from .matching import allowed
from .spec import Filter, Study

Range = tuple[float | None, float | None]


class SemanticError(LookupError):
    """A reference or expression without meaning in this study; `code` is that of the fault, `text` its sentence."""

    def __init__(self, code: str, text: str, names: tuple[str, ...] = ()) -> None:
        self.code, self.text, self.names = code, text, names  # names: of a circle
        super().__init__(text)


@dataclass(frozen=True)
class ColumnInfo:
    """What a column is.

    Attributes:
        unit: as its leaf declares it; `range`: ends of the possible values, None where there is none.
        axes: what it varies over after the `@` of the reference: factors in the order of the file, then own axes.
            An axis that `@axis=*` spreads is among them; `seed` never is.
        labels: axis -> labels that occur; empty where they are known only after the run.
        headline: whether `stage.*` includes it.
        source: `stage`, `derive`, `factor` or `analysis`.
        kind: how a claim reads it: `estimate`, `p` or `exact`.
        within: own axis over which the number is a mean, and on which `@axis=label` finds the parts.
        seeded: whether it has a value per seed; `sealed`: whether it reads a test split.
        cells: the combinations of its factors that exist; `origins`: analyses and stages that it rests on.
    """

    unit: str
    range: Range
    axes: tuple[str, ...]
    labels: Mapping[str, tuple[str, ...]]
    headline: bool = False
    source: str = "stage"
    kind: str = "exact"
    within: str | None = None
    seeded: bool = False
    sealed: bool = False
    cells: tuple[Mapping[str, str], ...] = ()
    origins: tuple[str, ...] = ()
    implied: tuple[str, ...] = ()  # axes that follow from another one and need no answer

    @property
    def open(self) -> tuple[str, ...]:
        """Axes that need an answer: those without exactly one label."""
        return tuple(axis for axis in self.axes if len(self.labels[axis]) != 1 and axis not in self.implied)


def narrowed(study: Study, info: ColumnInfo, only: Filter, exclude: Filter) -> ColumnInfo:
    """The column with the filters of an analysis: a condition on a factor that it lacks does not bind."""
    if not only and not exclude:
        return info

    chosen, gone = _groups(study, only), _groups(study, exclude)
    cells = tuple(
        cell
        for cell in info.cells
        if (
            not only or any(all(cell.get(name) in labels for name, labels in group if name in cell) for group in chosen)
        )
        and not any(all(cell.get(name) in labels for name, labels in group) for group in gone)
    )
    return replace(info, cells=cells, labels={**info.labels, **labels_of(study, cells, info.axes)})


def _groups(study: Study, filter: Filter) -> list[list[tuple[str, frozenset[str]]]]:
    return [
        [
            (factor, allowed(study, factor, name, wanted))
            for (factor, name), wanted in group.items()
            if factor in study.factors
        ]
        for group in filter
    ]


def labels_of(study: Study, cells: Iterable[Mapping[str, str]], axes: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Labels of the factors among `axes` that occur in cells, in the order of the file; none for what no cell has."""
    out = {}
    for axis in axes:
        found = {cell[axis] for cell in cells if axis in cell} if axis in study.factors else set()
        if found:
            out[axis] = tuple(label for label in study.factors[axis].labels if label in found)
    return out


def without(cells: Iterable[Mapping[str, str]], axes: Iterable[str]) -> tuple[Mapping[str, str], ...]:
    """Distinct cells with some factors left out."""
    gone = set(axes)
    found = {tuple((axis, label) for axis, label in cell.items() if axis not in gone): None for cell in cells}
    return tuple(dict(cell) for cell in found)


def dropped(info: ColumnInfo, axis: str) -> ColumnInfo:
    """A column without an axis."""
    axes = tuple(one for one in info.axes if one != axis)
    return replace(info, axes=axes, labels={one: info.labels[one] for one in axes}, cells=without(info.cells, (axis,)))


def joined(study: Study, one: ColumnInfo, other: ColumnInfo) -> ColumnInfo:
    """Two columns side by side: rows that agree on the axes they share. Keeps unit, range and kind of the first."""
    shared = [axis for axis in other.axes if axis in one.axes and axis in study.factors]
    index: dict[tuple[str, ...], list[Mapping[str, str]]] = {}
    for cell in other.cells or ({},):
        index.setdefault(tuple(cell.get(axis, "") for axis in shared), []).append(cell)
    cells = tuple(
        {**cell, **partner}
        for cell in one.cells or ({},)
        for partner in index.get(tuple(cell.get(axis, "") for axis in shared), [])
    )
    found = dict.fromkeys((*one.axes, *other.axes))
    axes = (*(axis for axis in study.factors if axis in found), *(axis for axis in found if axis not in study.factors))
    labels = {**other.labels, **one.labels, **labels_of(study, cells, axes)}
    for axis in one.axes:
        if axis in other.axes and axis not in study.factors:
            labels[axis] = tuple(label for label in one.labels[axis] if label in other.labels[axis])
    return replace(one, axes=axes, labels=labels, cells=cells, seeded=one.seeded or other.seeded)
