"""Columns by reference: stages, factor fields, `derive` expressions and other analyses, with what is absent in each."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from ..errors import CrucisError
from .expressions import OVER, starred
from .results import AnalysisResult, ResultRow, turned
from .spec import Call, Column, Expression, Number, Ref, Study, Unary
from .stage_columns import find
from .table import Column as Entries
from .table import Entry, Missing, Source, align, axes_of, entries, fix, united

_SCALAR: Mapping[str, Callable[[float], float]] = {
    "log": math.log,
    "log2": math.log2,
    "log10": math.log10,
    "exp": math.exp,
    "sqrt": math.sqrt,
    "abs": abs,
}
_REDUCE: Mapping[str, Callable[[np.ndarray], float]] = {
    "mean": np.mean,
    "median": np.median,
    "min": np.min,
    "max": np.max,
    "sum": np.sum,
    "spread": lambda values: np.std(values, ddof=1) if len(values) > 1 else math.nan,
}
_ARITHMETIC: Mapping[str, Callable[[float, float], float]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
    "**": lambda a, b: a**b,
    "<": lambda a, b: float(a < b),
    "<=": lambda a, b: float(a <= b),
    ">": lambda a, b: float(a > b),
    ">=": lambda a, b: float(a >= b),
    "==": lambda a, b: float(a == b),
    "!=": lambda a, b: float(a != b),
    "and": lambda a, b: float(bool(a) and bool(b)),
    "or": lambda a, b: float(bool(a) or bool(b)),
}


class Columns:
    """Every column of a study, worked out once.

    `result` gives the result of another analysis by name; it is asked only for references to analyses.
    """

    def __init__(self, study: Study, source: Source, result: Callable[[str], AnalysisResult]) -> None:
        self.study, self.source, self.result = study, source, result
        self._known: dict[str, Entries] = {}
        self._open: list[str] = []

    def column(self, ref: Ref) -> Entries:
        """The entries of a reference, fixed axes removed."""
        name = str(ref)
        if name not in self._known:
            self._known[name] = self._read(ref)
        return self._known[name]

    def within(self, ref: Ref) -> str | None:
        """The axis of its own that a stage's column is a mean over; None for others."""
        if ref.name not in self.study.stages:
            return None
        return find(self.study, self.study.stages[ref.name], ref).within

    def _read(self, ref: Ref) -> Entries:
        if ref.use is None and ref.name in self.study.derive:
            if ref.name in self._open:
                raise CrucisError(f"derive: a circle: {' -> '.join([*self._open, ref.name])}.")
            self._open.append(ref.name)
            try:
                return fix(self.value(self.study.derive[ref.name]), ref, self.source)
            finally:
                self._open.pop()
        if ref.use is None and ref.name in self.study.analysis:
            result = self.result(ref.name)
            found = fix(_of_rows(result.rows, ref), ref, self.source)
            if not found and result.verb == "compare":  # the contrast is asked for from its other side
                found = fix(_of_rows(turned(result), ref), ref, self.source)
            return found
        return entries(self.source.points(ref), ref, self.source)

    def value(self, expression: Expression) -> Entries:
        """The column of an expression, row by row and seed by seed."""
        if isinstance(expression, Number):
            return [Entry({}, None, float(expression.value))]
        if isinstance(expression, Column):
            return self.column(expression.ref)
        if isinstance(expression, Unary):
            sign = (lambda a: -a) if expression.operator == "-" else (lambda a: float(not a))
            return [_apply(entry, (entry,), sign, expression.operator) for entry in self.value(expression.operand)]
        if isinstance(expression, Call):
            return self._call(expression)
        rows = align([self.value(expression.left), self.value(expression.right)])
        return [_apply(frame, parts, _ARITHMETIC[expression.operator], expression.operator) for frame, parts in rows]

    def _call(self, call: Call) -> Entries:
        column = self.value(call.argument)
        if call.function not in OVER:
            return [_apply(entry, (entry,), _SCALAR[call.function], call.function) for entry in column]
        return reduce(column, starred(call.argument), call.function)


def reduce(column: Entries, over: Sequence[str], function: str) -> Entries:
    """One entry per group that agrees on everything but `over`; unknown as soon as one planned value is absent."""
    kept = [axis for axis in axes_of(column) if axis not in over]
    groups: dict[tuple[object, ...], Entries] = {}
    for entry in column:
        seed = None if "seed" in over else entry.seed
        groups.setdefault((tuple(entry.axes.get(axis) for axis in kept), seed), []).append(entry)
    out: Entries = []
    for group in groups.values():
        inside = [entry for entry in group if not entry.excluded]
        first = group[0].without(over)
        missing = united(item for entry in inside for item in entry.missing)
        numerics = frozenset().union(*(entry.numerics for entry in inside))
        frame = replace(first, value=None, missing=missing, excluded=not inside, numerics=numerics, se=None)
        if inside and all(entry.present for entry in inside):
            values = np.array([entry.value for entry in inside])
            out.append(_finished(frame, partial(_REDUCE[function], values), function))
        else:
            out.append(frame)
    return out


def _apply(frame: Entry, parts: Sequence[Entry], function: Callable[..., float], what: str) -> Entry:
    empty = frame.with_value(None)
    if frame.excluded or any(not part.present for part in parts):
        return empty
    return _finished(empty, lambda: function(*(part.value for part in parts)), what)


def _finished(frame: Entry, compute: Callable[[], float], what: str) -> Entry:
    """The frame with its number, or with the reason in `missing` if there is no finite real number."""
    try:
        value = compute()
        if not isinstance(value, complex) and math.isfinite(value):
            return frame.with_value(float(value))
    except (ValueError, ZeroDivisionError, OverflowError):
        pass
    name = {"/": "a division by zero", "spread": "the spread of one value"}.get(what, f"'{what}' of these values")
    lost = Missing("", "refused", frame.axes, frame.seed, f"{name} is no finite number")
    return replace(frame, missing=united((*frame.missing, lost)))


def _of_rows(rows: Sequence[ResultRow], ref: Ref) -> Entries:
    out = []
    for row in rows:
        value = row.values.get(ref.column or "")
        missing = row.missing
        if value is None:
            state = "sealed" if row.refused and row.refused.code == "sealed" else "refused"
            why = row.refused.text if row.refused else f"{ref.column} cannot be known from {row.n} values"
            missing = united((*missing, Missing("", state, row.axes, None, why)))
        out.append(Entry(row.axes, None, value, missing, False, _hardware(row)))
    return out


def _hardware(row: ResultRow) -> frozenset[str]:
    return frozenset({"mixed: one", "mixed: another"}) if row.mixed else frozenset()
