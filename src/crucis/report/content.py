"""What a page says, as plain values: frozen dataclasses that the study fills in and `report.build` sets in type.

Nothing here is computed by the report: every estimate, interval, band, fit line and verdict arrives finished. Texts
are plain text (never markup); numbers are unrounded, the report rounds them. Sequences may be tuples, lists or arrays.
The data of pictures is in `pictures`, the values of tables in `values`; both are names of this module as well.
Nothing may depend on when or how often the page is made (no "cached in this run", no date of rendering): the same
content gives the same bytes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from crucis.report.pictures import (
    Axis as Axis,
)
from crucis.report.pictures import (
    Barcode as Barcode,
)
from crucis.report.pictures import (
    Bars as Bars,
)
from crucis.report.pictures import (
    Cloud as Cloud,
)
from crucis.report.pictures import (
    Contour as Contour,
)
from crucis.report.pictures import (
    Curves as Curves,
)
from crucis.report.pictures import (
    Diagram as Diagram,
)
from crucis.report.pictures import (
    Dot as Dot,
)
from crucis.report.pictures import (
    Dots as Dots,
)
from crucis.report.pictures import (
    Effect as Effect,
)
from crucis.report.pictures import (
    FigureData as FigureData,
)
from crucis.report.pictures import (
    Fit as Fit,
)
from crucis.report.pictures import (
    Forest as Forest,
)
from crucis.report.pictures import (
    Heat as Heat,
)
from crucis.report.pictures import (
    Histogram as Histogram,
)
from crucis.report.pictures import (
    HistogramPanel as HistogramPanel,
)
from crucis.report.pictures import (
    Line as Line,
)
from crucis.report.pictures import (
    LinePanel as LinePanel,
)
from crucis.report.pictures import (
    RankPanel as RankPanel,
)
from crucis.report.pictures import (
    Ranks as Ranks,
)
from crucis.report.pictures import (
    Retention as Retention,
)
from crucis.report.pictures import (
    Scatter as Scatter,
)
from crucis.report.pictures import (
    ScatterPanel as ScatterPanel,
)
from crucis.report.pictures import (
    Slice as Slice,
)
from crucis.report.pictures import (
    Surface as Surface,
)
from crucis.report.rates import (
    RampLine as RampLine,
)
from crucis.report.rates import (
    RampPanel as RampPanel,
)
from crucis.report.rates import (
    Ramps as Ramps,
)
from crucis.report.trials import (
    History as History,
)
from crucis.report.trials import (
    Parallel as Parallel,
)
from crucis.report.trials import (
    Plane as Plane,
)
from crucis.report.trials import (
    Slices as Slices,
)
from crucis.report.trials import (
    Trials as Trials,
)
from crucis.report.trials import (
    Varied as Varied,
)
from crucis.report.values import (
    COLUMN_KINDS as COLUMN_KINDS,
)
from crucis.report.values import (
    STATES as STATES,
)
from crucis.report.values import (
    Absent as Absent,
)
from crucis.report.values import (
    Cell as Cell,
)
from crucis.report.values import (
    Column as Column,
)
from crucis.report.values import (
    Estimate as Estimate,
)
from crucis.report.values import (
    Row as Row,
)
from crucis.report.values import (
    Table as Table,
)

#: Words of a verdict, and of one criterion.
OUTCOMES = ("supported", "refuted", "inconclusive", "not judged")
HOLDS = ("holds", "fails", "cannot tell")


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
    """The plan as it was fixed before the data: digest of the resolved text, when, what changed since, unsealings.

    late: records of the plan existed when it was fixed (another study had made them); the notes say how many.
    """

    digest: str
    date: str = ""
    amendments: tuple[Amendment, ...] = ()
    unsealings: int = 0
    notes: tuple[str, ...] = ()
    late: bool = False


# ---------------------------------------------------------------- analyses and stages


@dataclass(frozen=True)
class Analysis:
    """One analysis: its sentence in words, its table and everything that a reader must know to judge it.

    method: test and interval in words; correction: "Holm over 4 tests", "none (one test)", required beside a p.
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
class Proof:
    """What a line of a gate rests on: a record's key, a file, a line of a ledger, another gate; with its digest.

    `path`: where a file or a ledger's line lies, relative to the page.
    """

    kind: str
    name: str
    digest: str = ""
    path: str = ""


@dataclass(frozen=True)
class GateLine:
    """One check: holds, fails, cannot tell or waived; `note`: its waiver or mitigation."""

    check: str
    outcome: str
    critical: bool
    says: str
    measured: str = ""
    proofs: tuple[Proof, ...] = ()
    note: str = ""
    mend: str = ""


@dataclass(frozen=True)
class Gate:
    """A checklist with its decision in words (waivers included), and every waiver in full."""

    name: str
    kind: str
    outcome: str
    words: str
    because: str
    lines: tuple[GateLine, ...] = ()
    waivers: tuple[str, ...] = ()


@dataclass(frozen=True)
class Audit:
    """Trainings held against a published recipe, line by line.

    where: the trainings, in words; says: whether they ran, and how many they are; outcome: `follows`, `adapted` or
    `deviates`; because: the verdict for the whole in a sentence; table: one row per line of the audit; brief: the same
    with numbers for the works that it cites, which are `sources`.
    """

    name: str
    recipe: str
    where: str
    says: str
    outcome: str
    because: str
    table: Table
    brief: Table | None = None
    sources: tuple[str, ...] = ()


@dataclass(frozen=True)
class Tick:
    """A line of a checklist; `holds` is None where it cannot be told."""

    what: str
    holds: bool | None
    says: str


@dataclass(frozen=True)
class Setting:
    """A parameter of a stage with the value that was used, or its values over the cells, defaults included."""

    stage: str
    name: str
    values: str


@dataclass(frozen=True)
class Page:
    """Everything that a report says. `study` names the YAML file's study; `commands` recompute it from nothing."""

    title: str
    study: str
    question: str
    preset: str = ""
    summary: tuple[str, ...] = ()
    verdicts: tuple[Verdict, ...] = ()
    gates: tuple[Gate, ...] = ()
    figures: tuple[Figure, ...] = ()
    design: Design = field(default_factory=Design)
    changes: tuple[Change, ...] = ()
    registration: Registration | None = None
    power: tuple[str, ...] = ()
    analyses: tuple[Analysis, ...] = ()
    stages: tuple[StageTable, ...] = ()
    audits: tuple[Audit, ...] = ()
    limits: tuple[str, ...] = ()
    sources: tuple[Source, ...] = ()
    environment: tuple[Fact, ...] = ()
    cost: tuple[Cost, ...] = ()
    commands: tuple[str, ...] = ()
    checklist: tuple[Tick, ...] = ()
    settings: tuple[Setting, ...] = ()
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
