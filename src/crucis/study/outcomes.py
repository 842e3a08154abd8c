"""Columns of analyses: which numbers a result will have and what they vary over, before there is a result."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from .. import shelf
from ..errors import did_you_mean
from ..source import SourceError
from .components import asked, components_of
from .distributions import parameters
from .identity import find
from .info import ColumnInfo, Range, SemanticError, narrowed
from .matching import label_of
from .spec import Analysis, LeafRef, Ref, Study
from .stage_columns import expand

if TYPE_CHECKING:
    from .columns import Book

Cell = Mapping[str, str]

#: Columns of `same` unit that stay inside the range of what they summarise.
_INSIDE = ("mean", "median", "min", "max")
#: What the control of a model is called: noise in place of what the model adds.
NOISE = "-noise"
#: Literal `TABLE` of leaves that work on the trials of a search.
TRIALS = "trials"
#: Literals `TABLE` of leaves that work on units along an axis, on runs along one, on independent groups, and on what a
#: search found beside what fresh seeds confirm.
PANEL, RUNS, GROUPS, SELECTION = "panel", "runs", "groups", "selection"


@dataclass(frozen=True)
class Member:
    """One column of an analysis as its result names it: the label, and the axes that `@axis=*` spreads."""

    ref: Ref
    label: str
    info: ColumnInfo
    spread: tuple[str, ...]


def members(book: Book, analysis: Analysis, refs: Sequence[Ref]) -> list[Member]:
    """The columns of a list, wildcards expanded, after the filters of the analysis.

    A column is called by its name; only where two differ in nothing but their `@` by the whole reference.

    Raises:
        SemanticError: the first reference without meaning.
    """
    study = book.study
    every = [one for ref in refs for one in expand(study, ref)]
    short = [str(replace(ref, at=())) for ref in every]
    out = []
    for ref, name in zip(every, short, strict=True):
        found = book.info(ref)
        found = book.info(whole(analysis, ref, found.within)) if found.within else found
        info = narrowed(study, found, analysis.only, analysis.exclude)
        out.append(Member(ref, str(ref) if short.count(name) > 1 else name, info, spread_of(analysis, ref)))
    return out


def leaves(study: Study, analysis: Analysis) -> dict[str, shelf.Leaf]:
    """Method -> leaf, in the order of the file; leaves that do not exist are left out."""
    out = {}
    for ref in analysis.leaves:
        try:
            out[method(ref)] = find(ref, study.folder)
        except (KeyError, SourceError, OSError):
            continue
    return out


def of_search(study: Study, analysis: Analysis) -> bool:
    """Whether its leaves take the trials of a search apart, and not the levels of a factor."""
    return any(leaf.constants.get("TABLE") == TRIALS for leaf in leaves(study, analysis).values())


def table_of(study: Study, analysis: Analysis) -> str | None:
    """The literal `TABLE` of the leaves of an analysis, which all of them share; None for plain tables."""
    return next((str(kind) for leaf in leaves(study, analysis).values() if (kind := leaf.constants.get("TABLE"))), None)


def whole(analysis: Analysis, ref: Ref, within: str | None) -> Ref:
    """A column that is a mean over an axis of its own, with that axis, where the analysis works along or over it."""
    taken = analysis.verb in ("describe", "compare") and within in (analysis.unit, analysis.along)
    return replace(ref, at=(*ref.at, (within, "*"))) if taken and within and ref.axis(within) is None else ref


def spread_of(analysis: Analysis, ref: Ref) -> tuple[str, ...]:
    """The axes that `@axis=*` makes columns of: not those that the analysis works along or over by itself."""
    taken = ("seed", analysis.along, analysis.unit if analysis.verb in ("describe", "compare") else None)
    return tuple(axis for axis, value in ref.at if value == "*" and axis not in taken)


def pairwise(study: Study, analysis: Analysis) -> bool:
    """Whether its leaves ask about pairs of components."""
    return any(leaf.constants.get("PAIR") for leaf in leaves(study, analysis).values())


def method(ref: LeafRef) -> str:
    """The label of a leaf on the axis `method`."""
    return ref.name.rpartition("/")[2].removesuffix(".py")


def outcome(book: Book, analysis: Analysis, ref: Ref) -> ColumnInfo:
    """A column of the result of an analysis, before the `@` of the reference.

    Raises:
        SemanticError: no such column, or a column of the analysis without meaning.
    """
    study = book.study
    having = leaves(study, analysis)
    known = {name for leaf in having.values() for name in leaf.columns}
    if ref.column is None or (ref.column not in known and having):
        raise SemanticError("unknown-column", _no_column(ref, list(dict.fromkeys(_ordered(having)))))
    about: Mapping[str, Any] = {}
    for leaf in having.values():
        about = about or leaf.columns.get(ref.column, {})
    of = members(book, analysis, analysis.of)
    targets = members(book, analysis, analysis.targets)
    parts = [*of, *targets]
    if table_of(study, analysis) == SELECTION:
        of = of[:1]  # the confirmation is no metric of its own
    metrics, withs = _unique(one.label for one in of), _unique(one.label for one in targets)
    of, targets = _chosen(of, ref.axis("metric")), _chosen(targets, ref.axis("with"))
    labels = axes_of_result(study, analysis, of, targets)
    labels |= {axis: whole for axis, whole in (("metric", metrics), ("with", withs)) if axis in labels}
    if len(analysis.leaves) > 1:
        labels["method"] = tuple(name for name, leaf in having.items() if ref.column in leaf.columns)
    others = [ref for refs in (analysis.given, *analysis.models.values()) for ref in refs]
    parts += members(book, analysis, others)
    unit, ends = _quantity(analysis, ref.column, about, of)
    return ColumnInfo(
        unit, ends, tuple(labels), labels, bool(about.get("headline")), "analysis", _kind(ref.column, about),
        sealed=any(one.info.sealed for one in parts), origins=_origins(study, analysis.name, parts),
        implied=("against",) if len(labels.get("against", ())) == 2 else (),
    )  # fmt: skip


def _chosen(parts: list[Member], label: object) -> list[Member]:
    """The column that `@metric=` or `@with=` names, or all."""
    return [one for one in parts if one.label == label] or parts


def _origins(study: Study, name: str, parts: Iterable[Member]) -> tuple[str, ...]:
    """This analysis and those that it reads."""
    return _unique((name, *(one for part in parts for one in part.info.origins if one in study.analysis)))


def model_labels(analysis: Analysis) -> dict[str, tuple[str, bool]]:
    """Label on the axis `model` -> (model, whether it is the control), in the order of the rows."""
    out: dict[str, tuple[str, bool]] = {}
    for name in analysis.models:
        out[name] = (name, False)
        if name != analysis.base:
            out[name + NOISE] = (name, True)
    return out


def axes_of_result(
    study: Study, analysis: Analysis, of: Sequence[Member], targets: Sequence[Member]
) -> dict[str, tuple[str, ...]]:
    """Axis -> labels of the rows of a result, without `method`; empty labels are known only after the run."""
    labels: dict[str, tuple[str, ...]] = {"metric": _unique(one.label for one in of)}
    if analysis.verb == "estimate":
        labels = {}
    labels |= {axis: _over(of, axis) for one in of for axis in one.spread if analysis.verb != "estimate"}
    if analysis.verb == "correlate":
        for axis in dict.fromkeys(axis for one in targets for axis in one.spread):
            labels[f"with.{axis}" if axis in labels else axis] = _over(targets, axis)
        labels["with"] = _unique(one.label for one in targets)
    if analysis.verb == "predict":
        labels["model"] = tuple(model_labels(analysis))
    every = (*of, *targets)
    for axis in analysis.each:
        if axis not in labels and axis != "method":
            labels[axis] = field_labels(study, every, axis)
    if analysis.verb == "compare" and analysis.between and table_of(study, analysis) != GROUPS:
        levels = field_labels(study, of, analysis.between)
        if analysis.against is None:  # a contrast may be read either way round
            labels[analysis.between] = labels["against"] = levels
        else:
            labels[analysis.between] = tuple(level for level in levels if level != analysis.against)
            labels["against"] = (analysis.against,)
    if analysis.verb == "attribute" and of_search(study, analysis):
        bodies = [study.stages[one.ref.name].trial for one in of if one.ref.name in study.stages]
        labels["parameter"] = _unique(each.name for body in bodies if body for each in parameters(body.params))
    elif analysis.verb == "attribute" and analysis.over:
        found = components_of(study, analysis.over, _over(of, analysis.over))
        labels["component"] = tuple(name for name, _ in asked(found.names, pairwise(study, analysis)))
    if analysis.verb == "describe" and not analysis.unit and table_of(study, analysis) != PANEL:
        along = (analysis.along or "").partition(".")[0]
        rest = dict.fromkeys(axis for one in of for axis in one.info.axes if axis not in labels and axis != along)
        labels |= {axis: _over(of, axis) for axis in rest}
    return labels


def field_labels(study: Study, parts: Iterable[Member], axis: str) -> tuple[str, ...]:
    """Labels of an axis, or the values of `factor.field`, that occur in some column, in the order of the file."""
    factor, _, part = axis.partition(".")
    if axis in study.factors or not part or factor not in study.factors:
        return _over(parts, axis)
    present = set(_over(parts, factor))
    levels = [level for level in study.factors[factor].levels if level.label in present]
    return _unique(label_of(level.fields[part]) for level in levels if level.fields and part in level.fields)


def groups_of(study: Study, cells: Sequence[Cell], axes: Sequence[str]) -> list[list[Cell]]:
    """Cells by their labels on axes or fields."""
    out: dict[tuple[str, ...], list[Cell]] = {}
    for cell in cells:
        out.setdefault(tuple(label_at(study, cell, axis) for axis in axes), []).append(cell)
    return list(out.values())


def label_at(study: Study, cell: Cell, axis: str) -> str:
    """The label of a cell on an axis, or the value of a field there; empty if it has none."""
    factor, _, part = axis.partition(".")
    if not part or factor not in cell:
        return cell.get(axis, "")
    return label_of((study.factors[factor].level(cell[factor]).fields or {}).get(part, ""))


def _over(parts: Iterable[Member], axis: str) -> tuple[str, ...]:
    return _unique(label for one in parts for label in one.info.labels.get(axis, ()))


def _unique(labels: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(labels))


def _ordered(having: Mapping[str, shelf.Leaf]) -> list[str]:
    return [name for leaf in having.values() for name in leaf.columns]


def _no_column(ref: Ref, known: Sequence[str]) -> str:
    if ref.column is None:
        return f"'{ref.name}' is an analysis; name one of its numbers: {ref.name}.X ({', '.join(known[:6])})."
    listed = ", ".join(known)
    return f"'{ref.name}' has no column '{ref.column}'.{did_you_mean(ref.column, known) or f' It has: {listed}.'}"


def _kind(name: str, about: Mapping[str, Any]) -> str:
    if name in ("p", "p_raw"):
        return "p"
    return "estimate" if "interval" in about or about.get("estimate") else "exact"


def _quantity(analysis: Analysis, name: str, about: Mapping[str, Any], of: Sequence[Member]) -> tuple[str, Range]:
    """Unit and range; a leaf that says `same` takes them from what it compares or summarises."""
    low, high = about.get("range", [None, None])
    unit = str(about.get("unit", "1"))
    if unit != "same":
        return unit, (low, high)
    if any({**analysis.params, **ref.params}.get("scale") == "ratio" for ref in analysis.leaves):
        return "ratio", (low, high)
    units = {one.info.unit for one in of}
    lows, highs = [one.info.range[0] for one in of], [one.info.range[1] for one in of]
    if len(units) > 1 or None in lows or None in highs or not of:
        return (units.pop() if len(units) == 1 else "1"), (low, high)
    least, most = min(x for x in lows if x is not None), max(x for x in highs if x is not None)
    if analysis.verb in ("compare", "attribute") and name == "effect":
        return units.pop(), (least - most, most - least)
    return units.pop(), (least, most) if name in _INSIDE else (low, high)
