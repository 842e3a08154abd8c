"""What columns are called on the page: with the parts that a reference fixes. Results and claims call a column by its
short name, `agent.final_return`, where it is the only one of that name; a reader who sees that and no more cannot tell
that it is `agent.final_return@game=catch`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from .expressions import references
from .results import AnalysisResult, ResultRow
from .spec import Analysis, Claim, Ref, Study
from .stage_columns import expand

Names = Mapping[str, str]


def whole_names(study: Study, refs: Sequence[Ref]) -> dict[str, str]:
    """Short name -> name with all that its reference fixes, of columns that results call by their short names."""
    every = list(dict.fromkeys(one for ref in refs for one in expand(study, ref)))
    short = [str(replace(ref, at=())) for ref in every]
    return {
        name: f"{name}{fixed}"
        for ref, name in zip(every, short, strict=True)
        if short.count(name) == 1 and (fixed := "".join(f"@{axis}={at}" for axis, at in ref.at if at != "*"))
    }


def named(study: Study, result: AnalysisResult) -> AnalysisResult:
    """A result for the page: its columns, targets and costs with their whole names."""
    analysis: Analysis = study.analysis[result.name]
    of, targets, cost = (whole_names(study, refs) for refs in (analysis.of, analysis.targets, analysis.cost))
    if not (of or targets or cost):
        return result
    return replace(result, rows=tuple(_row(row, of, targets, cost) for row in result.rows))


def meant(study: Study, claim: Claim) -> tuple[str, ...]:
    """What the columns are in full that a claim reads by their short names, in a sentence for each of its analyses."""
    conditions = (*claim.holds_if, *([claim.refuted_if] if claim.refuted_if is not None else []))
    found: dict[str, dict[str, None]] = {}
    for ref in (ref for one in conditions for ref in references(one)):
        analysis = None if ref.use else study.analysis.get(ref.name)
        if analysis is None:
            continue
        for axis, refs in (("metric", analysis.of), ("with", analysis.targets)):
            names, chosen = whole_names(study, refs), ref.axis(axis)
            told = [whole for short, whole in names.items() if chosen in (None, "*", short)]
            found.setdefault(ref.name, {}).update(dict.fromkeys(told))
    return tuple(f"{name} is about {', '.join(columns)}" for name, columns in found.items() if columns)


def _row(row: ResultRow, of: Names, targets: Names, cost: Names) -> ResultRow:
    axes = {axis: (of if axis == "metric" else targets if axis == "with" else {}).get(label, label)
            for axis, label in row.axes.items()}  # fmt: skip
    data: dict[str, Any] = dict(row.data)
    if "sides" in data:
        x, y = data["sides"]
        data["sides"] = (_spread(x, of), _spread(y, targets))
    if "cost" in data:
        data["cost"] = tuple(replace(price, label=_spread(price.label, cost)) for price in data["cost"])
    return replace(row, axes=axes, data=data)


def _spread(label: str, names: Names) -> str:
    """A label that may go on with what `@axis=*` spreads."""
    head, at, rest = label.partition("@")
    return f"{names[head]}{at}{rest}" if head in names else label
