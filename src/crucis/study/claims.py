"""Verdicts: each claim judged on the results as they are; what is unknown, missing or unequal makes it inconclusive."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..stats.effects import spread_of
from ..stats.tails import t_quantile
from . import judgement
from .derived import Columns, reduce
from .expressions import COMPARISONS, OVER, nodes, references, render, starred
from .judgement import FALSE, TRUE, UNKNOWN, Known, Unknown, Value, exact
from .matching import same_value
from .results import AnalysisResult, Criterion, ResultRow, Verdict, turned
from .rows import restrict
from .spec import Binary, Call, Claim, Column, Expression, Number, Ref, Study, Unary
from .table import Column as Entries
from .table import Missing, Source, axes_of, label_of, ordered, united

#: Confidence of intervals over seeds for columns that no analysis describes.
CONFIDENCE = 0.95


def judge(study: Study, results: Mapping[str, AnalysisResult], source: Source) -> dict[str, Verdict]:
    """A verdict for every claim of a study.

    Estimates count with their whole interval, p-values never refute, exact numbers are what they are (GRAMMAR section
    7). A column of a stage that is named directly is the mean over its seeds with a t interval; `min`, `max`, `median`,
    `sum` and `spread` over `@seed=*` are exact facts about the seeds that ran.
    """
    columns = Columns(study, source, lambda name: results[name])
    return {name: _verdict(claim, results, columns) for name, claim in study.claims.items()}


def judged(
    expression: Expression, study: Study, results: Mapping[str, AnalysisResult], source: Source,
    fixed: Mapping[str, str] | None = None,
) -> tuple[Criterion, Value]:  # fmt: skip
    """One condition judged as a criterion of a claim would be, and the value of its left side.

    `fixed`: axis -> label, for columns that vary over more than the condition fixes.
    """
    columns = Columns(study, source, lambda name: results[name])
    judge_ = _Judge(Claim("", (expression,)), results, columns, dict(fixed or {}))
    left = expression.left if isinstance(expression, Binary) else expression
    return judge_.criterion(expression, render(expression)), judge_.value(left)


def _verdict(claim: Claim, results: Mapping[str, AnalysisResult], columns: Columns) -> Verdict:
    says = claim.says or " and ".join(_text(claim, i) for i in range(len(claim.holds_if)))
    if claim.each is None:
        return _Judge(claim, results, columns, {}).verdict(says)
    labels = _levels(claim, results, columns)
    parts = tuple(
        _Judge(claim, results, columns, {claim.each: label}).verdict(says, f"{claim.each}={label}") for label in labels
    )
    outcomes = [part.outcome for part in parts]
    if "refuted" in outcomes:
        whole = "refuted"
    else:
        whole = "supported" if parts and set(outcomes) == {"supported"} else "inconclusive"
    counts = [f"{outcomes.count(word)} {word}" for word in ("supported", "refuted", "inconclusive") if word in outcomes]
    because = f"{len(parts)} levels of {claim.each}: {', '.join(counts)}." if parts else f"No level of {claim.each}."
    if len(parts) == 1:
        because = f"{parts[0].level}: {parts[0].because}"
    return Verdict(claim.name, says, whole, because, parts)


def _text(claim: Claim, place: int) -> str:
    return claim.text[place] if place < len(claim.text) else render(claim.holds_if[place])


def _levels(claim: Claim, results: Mapping[str, AnalysisResult], columns: Columns) -> list[str]:
    """Labels of the `each` axis in the rows and columns that the claim reads."""
    each = claim.each or ""
    found: list[str] = []
    for expression in (*claim.holds_if, *([claim.refuted_if] if claim.refuted_if else [])):
        for ref in references(expression):
            rows = results[ref.name].rows if ref.name in results else columns.column(ref)
            labels = (label_of(row.axes, each, columns.source) for row in rows)
            found += [label for label in labels if label is not None]
    return ordered(found, each, columns.source)


@dataclass
class _Judge:
    """One claim at one level of its `each` axis."""

    claim: Claim
    results: Mapping[str, AnalysisResult]
    columns: Columns
    fixed: Mapping[str, str]

    def verdict(self, says: str, level: str = "") -> Verdict:
        """The verdict with its criteria."""
        criteria = [self.criterion(e, _text(self.claim, i)) for i, e in enumerate(self.claim.holds_if)]
        holds = judgement.both([one.outcome for one in criteria])
        outcome = {TRUE: "supported", FALSE: "refuted"}.get(holds, "inconclusive")
        because = [one.because for one in criteria]
        if self.claim.refuted_if is not None:
            other = self.criterion(self.claim.refuted_if, "refuted if " + render(self.claim.refuted_if))
            criteria.append(other)
            because.append(other.because)
            outcome = {
                (TRUE, TRUE): "inconclusive", (TRUE, FALSE): "supported", (TRUE, UNKNOWN): "supported",
            }.get((holds, other.outcome), "refuted" if other.outcome == TRUE else "inconclusive")  # fmt: skip
            if holds == other.outcome == TRUE:
                because.append("Both the criterion and its refutation hold, so they contradict each other.")
        return Verdict(self.claim.name, says, outcome, " ".join(because), (), tuple(criteria), level)

    def criterion(self, expression: Expression, text: str) -> Criterion:
        """One criterion judged, with the number that decided it."""
        outcome, because, value = self.truth(expression)
        sentence = f"{because}."  # begins with a column's name, which has no capital
        if value is None:
            return Criterion(text, outcome, because=sentence)
        low, high = (end if math.isfinite(end) else None for end in (value.low, value.high))
        bounds = (low, high) if value.kind == "estimate" else (None, None)
        return Criterion(text, outcome, value.value, *bounds, value.n, sentence)

    # -- truth ------------------------------------------------------------------------------------------------

    def truth(self, e: Expression) -> tuple[str, str, Known | None]:
        """(outcome, why in words, the number that decided)."""
        if isinstance(e, Unary) and e.operator == "not":
            outcome, because, value = self.truth(e.operand)
            return judgement.negate(outcome), because, value
        if isinstance(e, Binary) and e.operator in ("and", "or"):
            parts = [self.truth(e.left), self.truth(e.right)]
            outcomes = [part[0] for part in parts]
            outcome = judgement.both(outcomes) if e.operator == "and" else judgement.either(outcomes)
            return outcome, "; ".join(part[1] for part in parts), parts[0][2] or parts[1][2]
        if isinstance(e, Binary) and e.operator in COMPARISONS:
            return self.comparison(e)
        flag = self.value(e)
        if isinstance(flag, Unknown):
            return UNKNOWN, f"{render(e)}: {flag.because}", None
        if not flag.certain:
            return UNKNOWN, f"{render(e)} is no flag: compare it with a number", flag
        return (TRUE if flag.value else FALSE), f"{render(e)} is {judgement.number(flag.value)}", flag

    def comparison(self, e: Binary) -> tuple[str, str, Known | None]:
        """A comparison; columns of stages on both sides are compared seed by seed."""
        paired = all(self.raw(side) and references(side) for side in (e.left, e.right))
        left = self.value(Binary("-", e.left, e.right) if paired else e.left)
        right: Value = exact(0.0) if paired else self.value(e.right)
        name = f"{render(e.left)} - {render(e.right)}" if paired else render(e.left)
        for side, text in ((left, name), (right, render(e.right))):
            if isinstance(side, Unknown):
                return UNKNOWN, f"{text}: {side.because}", None
        assert isinstance(left, Known) and isinstance(right, Known)
        outcome, why = judgement.compare(e.operator, left, right)
        return outcome, f"{name} is {judgement.words(left, self.confidence(left))}: {why}", left

    def confidence(self, value: Known) -> float:
        """Of the analysis that the number comes from."""
        return self.results[value.origin].confidence if value.origin in self.results else CONFIDENCE

    # -- values -----------------------------------------------------------------------------------------------

    def raw(self, e: Expression) -> bool:
        """Whether an expression reads no analysis and takes no mean over seeds, so that it has a value per seed."""
        reads = any(ref.use is None and ref.name in self.results for ref in references(e))
        return not reads and not any(_over_seeds(node) for node in nodes(e))

    def value(self, e: Expression) -> Value:
        """The number of an expression with its interval."""
        if isinstance(e, Number):
            return exact(e.value)
        if self.raw(e):
            return self.over_seeds(self.columns.value(e))
        if isinstance(e, Column):
            rows = self.rows(e.ref)
            return rows if isinstance(rows, Unknown) else self.one(rows, e.ref)
        if isinstance(e, Unary):
            return judgement.apply(e.operator, self.value(e.operand))
        if isinstance(e, Call):
            return self.call(e)
        return judgement.combine(e.operator, self.value(e.left), self.value(e.right))

    def call(self, e: Call) -> Value:
        """A function of one number, or over the values that `@axis=*` spreads."""
        if e.function not in OVER:
            return judgement.apply(e.function, self.value(e.argument))
        if _over_seeds(e):
            column = self.columns.value(e.argument)
            others = [axis for axis in starred(e.argument) if axis != "seed"]
            return self.over_seeds(reduce(column, others, "mean") if others else column)
        if not isinstance(e.argument, Column):
            return Unknown("a function over several results takes one column")
        rows = self.rows(e.argument.ref)
        if isinstance(rows, Unknown):
            return rows
        return judgement.over(e.function, [self.read(row, e.argument.ref) for row in rows])

    def over_seeds(self, column: Entries) -> Value:
        """The mean over seeds with its t interval; the number itself where there are no seeds or no spread."""
        inside = [entry for entry in restrict(column, self.fixed, self.columns) if not entry.excluded]
        varying = [axis for axis in axes_of(inside) if len({entry.axes.get(axis) for entry in inside}) > 1]
        if varying:
            return Unknown(f"varies over {', '.join(varying)}; fix it, or judge each")
        missing = united(item for entry in inside for item in entry.missing)
        if missing or not inside:
            return Unknown(_lacking(missing) if missing else "there is no value")
        if len(frozenset().union(*(entry.numerics for entry in inside))) > 1 and not self.claim.allow_mixed:
            return Unknown(_MIXED)
        values = np.array([entry.value for entry in inside], dtype=float)
        mean, n = float(values.mean()), len(values)
        if n == 1:
            return exact(mean) if inside[0].seed is None else Unknown("one seed alone has no interval")
        sd = spread_of(values, float(np.abs(values).max()))
        if sd == 0.0:
            return exact(float(values[0]), n)
        reach = t_quantile(0.5 + 0.5 * CONFIDENCE, n - 1) * sd / math.sqrt(n)
        return Known(mean, mean - reach, mean + reach, "estimate", n, "columns of stages")

    # -- rows of analyses -------------------------------------------------------------------------------------

    def rows(self, ref: Ref) -> list[ResultRow] | Unknown:
        """Rows that a reference selects; a contrast may be asked for from either side."""
        result = self.results[ref.name]
        if result.exploratory:
            return Unknown(f"'{ref.name}' is exploratory, and a claim rests on registered analyses")
        wanted = [(axis, str(value)) for axis, value in ref.at if value != "*"]
        wanted += [(axis, label) for axis, label in self.fixed.items() if ref.axis(axis) is None]
        known = {axis for row in result.rows for axis in row.axes}
        for axis, _ in wanted:
            if axis not in known and axis.partition(".")[0] not in known and axis not in self.fixed:
                return Unknown(f"'{ref.name}' has no axis '{axis}'; its axes: {', '.join(sorted(known)) or 'none'}")
        found = [row for row in result.rows if self.fits(row.axes, wanted)]
        if not found and result.verb == "compare":
            found = [row for row in turned(result) if self.fits(row.axes, wanted)]
        return found or Unknown(f"'{ref.name}' has no row for {', '.join('='.join(pair) for pair in wanted)}")

    def fits(self, axes: Mapping[str, str], wanted: Sequence[tuple[str, str]]) -> bool:
        """Whether a row stands at every wanted label; an axis that it lacks does not bind."""
        labels = ((label_of(axes, axis, self.columns.source), value) for axis, value in wanted)
        return all(label is None or same_value(label, value) for label, value in labels)

    def one(self, rows: Sequence[ResultRow], ref: Ref) -> Value:
        """The number of the only row."""
        if len(rows) > 1:
            axes = {axis: {row.axes.get(axis) for row in rows} for axis in rows[0].axes}
            varying = [f"{axis} ({len(labels)} levels)" for axis, labels in axes.items() if len(labels) > 1]
            return Unknown(f"{ref} varies over {', '.join(varying)}; fix it, or judge each")
        return self.read(rows[0], ref)

    def read(self, row: ResultRow, ref: Ref) -> Value:
        """A column of one row as a number with its interval."""
        result, column = self.results[ref.name], ref.column or ""
        if row.refused is not None and row.refused.code == "sealed":
            return Unknown(row.refused.text)
        if row.missing:
            return Unknown(_lacking(row.missing) + f", n = {row.n} of {row.n_planned}")
        if row.refused is not None:
            return Unknown(row.refused.text)
        if row.mixed and not self.claim.allow_mixed:
            return Unknown(_MIXED)
        value = row.values.get(column)
        if value is None:
            return Unknown(f"{column} cannot be known with n = {row.n}")
        kind = result.kinds.get(column, "exact")
        low, high = value, value
        if kind == "estimate" and column not in result.intervals:
            return Unknown(f"{column} is {value:.4g} and has no interval (COLUMNS can name one), so nothing is decided")
        if kind == "estimate":
            ends = [row.values.get(name) for name in result.intervals[column]]
            low, high = (-math.inf if ends[0] is None else ends[0]), (math.inf if ends[1] is None else ends[1])
        return Known(value, low, high, kind, row.n, ref.name)


_MIXED = "its records come from unlike hardware (mixed); allow_mixed would accept that"


def _over_seeds(e: Expression) -> bool:
    return isinstance(e, Call) and e.function == "mean" and "seed" in starred(e.argument)


def _lacking(missing: Sequence[Missing]) -> str:
    named = []
    for item in missing[:3]:
        place = ", ".join([*item.axes.values(), *([f"seed {item.seed}"] if item.seed is not None else [])])
        named.append(f"{place or item.key or 'a value'} ({item.why or item.state})")
    more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
    return f"incomplete, lacking {'; '.join(named)}{more}"


__all__ = ["Criterion", "Verdict", "judge", "judged"]
