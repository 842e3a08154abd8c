"""What a page must satisfy before it is set in type; the faults are those of whoever filled it in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from crucis.errors import CrucisError
from crucis.report.content import (
    COLUMN_KINDS,
    HOLDS,
    OUTCOMES,
    STATES,
    Absent,
    Analysis,
    Column,
    Criterion,
    Curves,
    Figure,
    Line,
    Page,
    Parallel,
    Plane,
    Retention,
    Slices,
    Table,
)


class ReportError(CrucisError):
    """The content of a page contradicts itself."""


def _table(where: str, table: Table) -> Iterator[str]:
    for column in table.columns:
        if column.kind not in COLUMN_KINDS:
            yield f"{where}: column '{column.name}' has the kind '{column.kind}'; known: {', '.join(COLUMN_KINDS)}"
    for number, row in enumerate(table.rows, 1):
        if len(row.cells) != len(table.columns):
            yield f"{where}: row {number} has {len(row.cells)} cells for {len(table.columns)} columns"
        for cell in row.cells:
            if isinstance(cell, Absent) and cell.state not in STATES:
                yield f"{where}: row {number} says '{cell.state}'; known: {', '.join(STATES)}"


def _significance(analysis: Analysis) -> Iterator[str]:
    """A p-value never stands alone: its effect with interval, its n and its correction stand beside it."""
    kinds = {column.kind for column in analysis.table.columns}
    if "p" not in kinds:
        return
    lacking = [name for kind, name in (("estimate", "an effect with its interval"), ("n", "n")) if kind not in kinds]
    if not analysis.correction:
        lacking.append("the correction in words")
    if lacking:
        yield f"analysis '{analysis.name}': a p-value needs {' and '.join(lacking)} beside it"


def _outcomes(where: str, outcome: str, criteria: Iterable[Criterion]) -> Iterator[str]:
    if outcome not in OUTCOMES:
        yield f"{where}: outcome '{outcome}'; known: {', '.join(OUTCOMES)}"
    for criterion in criteria:
        if criterion.holds not in HOLDS:
            yield f"{where}: criterion '{criterion.text}' says '{criterion.holds}'; known: {', '.join(HOLDS)}"


def _line(where: str, line: Line) -> Iterator[str]:
    sizes = {len(line.x), len(line.y), *(len(ends) for ends in (line.low, line.high) if len(ends))}
    if len(sizes) > 1:
        name = f"{where}: line '{line.label}'"
        yield f"{name} has {len(line.x)} places, {len(line.y)} values or a band of another length"
    if not len(line.x):
        yield f"{where}: line '{line.label}' is empty"


def _figure(figure: Figure) -> Iterator[str]:
    where, data = f"figure '{figure.name}'", figure.data
    if isinstance(data, Retention):
        parts: tuple[object, ...] = data.panels or data.lines
        if data.summary and len(data.summary) != len(parts):
            yield f"{where}: {len(data.summary)} summaries for {len(parts)} {'panels' if data.panels else 'lines'}"
        if data.panels and data.lines:
            yield f"{where} has both lines and panels"
    elif isinstance(data, (Slices, Parallel, Plane)):
        parts = data.trials.parameters
    else:
        parts = next(getattr(data, name) for name in ("panels", "effects", "clouds") if hasattr(data, name))
    if not parts:
        yield f"{where} has nothing to show"
    lines = data.lines if isinstance(data, Retention) else ()
    if isinstance(data, Curves) or (isinstance(data, Retention) and data.panels):
        lines = tuple(line for panel in data.panels for line in panel.lines)
    for line in lines:
        yield from _line(where, line)


def _unique(kind: str, names: Iterable[str]) -> Iterator[str]:
    seen: set[str] = set()
    for name in names:
        if not name or name in seen:
            yield f"{kind} '{name}' is there twice" if name else f"{kind} without a name"
        seen.add(name)


def faults(page: Page) -> list[str]:
    """Everything that is wrong with the page, one sentence each."""
    found: list[str] = []
    for verdict in page.verdicts:
        found += _outcomes(f"verdict '{verdict.name}'", verdict.outcome, verdict.criteria)
        for part in verdict.parts:
            found += _outcomes(f"verdict '{verdict.name}', {part.level}", part.outcome, part.criteria)
    for gate in page.gates:
        known = (*HOLDS, "waived")
        found += [f"gate '{gate.name}': check '{line.check}' says '{line.outcome}'; known: {', '.join(known)}"
                  for line in gate.lines if line.outcome not in known]  # fmt: skip
    for analysis in page.analyses:
        found += _table(f"analysis '{analysis.name}'", analysis.table)
        found += _significance(analysis)
    for stage in page.stages:
        found += _table(f"stage '{stage.name}'", stage.table)
    for figure in page.figures:
        found += _figure(figure)
    found += _unique("figure", (figure.name for figure in page.figures))
    found += _unique("analysis", (analysis.name for analysis in page.analyses))
    found += _unique("stage", (stage.name for stage in page.stages))
    return found


def check(page: Page) -> None:
    """Raise `ReportError` with all faults."""
    found = faults(page)
    if found:
        raise ReportError("the report's content is inconsistent:\n" + "\n".join(found))


def unexplained(page: Page) -> list[Column]:
    """Columns that neither explain themselves nor are in the glossary (for tests of protocols)."""
    from crucis.report.glossary import explain

    tables = [analysis.table for analysis in page.analyses] + [stage.table for stage in page.stages]
    return [column for table in tables for column in table.columns if not (column.says or explain(column.name))]
