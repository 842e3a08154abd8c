"""What a page says, as plain values: frozen dataclasses that the study fills in and `report.build` sets in type.

Nothing here is computed by the report: every estimate, interval, band, fit line and verdict arrives finished. Texts are
plain text (never markup); numbers are unrounded, the report rounds them. Sequences may be tuples, lists or numpy arrays.
Nothing may depend on when or how often the page is made (no "cached in this run", no date of rendering): the same
content gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

#: Words of a verdict, and of one criterion.
OUTCOMES = ("supported", "refuted", "inconclusive", "not judged")
HOLDS = ("holds", "fails", "cannot tell")
#: Why a value is not there.
STATES = ("missing", "refused", "failed", "diverged", "sealed", "excluded")
#: What a column holds. `estimate`: `Estimate` with its interval; `p`: a p-value; `n`: a count of observations; `key`: record keys.
COLUMN_KINDS = ("text", "number", "estimate", "n", "p")


# ---------------------------------------------------------------- values and tables


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


# ---------------------------------------------------------------- verdicts


@dataclass(frozen=True)
class Criterion:
    """One condition of a claim: the expression as written, what was measured, whether it holds, and a sentence."""

    text: str
    holds: str
    measured: Cell = None
    because: str = ""


@dataclass(frozen=True)
class Part:
    """The verdict of one level of `each`."""

    level: str
    outcome: str
    because: str = ""
    criteria: tuple[Criterion, ...] = ()


@dataclass(frozen=True)
class Verdict:
    """A claim and what became of it.

    says: the claim in words; because: one sentence with the numbers; notes: mixed hardware, after the data, ...
    """

    name: str
    says: str
    outcome: str
    because: str
    criteria: tuple[Criterion, ...] = ()
    parts: tuple[Part, ...] = ()
    notes: tuple[str, ...] = ()


# ---------------------------------------------------------------- what was run


@dataclass(frozen=True)
class Factor:
    """Something varied and its levels' labels."""

    name: str
    levels: tuple[str, ...]
    says: str = ""


@dataclass(frozen=True)
class StageCount:
    """How many steps of a stage there are, and how they ended. `planned` is the sum of the others.

    `what` is the stage in words: "train supervised on digits, 30 epochs".
    """

    name: str
    what: str
    planned: int
    ok: int = 0
    refused: int = 0
    diverged: int = 0
    failed: int = 0
    sealed: int = 0
    missing: int = 0


@dataclass(frozen=True)
class Excluded:
    """How many steps are absent by design, and which filter is the cause."""

    count: int
    cause: str


@dataclass(frozen=True)
class Problem:
    """One step that did not end well: where, how, why."""

    stage: str
    cell: str
    seed: int | None
    state: str
    why: str
    key: str = ""


@dataclass(frozen=True)
class Design:
    """What was run."""

    factors: tuple[Factor, ...] = ()
    seeds: tuple[int, ...] = ()
    cells: int = 0
    stages: tuple[StageCount, ...] = ()
    excluded: tuple[Excluded, ...] = ()
    problems: tuple[Problem, ...] = ()
    says: tuple[str, ...] = ()


@dataclass(frozen=True)
class Change:
    """One path that differs from the protocol: by `set`, `drop`, a preset or `--set`. `was` and `now` as YAML text."""

    path: str
    how: str
    was: str = ""
    now: str = ""


@dataclass(frozen=True)
class Amendment:
    """A later change of the registration: date, what changed, whether results existed then."""

    date: str
    what: str
    after_data: bool = False


@dataclass(frozen=True)
class Registration:
    """The plan as it was fixed before the data: digest of the resolved text, when, what changed since, unsealings."""

    digest: str
    date: str = ""
    amendments: tuple[Amendment, ...] = ()
    unsealings: int = 0
    notes: tuple[str, ...] = ()


# ---------------------------------------------------------------- analyses and stages


@dataclass(frozen=True)
class Analysis:
    """One analysis: its sentence in words, its table and everything that a reader must know to judge it.

    method: test and interval in words; correction: "Holm over 4 tests", "none (one test)"; required where the table has p.
    after_data: date at which the entry was added or changed after results existed, else "".
    missing: what is lacking, one text per hole ("mlp, seed 3: refused, ..."); makes the table read `incomplete`.
    """

    name: str
    what: str
    sentence: str
    table: Table
    method: str = ""
    correction: str = ""
    notes: tuple[str, ...] = ()
    exploratory: bool = False
    after_data: str = ""
    missing: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()


@dataclass(frozen=True)
class StageTable:
    """Metrics of a stage per cell: mean and interval over seeds as `Estimate`, with n."""

    name: str
    what: str
    table: Table
    notes: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()


# ---------------------------------------------------------------- figures


@dataclass(frozen=True)
class Axis:
    """Name and unit of an axis, and its scale (`linear` or `log`); low and high fix its ends."""

    label: str
    unit: str = ""
    scale: str = "linear"
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Line:
    """A line with its band. `n` is how many seeds it is the mean of; low and high may be empty."""

    label: str
    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float] = ()
    high: Sequence[float] = ()
    n: int | None = None


@dataclass(frozen=True)
class LinePanel:
    """One small picture with a few lines."""

    label: str
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class Curves:
    """Learning curves: one panel per network, say, and in it one line per split or metric."""

    panels: tuple[LinePanel, ...]
    x: Axis
    y: Axis


@dataclass(frozen=True)
class Retention:
    """Retention against steps of the second task, one line per arm. x = 0 is before the first step.

    `summary` of an arm (same order as lines) is printed in its panel: "AURC 0.41".
    """

    lines: tuple[Line, ...]
    x: Axis = field(default_factory=lambda: Axis("step of the second task"))
    y: Axis = field(default_factory=lambda: Axis("retention", "fraction"))
    summary: tuple[str, ...] = ()


@dataclass(frozen=True)
class Slice:
    """A plane through weight space: loss[i][j] at (a[i], b[j]); the trained point is at `centre`."""

    label: str
    a: Sequence[float]
    b: Sequence[float]
    loss: Sequence[Sequence[float]]
    centre: tuple[float, float] = (0.0, 0.0)


@dataclass(frozen=True)
class Contour:
    """Slices of a loss landscape as filled contours on one shared colour scale (logarithmic where the range asks)."""

    panels: tuple[Slice, ...]
    x: Axis = field(default_factory=lambda: Axis("along direction 1"))
    y: Axis = field(default_factory=lambda: Axis("along direction 2"))
    level: Axis = field(default_factory=lambda: Axis("loss", "nats"))
    columns: int | None = None


@dataclass(frozen=True)
class Surface:
    """The same slices as surfaces in perspective (a few only: each is heavy)."""

    panels: tuple[Slice, ...]
    level: Axis = field(default_factory=lambda: Axis("loss", "nats"))


@dataclass(frozen=True)
class Bars:
    """One persistence diagram: (birth, death) of components (H0) and loops (H1); a death of infinity never ends.

    floor: bars shorter than this are within the noise (None: no floor known).
    """

    label: str
    h0: Sequence[tuple[float, float]]
    h1: Sequence[tuple[float, float]] = ()
    floor: float | None = None


@dataclass(frozen=True)
class Diagram:
    """Persistence diagrams: death against birth."""

    panels: tuple[Bars, ...]
    level: Axis = field(default_factory=lambda: Axis("loss", "nats"))


@dataclass(frozen=True)
class Barcode:
    """The same bars drawn as bars, longest first."""

    panels: tuple[Bars, ...]
    level: Axis = field(default_factory=lambda: Axis("loss", "nats"))


@dataclass(frozen=True)
class Dot:
    """A labelled point with the intervals over its seeds."""

    label: str
    x: float
    y: float
    x_low: float | None = None
    x_high: float | None = None
    y_low: float | None = None
    y_high: float | None = None
    group: str = ""


@dataclass(frozen=True)
class Fit:
    """A fitted line with its interval band, as computed by the analysis; `says` names both."""

    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float] = ()
    high: Sequence[float] = ()
    says: str = ""


@dataclass(frozen=True)
class ScatterPanel:
    """One scatter: points, fit, and the association printed above it ("rho = 0.61 [0.1, 0.9], n = 8, p = 0.11 (Holm)")."""

    label: str
    points: tuple[Dot, ...]
    x: Axis
    y: Axis
    fit: Fit | None = None
    says: str = ""


@dataclass(frozen=True)
class Scatter:
    """One or more scatters."""

    panels: tuple[ScatterPanel, ...]


@dataclass(frozen=True)
class Effect:
    """One row of a forest plot. `says` is printed at the right, for instance "n = 24"."""

    label: str
    estimate: Estimate | Absent
    group: str = ""
    says: str = ""


@dataclass(frozen=True)
class Forest:
    """Effects with their intervals against a reference; `margin` shades reference +- margin."""

    effects: tuple[Effect, ...]
    x: Axis
    reference: float | None = 0.0
    margin: float | None = None


@dataclass(frozen=True)
class Cloud:
    """One cell: its single values (one per seed), and their mean with interval."""

    label: str
    values: Sequence[float]
    estimate: Estimate | Absent
    group: str = ""


@dataclass(frozen=True)
class Dots:
    """Values over cells: every seed as a dot, mean and interval beside it."""

    clouds: tuple[Cloud, ...]
    x: Axis


FigureData = Curves | Retention | Contour | Surface | Diagram | Barcode | Scatter | Forest | Dots


@dataclass(frozen=True)
class Figure:
    """A picture with what a reader needs to read it.

    name: file name without ending; caption: what is drawn, what band and interval mean, n; main: shown right after the
    verdicts; keys: the records behind it.
    """

    name: str
    title: str
    data: FigureData
    caption: str = ""
    keys: tuple[str, ...] = ()
    main: bool = True
    exploratory: bool = False


# ---------------------------------------------------------------- provenance, environment, cost, page


@dataclass(frozen=True)
class Source:
    """One record behind the page."""

    key: str
    stage: str
    cell: str = ""
    seed: int | None = None
    outcome: str = "ok"


@dataclass(frozen=True)
class Fact:
    """A name and its value: a version, a piece of hardware, a numerical setting."""

    name: str
    value: str


@dataclass(frozen=True)
class Cost:
    """Where the time of one stage went, as its records tell: seconds of computing, how many steps."""

    stage: str
    steps: int
    seconds: float
    bytes: int | None = None


@dataclass(frozen=True)
class Term:
    """An entry of the glossary at the end: a symbol or a word, and what it means."""

    name: str
    says: str


@dataclass(frozen=True)
class Page:
    """Everything that a report says. `study` names the YAML file's study; `commands` recompute it from nothing."""

    title: str
    study: str
    question: str
    preset: str = ""
    summary: tuple[str, ...] = ()
    verdicts: tuple[Verdict, ...] = ()
    figures: tuple[Figure, ...] = ()
    design: Design = field(default_factory=Design)
    changes: tuple[Change, ...] = ()
    registration: Registration | None = None
    power: tuple[str, ...] = ()
    analyses: tuple[Analysis, ...] = ()
    stages: tuple[StageTable, ...] = ()
    limits: tuple[str, ...] = ()
    sources: tuple[Source, ...] = ()
    environment: tuple[Fact, ...] = ()
    cost: tuple[Cost, ...] = ()
    commands: tuple[str, ...] = ()
    citations: tuple[str, ...] = ()
    terms: tuple[Term, ...] = ()


def plain(value: Any) -> Any:
    """The content as nested tuples of scalars that `repr` writes in full: the text that identifies a page."""
    fields = getattr(type(value), "__dataclass_fields__", None)
    if fields is not None:
        return (type(value).__name__, *(plain(getattr(value, name)) for name in fields))
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if isinstance(value, (tuple, list)):
        return tuple(map(plain, value))
    return value
