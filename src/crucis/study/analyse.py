"""The analyses of a study: tables from its columns, estimates from the leaves, p-values corrected by family."""

from __future__ import annotations

import importlib.util
import itertools
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .. import seeds, shelf
from ..errors import CrucisError, Refusal
from ..stats import verdicts
from ..stats.corrections import adjust
from ..stats.ranks import residual
from ..stats.table import Points
from . import panels
from .attributing import search_tasks
from .attributions import attributions
from .binding import leaf_of
from .columns import column
from .contrasts import compare, describe
from .derived import Columns
from .directions import directions
from .jointly import jointly
from .models import predict
from .naming import whole_names
from .outcomes import GROUPS, PANEL, RUNS, SELECTION, of_search, table_of
from .results import AnalysisResult, Reason, ResultRow
from .rows import Task, loops, series
from .spec import Analysis, LeafRef, Ref, Study
from .stage_columns import expand
from .table import Source
from .units import correlate, frame

VERBS = ("describe", "compare", "correlate", "predict", "attribute", "estimate")


def analyse(study: Study, source: Source) -> dict[str, AnalysisResult]:
    """Every analysis of a study on whatever its source holds; rows that cannot be computed say why.

    Raises:
        CrucisError: analyses that read one another, a user's file that fails, a verb that does not exist yet.
    """
    work = _Work(study, source)
    return {name: work.result(name) for name in study.analysis}


def tasks_of(study: Study, source: Source, analysis: Analysis) -> list[Task]:
    """The tables of one analysis, nothing estimated: what a plan counts. The analysis reads no other analysis."""
    return _tasks(study, analysis, _Work(study, source).columns)


#: Verbs whose tables come from one column each.
_SIMPLE = {"describe": describe, "compare": compare, "attribute": attributions}

#: The same for leaves with a table of their own kind, by its literal.
_SHAPED = {PANEL: panels.agreement, RUNS: panels.trajectories, GROUPS: panels.groups}


def _tasks(study: Study, analysis: Analysis, columns: Columns) -> list[Task]:
    """Every table of an analysis, in the order of the file."""
    if analysis.verb not in VERBS:
        raise CrucisError(f"analysis.{analysis.name}: '{analysis.verb}' comes with a later version.")
    _heeded(study, analysis)
    if of_search(study, analysis):
        several = len(analysis.of) > 1
        return [
            replace(task, axes={"metric": str(ref), **task.axes} if several else task.axes)
            for ref in analysis.of
            for task in search_tasks(columns.source, ref, analysis)
        ]
    of = series(wild(study, analysis.of), "metric", analysis, columns)
    table = table_of(study, analysis) or ""
    if table == SELECTION:
        rounds = loops(analysis, of, columns)
        return [task for each in rounds for task in panels.selections(of, each, columns)]
    if analysis.verb in _SIMPLE:
        build = _SHAPED.get(table, _SIMPLE[analysis.verb])
        return [
            task
            for one in of
            for each in loops(analysis, [one], columns)
            for task in build(one, each, analysis, columns)
        ]
    if analysis.verb == "predict":
        models = {
            name: series(wild(study, refs), "column", analysis, columns) for name, refs in analysis.models.items()
        }
        every = [one for side in models.values() for one in side]
        return [
            task
            for one in of
            for each in loops(analysis, [one, *every], columns)
            for task in predict(one, models, each, analysis, columns)
        ]
    targets = series(wild(study, analysis.targets), "with", analysis, columns)
    given = series(wild(study, analysis.given), "given", analysis, columns)
    if analysis.verb == "correlate" and joint(study, analysis):
        pairs = loops(analysis, [*of, *targets], columns)
        return [task for each in pairs for task in jointly(of, targets, each, analysis, columns)]
    if analysis.verb == "correlate":
        return [
            correlate(x, y, given, each, analysis, columns)
            for x, y in itertools.product(of, targets)
            for each in loops(analysis, [x, y], columns)
        ]
    every = [*of, *targets, *given]
    return [frame(every, each, columns) for each in loops(analysis, every, columns)]


def joint(study: Study, analysis: Analysis) -> bool:
    """Whether its leaf tests all pairs jointly and corrects by itself."""
    return any(leaf_of(study, ref).constants.get("JOINT") for ref in analysis.leaves)


def _heeded(study: Study, analysis: Analysis) -> None:
    """Raise if a written parameter would change nothing, because no leaf of the analysis has it."""
    known = {name for ref in analysis.leaves for name in leaf_of(study, ref).params}
    for name in analysis.params:
        if name not in known:
            named = ", ".join(ref.name for ref in analysis.leaves)
            raise CrucisError(f"analysis.{analysis.name}.{name}: {named} does not heed '{name}' yet. Remove it.")


def wild(study: Study, refs: Sequence[Ref]) -> list[Ref]:
    """References with `stage.*` replaced by every headline column of the stage's leaf."""
    return list(dict.fromkeys(one for ref in refs for one in expand(study, ref)))


# --- families ------------------------------------------------------------------------------------------------


class _Work:
    """Results by name, family by family: a family's size is known before any of its tests is evaluated."""

    def __init__(self, study: Study, source: Source) -> None:
        self.study = study
        self.columns = Columns(study, source, self.result)
        self._results: dict[str, AnalysisResult] = {}
        self._open: list[str] = []

    def result(self, name: str) -> AnalysisResult:
        """The result of one analysis; evaluates its whole family first.

        Raises:
            CrucisError: the family is being evaluated already, so analyses read one another.
        """
        if name not in self._results:
            family = family_of(self.study.analysis[name])
            if family in self._open:
                raise CrucisError(f"analysis.{name}: analyses of one family, or of a circle, cannot read one another.")
            self._open.append(family)
            members = [one for one in self.study.analysis.values() if family_of(one) == family]
            self._results |= self._evaluate(members)
            self._open.pop()
        return self._results[name]

    def _evaluate(self, members: Sequence[Analysis]) -> dict[str, AnalysisResult]:
        tables = {one.name: _tasks(self.study, one, self.columns) for one in members}
        planned = [task for one in members if _has_p(self.study, one) for task in tables[one.name] if _counts(task)]
        size = len(planned)
        runs = {one.name: _run(self.study, one, tables[one.name], max(size, 1)) for one in members}
        return {
            one.name: _result(
                self.study,
                one,
                _blocks(one, runs) if joint(self.study, one) else _corrected(self.study, one, members, runs),
                max(size, 1),
            )
            for one in members
        }


def family_of(analysis: Analysis) -> str:
    """Analyses with the same answer are corrected together."""
    return f"family {analysis.family}" if analysis.family else f"analysis {analysis.name}"


def _has_p(study: Study, analysis: Analysis) -> bool:
    return any("p" in leaf_of(study, ref).columns for ref in analysis.leaves)


#: Rows of an analysis by method (leaf), all in the order of its tables.
Runs = list[list[ResultRow]]


def _corrected(study: Study, analysis: Analysis, members: Sequence[Analysis], runs: Mapping[str, Runs]) -> Runs:
    """The rows with `p` corrected within the family.

    Several leaves of one analysis answer the same questions, so each is corrected among the first, second ... leaf of
    the other members, not among its siblings.
    """
    out: Runs = []
    for method, rows in enumerate(runs[analysis.name]):
        p: list[float | None] = []
        start = 0
        for one in members:
            if one.name == analysis.name:
                start = len(p)
            chosen = runs[one.name][min(method, len(runs[one.name]) - 1)]
            p += [row.values.get("p_raw", row.values.get("p")) for row in chosen if _counts(row)]
        adjusted = iter(adjust(p, analysis.correction)[start:])
        judge = _judge(study, analysis, leaf_of(study, analysis.leaves[method]))
        out.append([_with_p(row, next(adjusted), judge) if _counts(row) else row for row in rows])
    return out


def _blocks(analysis: Analysis, runs: Mapping[str, Runs]) -> Runs:
    """The rows of a joint test, corrected within each level of `each` by their leaf; here for the number of levels."""
    out: Runs = []
    for rows in runs[analysis.name]:
        blocks = 1 if analysis.correction == "none" else len({row.data.get("block") for row in rows})
        whole = [None if (p := row.values.get("p")) is None else min(1.0, p * blocks) for row in rows]
        out.append(
            [
                row if p is None else replace(row, values={**row.values, "p": p})
                for row, p in zip(rows, whole, strict=True)
            ]
        )
    return out


def _counts(one: Task | ResultRow) -> bool:
    """Whether it is a test of its family: planned, and not a mere control."""
    return bool(one.n_planned) and one.tested


#: From a row and its corrected p to the columns of its verdict that change with it.
Judge = Callable[[ResultRow, float], Mapping[str, float | None]]


def _judge(study: Study, analysis: Analysis, leaf: shelf.Leaf) -> Judge:
    verdict = {"better", "inconclusive"} <= leaf.columns.keys()
    if not verdict or leaf.constants.get("P_SAYS", "difference") != "difference":
        return lambda _row, _p: {}
    ratio = any({**analysis.params, **ref.params}.get("scale") == "ratio" for ref in analysis.leaves)
    neutral = float(leaf.constants.get("NEUTRAL", 1.0 if ratio and "scale" in leaf.params else 0.0))
    higher, alpha = directions(study, analysis, wild(study, analysis.of)), round(1.0 - analysis.confidence, 12)

    def judge(row: ResultRow, p: float) -> Mapping[str, float | None]:
        up = higher.get(row.axes.get("metric", ""), True)
        return verdicts.after_correction(row.values, p, alpha, neutral=neutral, higher=up)

    return judge


def _with_p(row: ResultRow, p: float | None, judge: Judge) -> ResultRow:
    return row if p is None else replace(row, values={**row.values, "p": p, **judge(row, p)})


# --- leaves --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Call:
    """A leaf ready to be called on a table."""

    leaf: shelf.Leaf
    function: Callable[..., Mapping[str, Any]]
    params: Mapping[str, Any]

    def __call__(self, table: Any, higher: bool = True) -> tuple[dict[str, float | None], dict[str, Any]]:
        """The numbers of its columns, and arrays for figures."""
        # The stream is named after the leaf alone: renaming an analysis must not change a number.
        stream = (seeds.rng(0, "analysis", self.leaf.name),) if self.leaf.random else ()
        direction = {} if self.leaf.own or "higher" not in self.leaf.params else {"higher": higher}
        found = self.function(table, *stream, **self.params, **direction)
        arrays = {} if self.leaf.own else {k: v.tolist() for k, v in found.items() if isinstance(v, np.ndarray)}
        values = _checked(found if not arrays else {k: v for k, v in found.items() if k not in arrays})
        if self.leaf.own:
            _as_declared(self.leaf, values)
        return values, arrays


def _checked(values: Mapping[str, Any]) -> dict[str, float | None]:
    if not isinstance(values, Mapping):
        raise TypeError(f"estimate must return a mapping from column to number, not {type(values).__name__}")
    out: dict[str, float | None] = {}
    for name, value in values.items():
        number = None if value is None else float(value)
        if number is not None and not math.isfinite(number):
            raise Refusal("not_finite", f"{name} is {number}")
        out[name] = number
    return out


def _as_declared(leaf: shelf.Leaf, values: Mapping[str, Any]) -> None:
    """A user's estimate returns the columns that its file declares, neither more nor fewer."""
    wrong = sorted(values.keys() ^ leaf.columns.keys())
    if wrong:
        raise Refusal(
            "inconsistent",
            f"{leaf.name} declares {', '.join(leaf.columns) or 'no column'} in COLUMNS and returned "
            f"{', '.join(values) or 'nothing'}; {', '.join(wrong)} must be in both",
        )


def _call(study: Study, analysis: Analysis, ref: LeafRef) -> _Call:
    leaf = leaf_of(study, ref)
    written = {**{name: value for name, value in analysis.params.items() if name in leaf.params}, **ref.params}
    if not leaf.own:
        written.pop("higher", None)  # it is the column that has a direction, so it is handed over row by row
    if "confidence" in leaf.params:
        written["confidence"] = analysis.confidence
    return _Call(leaf, _own(leaf) if leaf.own else shelf.load(leaf), written)


def _own(leaf: shelf.Leaf) -> Callable[..., Mapping[str, Any]]:
    """The entry of a user's file; its neighbours can be imported while it is."""
    found = importlib.util.spec_from_file_location(f"crucis_own_{leaf.path.stem}", leaf.path)
    if found is None or found.loader is None:
        raise CrucisError(f"{leaf.name} cannot be imported.")
    module = importlib.util.module_from_spec(found)
    sys.path.insert(0, str(leaf.path.parent))
    try:
        found.loader.exec_module(module)
    except Exception as error:
        raise CrucisError(f"{leaf.name} fails when it is imported: {type(error).__name__}: {error}") from error
    finally:
        sys.path.remove(str(leaf.path.parent))
    return getattr(module, leaf.entry)


def _run(study: Study, analysis: Analysis, tables: Sequence[Task], size: int) -> Runs:
    """Every leaf on every table."""
    tests = 1 if analysis.correction == "none" else size
    out: Runs = []
    higher = directions(study, analysis, wild(study, analysis.of)) if analysis.verb in ("compare", "attribute") else {}
    for ref in analysis.leaves:
        call = _call(study, analysis, ref)
        named = {"method": _method(ref)} if len(analysis.leaves) > 1 else {}
        out.append([_row(task, call, tests, named, analysis.name, higher) for task in tables])
    return out


def _method(ref: LeafRef) -> str:
    return ref.name.rpartition("/")[2].removesuffix(".py")


def _row(
    task: Task, call: _Call, tests: int, named: Mapping[str, str], name: str, higher: Mapping[str, bool]
) -> ResultRow:
    values: dict[str, float | None] = {}
    arrays: dict[str, Any] = {}
    refused = task.refused
    if refused is None and task.table is not None:
        try:
            values, arrays = call(replace(task.table, family=tests), higher.get(task.axes.get("metric", ""), True))
        except Refusal as refusal:
            refused = Reason(refusal.code, refusal.text)
        except Exception as error:
            if not call.leaf.own:
                raise
            raise CrucisError(f"analysis.{name}: {call.leaf.name}: {type(error).__name__}: {error}") from error
    data = {**task.data, **arrays}
    if "cost" in data:
        data["higher"] = higher.get(task.axes.get("metric", ""), True)
    if values and call.leaf.constants.get("GIVEN") and isinstance(task.table, Points) and task.table.given is not None:
        data = {**data, **_left(task.table)}
    counts = {"n": float(task.n), "n_planned": float(task.n_planned)}
    known = {column: counts.get(column) for column in call.leaf.columns}
    return ResultRow(
        {**task.axes, **named}, {**known, **values}, task.n, task.n_planned,
        task.missing, task.excluded, task.mixed, refused, data, task.tested,
    )  # fmt: skip


def _left(table: Points) -> dict[str, Any]:
    """For a figure of a partial correlation: ranks after removing what is held constant, which is what it is about."""
    assert table.given is not None
    none = [None] * len(table.x)
    x, y = residual(table.x, table.given, "x"), residual(table.y, table.given, "y")
    return {"x": list(x), "y": list(y), "x_se": none, "y_se": none, "residual": True}


# --- results -------------------------------------------------------------------------------------------------


def _result(study: Study, analysis: Analysis, runs: Runs, size: int) -> AnalysisResult:
    columns: dict[str, Mapping[str, Any]] = {}
    # Where several leaves differ about a column, what the compared columns are in counts for its unit.
    for leaf in sorted(
        (leaf_of(study, ref) for ref in analysis.leaves), key=lambda leaf: "NEUTRAL" not in leaf.constants
    ):
        columns |= leaf.columns
    rows = tuple(row for rows in runs for row in rows)
    tested = "p" in columns
    correction = "maximum statistic" if joint(study, analysis) else analysis.correction
    return AnalysisResult(
        analysis.name, analysis.verb, tuple(_method(ref) for ref in analysis.leaves), rows,
        {name: _unit(study, analysis, about) for name, about in columns.items()},
        {name: _kind(name, about, analysis.verb == "estimate") for name, about in columns.items()},
        {name: (about["interval"][0], about["interval"][1]) for name, about in columns.items() if "interval" in about},
        analysis.family or analysis.name, size, correction if tested else "none", analysis.confidence,
        analysis.exploratory,
        _notes(replace(analysis, correction=correction), rows, size, tested, _small(study, analysis, rows)),
        any(row.refused is not None and row.refused.code == "sealed" for row in rows),
    )  # fmt: skip


def _kind(name: str, about: Mapping[str, Any], own: bool) -> str:
    if name in ("p", "p_raw"):
        return "p"
    # What a user's file estimates has an uncertainty, said or not; only counts and declared facts are exact.
    exact = not own or about.get("exact") or about.get("unit") == "count"
    return "estimate" if "interval" in about or about.get("estimate") or not exact else "exact"


def _unit(study: Study, analysis: Analysis, about: Mapping[str, Any]) -> str:
    unit = str(about.get("unit", ""))
    if unit != "same":
        return unit
    params = [{**analysis.params, **ref.params} for ref in analysis.leaves]
    if any(one.get("scale") == "ratio" for one in params):
        return "ratio"
    found: set[str] = set()
    for ref in wild(study, analysis.of):
        try:
            found.add(column(study, ref).unit)
        except LookupError:  # the reference was checked long ago; a source of another kind has no units
            return ""
    return found.pop() if len(found) == 1 else ""


def _small(study: Study, analysis: Analysis, rows: Sequence[ResultRow]) -> list[str]:
    """The columns that were judged with smaller as better."""
    higher = directions(study, analysis, wild(study, analysis.of))
    judged = {row.axes.get("metric", "") for row in rows if "better" in row.values}
    names = whole_names(study, analysis.of)
    return sorted(names.get(label, label) for label in judged if not higher.get(label, True))


def _notes(
    analysis: Analysis, rows: Sequence[ResultRow], size: int, tested: bool, small: Sequence[str]
) -> tuple[str, ...]:
    notes = []
    if not rows:
        notes.append("No rows: there is nothing to compare after the filters.")
    incomplete = sum(row.incomplete for row in rows)
    if incomplete:
        notes.append(f"Incomplete: {incomplete} of {len(rows)} rows lack planned values, which are listed by name.")
    if any(row.mixed for row in rows):
        notes.append("Mixed hardware: some rows combine records computed on unlike machines or libraries.")
    if tested and size > 1:
        how = {"none": "uncorrected", "bh": "false discovery rate (Benjamini-Hochberg)"}
        notes.append(f"{size} tests in the family, {how.get(analysis.correction, analysis.correction.capitalize())}.")
    if small:
        notes.append(f"Smaller is better for {', '.join(small)}; write higher: true if larger is.")
    absent = max((price.absent for row in rows for price in row.data.get("cost", ())), default=0)
    if absent:
        notes.append(f"Costs are incomplete: up to {absent} values of a cost column are absent.")
    confused = {row.axes["component"]: row.data["aliases"] for row in rows if row.data.get("aliases")}
    notes += [
        f"{name} cannot be told from {', '.join(others)}: the runs are a fraction." for name, others in confused.items()
    ]
    if tested and len(analysis.leaves) > 1:
        notes.append("The methods answer the same questions; each is corrected on its own.")
    alike = (tuple(sorted((row.axes["model"], name))) for row in rows for name in row.data.get("alike", ()))
    notes += [
        f"Models {one} and {other} hold the same numbers: they are one model." for one, other in dict.fromkeys(alike)
    ]
    ties = max((int(row.values.get("ties") or 0) for row in rows), default=0)
    if ties:
        notes.append(f"Ties: up to {ties} units share a value with another; rank statistics allow for it.")
    return tuple(notes)


__all__ = ["AnalysisResult", "Reason", "ResultRow", "analyse", "tasks_of"]
