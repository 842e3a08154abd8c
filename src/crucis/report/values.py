"""The values of a table: numbers with intervals, values that are absent for a reason, columns and rows."""

from __future__ import annotations

from dataclasses import dataclass

#: Why a value is not there.
STATES = ("missing", "refused", "failed", "diverged", "sealed", "excluded")
#: What a column holds. `estimate`: an `Estimate` with its interval; `p`: a p-value; `n`: a count of observations.
COLUMN_KINDS = ("text", "number", "estimate", "n", "p")


@dataclass(frozen=True)
class Estimate:
    """A number with its interval (both ends, or none where the method has none)."""

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Absent:
    """A value that is not there: one of `STATES`, and why in a few words."""

    state: str
    why: str = ""


Cell = str | int | float | bool | Estimate | Absent | None


@dataclass(frozen=True)
class Column:
    """One column of a table.

    name: as in the study (`rho`, `accuracy`); unit: "fraction", "nats", ... or "" where it has none;
    says: what it is, in words, for the legend under the table. Empty: `glossary` is asked.
    """

    name: str
    kind: str = "text"
    unit: str = ""
    says: str = ""


@dataclass(frozen=True)
class Row:
    """Cells in the order of the columns, the records behind them (full keys), and words such as `incomplete`."""

    cells: tuple[Cell, ...]
    keys: tuple[str, ...] = ()
    marks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Table:
    """Columns and rows. Also written as CSV (unrounded) and LaTeX (as shown)."""

    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
