"""The resolved study: what a study file means, as plain frozen values. Checks nothing and reads no file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

VERBS = ("train", "measure", "perturb", "search", "export")
ANALYSIS_VERBS = ("describe", "compare", "correlate", "predict", "fit", "attribute", "estimate")


@dataclass(frozen=True)
class Place:
    """Where something stands in a file; line and column count from 1."""

    file: str = ""
    line: int = 0
    column: int = 0


@dataclass(frozen=True)
class Dollar:
    """`$name`, `$name.field` or (for stage outputs) `$stage.column`: brings a value in."""

    name: str
    field: str | None = None
    winners: bool = False  # the level at which the search found its winner, where that is not the stage's own

    def __str__(self) -> str:
        return f"${self.name}.{self.field}" if self.field else f"${self.name}"


@dataclass(frozen=True)
class Distribution:
    """What a search may put here: an interval from `low` to `high`, or one of the `choices`."""

    kind: str  # uniform, log_uniform, int_uniform, int_log_uniform, choice
    low: float | int = 0
    high: float | int = 0
    choices: tuple[Any, ...] = ()
    points: int | None = None  # of a grid


@dataclass(frozen=True)
class Picked:
    """A value that a search will have chosen: what stands in place of the distribution at `path` of its trial."""

    search: str
    path: str
    written: str  # as the study writes it, for messages


@dataclass(frozen=True)
class LeafRef:
    """A leaf with its written parameters: `mlp`, `{mlp: {widths: [64]}}`, `{./mine.py: {rank: 8}}`, `package:name`.

    `params` holds what was written; after binding, values converted to the parameters' declared types.
    """

    shelf: str
    name: str
    params: Mapping[str, Any] = field(default_factory=dict)

    @property
    def own(self) -> bool:
        """Whether this is a user's file beside the study."""
        return self.name.startswith(("./", "../")) or self.name.endswith(".py")


@dataclass(frozen=True)
class Ref:
    """A reference `[use/]name[.column][@axis=value]...`; `column` may be `*`; a value may be `*` or a `Dollar`."""

    name: str
    column: str | None = None
    at: tuple[tuple[str, str | Dollar], ...] = ()
    use: str | None = None

    def axis(self, name: str) -> str | Dollar | None:
        """The value that `@name=` fixes, or None."""
        return dict(self.at).get(name)

    def __str__(self) -> str:
        head = f"{self.use}/{self.name}" if self.use else self.name
        tail = "".join(f"@{axis}={value}" for axis, value in self.at)
        return f"{head}{'.' + self.column if self.column else ''}{tail}"


# --- expressions ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Number:
    """A literal; `percent` and fractions are already divided out."""

    value: float
    text: str


@dataclass(frozen=True)
class Column:
    """A reference to a column inside an expression."""

    ref: Ref


@dataclass(frozen=True)
class Call:
    """A function of one argument."""

    function: str
    argument: Expression


@dataclass(frozen=True)
class Unary:
    """`-` or `not`."""

    operator: str
    operand: Expression


@dataclass(frozen=True)
class Binary:
    """Arithmetic `+ - * / **`, a comparison, `and` or `or`."""

    operator: str
    left: Expression
    right: Expression


Expression = Number | Column | Call | Unary | Binary


# --- the study -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Level:
    """One level of a factor. `value` is plain YAML data; `fields` is None for a level without fields."""

    label: str
    value: Any
    fields: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Factor:
    """Something varied: its levels in the order of the file."""

    name: str
    levels: tuple[Level, ...]

    def level(self, label: str) -> Level:
        """The level with this label.

        Raises:
            KeyError: if there is none.
        """
        for level in self.levels:
            if level.label == label:
                return level
        raise KeyError(label)

    @property
    def labels(self) -> tuple[str, ...]:
        """Labels in the order of the file."""
        return tuple(level.label for level in self.levels)


#: A filter: alternatives (or) of conditions (and): (factor, field or None) -> allowed values (labels or field values).
Filter = tuple[Mapping[tuple[str, str | None], tuple[Any, ...]], ...]


@dataclass(frozen=True)
class Stage:
    """One stage. `params` are as written (leaves not yet bound), with `Dollar` where `$` stood; `let` is replaced."""

    name: str
    verb: str
    leaf: LeafRef | Dollar
    of: Mapping[str, Ref] = field(default_factory=dict)  # role -> reference; the single subject has the role "of"
    params: Mapping[str, Any] = field(default_factory=dict)
    mentions: tuple[str, ...] = ()  # factors that `$` or an `@axis=$factor` brings in, in the order of `factors`
    only: Filter = ()
    exclude: Filter = ()
    pool: tuple[str, ...] = ()
    seeds: tuple[int, ...] | None = None
    because: str | None = None
    trial: Stage | None = None  # of a search: what is trained, with `Distribution` where one stands
    objective: tuple[str, str] = ("", "")  # of a search: `maximise` or `minimise`, and a column of the trial
    winners: Mapping[str, Ref] = field(default_factory=dict)  # searches whose choice (`Picked`) the parameters read


@dataclass(frozen=True)
class Analysis:
    """One analysis. Several leaves are the axis `method` of the result."""

    name: str
    verb: str
    leaves: tuple[LeafRef, ...]
    of: tuple[Ref, ...] = ()
    targets: tuple[Ref, ...] = ()  # `with`
    given: tuple[Ref, ...] = ()
    between: str | None = None  # factor or factor.field
    against: str | None = None
    along: str | None = None  # axis whose levels are ranked by or ordered
    over: str | None = None  # factor whose levels have components in or out
    cost: tuple[Ref, ...] = ()  # columns for the Pareto front
    expect: Mapping[str, float] = field(default_factory=dict)  # level -> the effect that was expected
    each: tuple[str, ...] = ()
    unit: str | None = None
    only: Filter = ()
    exclude: Filter = ()
    correction: str = "holm"
    family: str | None = None
    confidence: float = 0.95
    exploratory: bool = False
    params: Mapping[str, Any] = field(default_factory=dict)  # the leaf's own
    models: Mapping[str, tuple[Ref, ...]] = field(default_factory=dict)  # `from`: model -> columns
    leave_out: str | None = None  # factor or factor.field
    base: str | None = None  # a model

    @property
    def refs(self) -> tuple[Ref, ...]:
        """Every column that it reads."""
        models = (ref for refs in self.models.values() for ref in refs)
        return (*self.of, *self.targets, *self.given, *models, *self.cost)


@dataclass(frozen=True)
class Claim:
    """A hypothesis with a criterion. `refuted_if` None means: when `holds_if` is certainly false."""

    name: str
    holds_if: tuple[Expression, ...]
    says: str | None = None
    refuted_if: Expression | None = None
    each: str | None = None
    allow_mixed: bool = False
    text: tuple[str, ...] = ()  # the criteria as written


@dataclass(frozen=True)
class Gate:
    """A checklist with a decision. `params` are complete: defaults are filled in.

    `waive`: check -> (name, date, reason); `mitigate`: check -> (what will be done, until when).
    """

    name: str
    kind: str  # replication, method or archive
    params: Mapping[str, Any] = field(default_factory=dict)
    waive: Mapping[str, tuple[str, str, str]] = field(default_factory=dict)
    mitigate: Mapping[str, tuple[str, str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Override:
    """One path that `set`, `drop`, a preset or `--set` changed: by what, and its value before and after (plain data;
    None where there was or is nothing)."""

    path: str
    how: str
    was: Any = None
    now: Any = None


@dataclass(frozen=True)
class Study:
    """A resolved study. `resolved` is its text form (plain data) after merging; that is what is registered."""

    name: str
    folder: Path  # where own leaves are looked for
    file: str  # as shown in messages
    question: str | None = None
    factors: Mapping[str, Factor] = field(default_factory=dict)
    only: Filter = ()
    exclude: Filter = ()
    seeds: tuple[int, ...] = (42, 123, 456)
    stages: Mapping[str, Stage] = field(default_factory=dict)
    derive: Mapping[str, Expression] = field(default_factory=dict)
    derive_text: Mapping[str, str] = field(default_factory=dict)
    analysis: Mapping[str, Analysis] = field(default_factory=dict)
    claims: Mapping[str, Claim] = field(default_factory=dict)
    budget_s: float | None = None
    protocol: str | None = None
    preset: str | None = None
    changes: tuple[Override, ...] = ()  # in the order in which they were made
    resolved: Mapping[str, Any] = field(default_factory=dict)
    places: Mapping[str, Place] = field(default_factory=dict)  # dotted path -> place
    gates: Mapping[str, Gate] = field(default_factory=dict)

    @property
    def changed(self) -> tuple[str, ...]:
        """Paths that `set`, `drop`, a preset or the command line changed."""
        return tuple(dict.fromkeys(change.path for change in self.changes))

    def place(self, path: str) -> Place:
        """The place of `path`, or of the nearest enclosing path that has one."""
        while path:
            if path in self.places:
                return self.places[path]
            path = path.rpartition(".")[0]
        return self.places.get("", Place(self.file))
