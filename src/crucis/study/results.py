"""What analyses and claims leave: rows of numbers with everything a reader needs to judge them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from .table import Missing


@dataclass(frozen=True)
class Reason:
    """Why a result has no number: a code of `errors.REASON_CODES` and a sentence."""

    code: str
    text: str

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class ResultRow:
    """One contrast, association or summary.

    Attributes:
        axes: where it stands among the rows of its analysis, for instance {"net": "convnet", "data": "digits"}.
        values: the leaf's columns; None where a number cannot be known.
        n: pairs, units or values that it rests on; `n_planned`: how many the study foresaw (by design absent ones
            not counted).
        missing: planned values that were absent, by name; not empty means *incomplete*.
        excluded: rows absent by design.
        mixed: it combines records of unlike hardware or libraries.
        refused: why there is no number at all.
        data: arrays for figures, by name (`x`, `y`, `x_se`, `y_se`, `a`, `b`, `labels`, `seeds`).
    """

    axes: Mapping[str, str]
    values: Mapping[str, float | None]
    n: int
    n_planned: int
    missing: tuple[Missing, ...] = ()
    excluded: int = 0
    mixed: bool = False
    refused: Reason | None = None
    data: Mapping[str, Any] = field(default_factory=dict)

    @property
    def incomplete(self) -> bool:
        """Whether planned values are absent."""
        return bool(self.missing)


@dataclass(frozen=True)
class AnalysisResult:
    """All rows of one analysis.

    Attributes:
        leaves: names of its leaves; more than one are the axis `method`.
        units: column -> unit of its values.
        kinds: column -> `estimate`, `p` or `exact`, which decides how a claim may read it.
        intervals: estimate -> names of the columns with the ends of its interval.
        family: name of the family that its p-values were corrected in; `family_size`: tests in it, per method.
        correction: `holm`, `bonferroni`, `bh` or `none`.
        notes: sentences for the reader.
        sealed: it waits for a test split.
    """

    name: str
    verb: str
    leaves: tuple[str, ...]
    rows: tuple[ResultRow, ...]
    units: Mapping[str, str] = field(default_factory=dict)
    kinds: Mapping[str, str] = field(default_factory=dict)
    intervals: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    family: str = ""
    family_size: int = 1
    correction: str = "none"
    confidence: float = 0.95
    exploratory: bool = False
    notes: tuple[str, ...] = ()
    sealed: bool = False

    @property
    def axes(self) -> tuple[str, ...]:
        """Axes of its rows, in order of appearance."""
        return tuple(dict.fromkeys(axis for row in self.rows for axis in row.axes))

    @property
    def incomplete(self) -> bool:
        """Whether any row lacks planned values."""
        return any(row.incomplete for row in self.rows)


#: Columns of a comparison that change with the side from which it is read.
_SIDED = ("effect", "dz", "g", "rank_biserial", "cliff")
#: Units in which no difference is 1, and 0.5.
_RATIO, _CHANCE = "ratio", "probability of improvement"
#: Pairs of columns that speak of one side and of the other.
_SWAPPED = (("better", "worse"), ("left", "right"), ("eps_min", "eps_min_reverse"), ("rank_a", "rank_b"))


def turned(result: AnalysisResult) -> tuple[ResultRow, ...]:
    """The rows of a comparison with treatment and reference exchanged: -x, or 1 / x for ratios; p and n stay."""
    return tuple(_turn(result, row) for row in result.rows if "against" in row.axes)


def _turn(result: AnalysisResult, row: ResultRow) -> ResultRow:
    names = list(row.axes)
    between = names[names.index("against") - 1]
    values = dict(row.values)
    for column in _SIDED:
        ends = [result.intervals.get(column, ()), *([("inner_low", "inner_high")] if column == "effect" else [])]
        pairs = [pair for two in ends for pair in zip(two, two[::-1], strict=True)]
        unit = _unit_of(result, row, column)
        for name, other in ((column, column), *pairs):
            value = row.values.get(other)
            if name in values:
                values[name] = None if value is None else _other_side(value, unit)
    for one, other in _SWAPPED:
        if one in values and other in values:
            values[one], values[other] = values[other], values[one]
    if values.get("eps") is not None:  # a share of what both sides dispute
        values["eps"] = 1.0 - float(values["eps"] or 0.0)
    axes = {**row.axes, between: row.axes["against"], "against": row.axes[between]}
    data = {**row.data, "a": row.data["b"], "b": row.data["a"]} if "a" in row.data and "b" in row.data else row.data
    return replace(row, axes=axes, values=values, data=data)


def _unit_of(result: AnalysisResult, row: ResultRow, column: str) -> str:
    """The unit of a column in this row; several leaves of one analysis may differ in it."""
    if column == "effect" and row.axes.get("method", result.leaves[0] if result.leaves else "") == "improvement":
        return _CHANCE
    return "" if result.units.get(column) == _CHANCE else result.units.get(column, "")


def _other_side(value: float, unit: str) -> float:
    return 1.0 / value if unit == _RATIO else 1.0 - value if unit == _CHANCE else -value


@dataclass(frozen=True)
class Criterion:
    """One criterion of a claim as judged: its text, `true`, `false` or `unknown`, and the number behind it."""

    text: str
    outcome: str
    value: float | None = None
    low: float | None = None
    high: float | None = None
    n: int | None = None
    because: str = ""


@dataclass(frozen=True)
class Verdict:
    """The answer to a claim: `supported`, `refuted` or `inconclusive`, and why in one sentence with numbers.

    `parts` holds one verdict per level of `each`; a whole with parts has no criteria of its own.
    """

    name: str
    says: str
    outcome: str
    because: str
    parts: tuple[Verdict, ...] = ()
    criteria: tuple[Criterion, ...] = ()
    level: str = ""
