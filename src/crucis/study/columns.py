"""What is known of a column before anything runs: unit, range, what it varies over and with which labels."""

from __future__ import annotations

import math
from dataclasses import replace

from ..errors import did_you_mean
from . import outcomes, stage_columns
from .axes import axes_of
from .design import instances
from .expressions import OVER, closed, nodes, references, render, starred
from .info import ColumnInfo, SemanticError, dropped, joined, labels_of, narrowed, without
from .matching import allowed, label_of
from .quantities import Quantity, infer
from .spec import Call, Dollar, Expression, Ref, Study
from .stage_columns import expand


def column(study: Study, ref: Ref) -> ColumnInfo:
    """What a reference to a column is.

    Raises:
        SemanticError: no such stage, column, axis or label, with a ready sentence.
        DesignError: stages that need one another.
    """
    return _book(study).info(ref)


class Book:
    """Every column of one study, worked out once."""

    def __init__(self, study: Study) -> None:
        self.study = study
        self.cells: dict[str, list[dict[str, str]]] = {name: [] for name in study.stages}
        self.steps = dict.fromkeys(study.stages, 0)
        for one in instances(study)[0]:
            self.steps[one.stage] += 1
            if not self.cells[one.stage] or self.cells[one.stage][-1] is not one.cell:
                self.cells[one.stage].append(one.cell)
        self._known: dict[Ref, ColumnInfo] = {}
        self._trail: list[str] = []

    def info(self, ref: Ref) -> ColumnInfo:
        """As `column`."""
        if ref not in self._known:
            self._known[ref] = self._read(ref)
        return self._known[ref]

    def _read(self, ref: Ref) -> ColumnInfo:
        study = self.study
        if ref.use:
            raise SemanticError("later", f"'{ref.use}/': other studies ('uses') come with a later version of Crucis.")
        dollar = next((value for _, value in ref.at if isinstance(value, Dollar)), None)
        if dollar is not None:
            text = f"'{dollar}' stands in a column, and only stages bring levels in. Write a label, or '*' for all."
            raise SemanticError("dollar-here", text)
        if ref.name in study.stages:
            return self._stage(ref)
        if ref.name in study.derive:
            return self._derived(ref)
        if ref.name in study.factors:
            return self._factor(ref)
        if ref.name in study.analysis:
            return self._outcome(ref)
        raise SemanticError("unknown-name", stage_columns.unknown_column(study, ref.name))

    # -- stages ---------------------------------------------------------------------------------------------------

    def _stage(self, ref: Ref) -> ColumnInfo:
        study, stage = self.study, self.study.stages[ref.name]
        about = stage_columns.find(study, stage, ref)
        own = list(about.axes)
        if about.within and ref.axis(about.within) is not None:
            own.append(about.within)
        factors = axes_of(study).factors[stage.name]
        own = [axis for axis in own if axis not in factors]
        cells = list(map(dict, self.cells[stage.name]))
        labels = {axis: stage_columns.labels(study, stage, axis, cells) for axis in own}
        labels |= {**dict.fromkeys(factors, ()), **labels_of(study, cells, factors)}
        info = ColumnInfo(
            about.unit, about.range, (*factors, *own), labels, about.headline,
            "stage", "exact", about.within, bool(axes_of(study).seeds[stage.name]), stage_columns.sealed(study, stage),
            tuple(cells), (stage.name,),
        )  # fmt: skip
        return self.fixed(info, ref)

    # -- derived columns ------------------------------------------------------------------------------------------

    def _derived(self, ref: Ref) -> ColumnInfo:
        name = ref.name
        if ref.column:
            raise SemanticError("unknown-column", f"'{name}' is one column itself; write {name}.")
        if name in self._trail:
            raise SemanticError("circle", *self._circle(name, "A column cannot be derived from itself."))
        self._trail.append(name)
        try:
            info = self.expression(self.study.derive[name])
        finally:
            self._trail.pop()
        return self.fixed(info, ref)

    def _circle(self, name: str, why: str) -> tuple[str, tuple[str, ...]]:
        names = (*self._trail[self._trail.index(name) :], name)
        return f"a circle: {' -> '.join(names)}. {why}", names

    def expression(self, e: Expression) -> ColumnInfo:
        """The column that an expression makes.

        Raises:
            SemanticError: a reference without meaning. QuantityError: units or ranges that do not go together.
        """
        for node in nodes(e):
            if isinstance(node, Call) and node.function in OVER and not starred(node.argument):
                text = f"'{render(node)}' has nothing to run over. Write an axis, such as @seed=*, inside it."
                raise SemanticError("no-spread", text)
        left = starred(e)
        if left:
            text = (
                f"'{render(e)}' is one value for every {left[0]}. Take one (mean, max ...) of them, or fix @{left[0]}."
            )
            raise SemanticError("open-spread", text)
        parts = [self.info(one) for one in references(e)]
        q = infer(e, self.quantity)
        info = ColumnInfo(
            q.unit or "1", (_end(q.low), _end(q.high)), (), {}, source="derive", kind="flag" if q.flag else "exact",
            seeded=False, sealed=any(part.sealed for part in parts),
            origins=tuple(dict.fromkeys(one for part in parts for one in part.origins)),
        )  # fmt: skip
        gone = closed(e)
        for part in parts:
            info = joined(self.study, info, part)
        axes = tuple(axis for axis in info.axes if axis not in gone)
        return replace(info, axes=axes, labels={axis: info.labels[axis] for axis in axes},
                       seeded=info.seeded and "seed" not in gone, cells=without(info.cells, gone))  # fmt: skip

    def quantity(self, ref: Ref) -> Quantity:
        """Unit and range of a column."""
        info = self.info(ref)
        low, high = info.range
        return Quantity(
            info.unit,
            -math.inf if low is None else low,
            math.inf if high is None else high,
            info.kind == "flag",
            str(ref),
        )

    # -- factors and analyses -------------------------------------------------------------------------------------

    def _factor(self, ref: Ref) -> ColumnInfo:
        study, factor = self.study, self.study.factors[ref.name]
        if ref.column is None:
            values = {level.label: level.value for level in factor.levels}
        else:
            values = {level.label: (level.fields or {})[ref.column]
                      for level in factor.levels if ref.column in (level.fields or {})}  # fmt: skip
            if not values:
                fields = stage_columns.fields_of(study, ref.name)
                hint = did_you_mean(ref.column, fields) or (f" Fields: {', '.join(fields)}." if fields else "")
                raise SemanticError("no-field", f"no level of '{ref.name}' has a field '{ref.column}'.{hint}")
        words = [value for value in values.values() if isinstance(value, bool) or not isinstance(value, (int, float))]
        if words:
            name = f"{ref.name}.{ref.column}" if ref.column else ref.name
            text = f"{name} is '{label_of(words[0])}' in some level; a column is made of numbers."
            raise SemanticError("not-a-number", text)
        cells = tuple({ref.name: label} for label in values)
        ends = (float(min(values.values())), float(max(values.values())))
        info = ColumnInfo("1", ends, (ref.name,), labels_of(study, cells, (ref.name,)), source="factor", cells=cells)
        return self.fixed(info, ref)

    def _outcome(self, ref: Ref) -> ColumnInfo:
        name = ref.name
        if name in self._trail:
            raise SemanticError("circle", *self._circle(name, "An analysis cannot read its own result."))
        self._trail.append(name)
        try:
            info = outcomes.outcome(self, self.study.analysis[name], ref)
        finally:
            self._trail.pop()
        return self.fixed(info, ref)

    # -- what `@` says --------------------------------------------------------------------------------------------

    def fixed(self, info: ColumnInfo, ref: Ref) -> ColumnInfo:
        """The column after the `@` of a reference.

        Raises:
            SemanticError: an axis it does not have, a label that the axis does not have.
        """
        for axis, value in ref.at:
            assert isinstance(value, str)
            info = self._one(info, ref, axis, value)
        return info

    def _one(self, info: ColumnInfo, ref: Ref, axis: str, value: str) -> ColumnInfo:
        study, factor = self.study, axis.partition(".")[0]
        if axis == "seed":
            stage_columns.check_seed(study, info, ref, value)
            return info if value == "*" else replace(info, seeded=False)
        if axis == "at" and ref.name in study.stages and axis not in info.axes:
            stage_columns.check_at(study, study.stages[ref.name], value)
            return info
        if axis not in info.axes and (factor == axis or factor not in info.axes):
            raise SemanticError("unknown-axis", stage_columns.no_axis(info, ref, axis))
        if value == "*":
            return info
        if any(factor in cell for cell in info.cells):
            return self._level(info, ref, axis, value)
        if axis not in info.axes:  # `@arch.family=mlp` on the axis `arch` of a result
            wanted = allowed(study, factor, axis.partition(".")[2], (value,))
            labels = tuple(label for label in info.labels[factor] if label in wanted)
            if not labels:
                raise SemanticError("unknown-level", stage_columns.no_level(study, axis, value))
            info = replace(info, labels={**info.labels, factor: labels})
            return dropped(info, factor) if len(labels) == 1 else info
        if info.labels[axis] and value not in info.labels[axis]:
            raise SemanticError("unknown-level", stage_columns.no_label(study, info, ref, axis, value))
        return dropped(info, axis)

    def _level(self, info: ColumnInfo, ref: Ref, axis: str, value: str) -> ColumnInfo:
        study, (factor, _, part) = self.study, axis.partition(".")
        labels = allowed(study, factor, part or None, (value,))
        if not labels:
            raise SemanticError("unknown-level", stage_columns.no_level(study, axis, value))
        cells = tuple(cell for cell in info.cells if cell.get(factor) in labels)
        if not cells:
            name = f"{ref.name}.{ref.column}" if ref.column else ref.name
            raise SemanticError("no-cell", f"{name} has no row with {axis}={value}; only and except leave none.")
        info = replace(info, cells=cells, labels={**info.labels, **labels_of(study, cells, info.axes)})
        return dropped(info, factor) if len(info.labels[factor]) == 1 else info


def _end(value: float) -> float | None:
    return None if math.isinf(value) else value


_RECENT: list[tuple[Study, Book]] = []


def _book(study: Study) -> Book:
    for known, book in _RECENT:
        if known is study:
            return book
    book = Book(study)
    _RECENT.insert(0, (study, book))
    del _RECENT[4:]
    return book


def book_of(study: Study) -> Book:
    """The columns of a study, worked out once (a study is never changed after it is made)."""
    return _book(study)


__all__ = ["Book", "ColumnInfo", "SemanticError", "column", "expand", "joined", "narrowed"]
