"""Whether derived columns and analyses mean something: every column there is, every axis answered, enough levels."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import product

from ..errors import did_you_mean
from . import attributed, modelling, shaped
from .columns import Book
from .expressions import references
from .findings import Findings
from .info import ColumnInfo, SemanticError
from .outcomes import GROUPS, Member, field_labels, groups_of, label_at, leaves, members, table_of
from .quantities import QuantityError
from .spec import Analysis, Ref, Study
from .stage_columns import expand, fields_of

#: Keys of analyses that nothing reads yet; they are refused, not passed over.
LATER = ("margin",)


def check_derived(book: Book, found: Findings) -> None:
    """Every `derive`: its references, units, and that it is a number."""
    for name, tree in book.study.derive.items():
        if _rests(book, references(tree), found, name):
            found.bad.add(name)
            continue
        try:
            info = book.info(Ref(name))
        except (SemanticError, QuantityError) as error:
            found.bad.update((name, *getattr(error, "names", ())))
            found.add(error.code, f"derive.{name}", str(error))
            continue
        if info.kind == "flag":
            found.bad.add(name)
            text = "a condition, where a number is expected. Conditions belong in 'claims'."
            found.add("not-a-number", f"derive.{name}", text)


def _rests(book: Book, refs: Iterable[Ref], found: Findings, name: str) -> bool:
    """Whether any reference leads, over derived columns and analyses, to a name with a fault of its own."""
    seen = {name}
    todo = [ref.name for ref in refs]
    while todo:
        other = todo.pop()
        if other in found.bad:
            return True
        if other in seen:
            continue
        seen.add(other)
        if other in book.study.derive:
            if other not in found.bad and not _sound(book, Ref(other), seen):
                return True  # it is reported where it stands
            todo += [ref.name for ref in references(book.study.derive[other])]
        elif other in book.study.analysis:
            one = book.study.analysis[other]
            todo += [ref.name for ref in one.refs]
    return False


def _sound(book: Book, ref: Ref, trail: set[str]) -> bool:
    """Whether a derived column can be worked out; a circle through `trail` is left to the first of its members."""
    try:
        book.info(ref)
    except SemanticError as error:
        return bool(trail & set(error.names))
    except QuantityError:
        return False
    return True


# --- analyses --------------------------------------------------------------------------------------------------


def check(book: Book, analysis: Analysis, found: Findings) -> None:
    """One analysis."""
    before, path = len(found.faults), f"analysis.{analysis.name}"
    lists = {"of": analysis.of, "with": analysis.targets, "given": analysis.given, "cost": analysis.cost}
    if _rests(book, [ref for refs in lists.values() for ref in refs], found, analysis.name):
        found.bad.add(analysis.name)
        return
    lists |= {f"from.{name}": refs for name, refs in analysis.models.items()}
    parts = {key: _members(book, analysis, refs, f"{path}.{key}", found) for key, refs in lists.items()}
    having = leaves(book.study, analysis).values()
    for key in LATER:
        if key in analysis.params and not any(key in leaf.params for leaf in having):
            found.add("later", f"{path}.{key}", f"'{key}' comes with a later version of Crucis. Remove it.")
    if len(found.faults) == before:
        if analysis.verb == "compare":
            _between(book, analysis, parts["of"], found)
        if analysis.verb in ("describe", "compare"):
            shaped.check(book, analysis, parts["of"], found)
        if analysis.verb == "attribute":
            attributed.check(book, analysis, parts["of"], found)
        if analysis.verb == "correlate":
            _sides(book, analysis, found)
        if analysis.verb == "predict":
            modelling.check(book, analysis, parts, found)
        _axes_named(book, analysis, [one for key, part in parts.items() if key != "cost" for _, one in part], found)
    if len(found.faults) == before:
        _answered(book, analysis, parts, found)
    if any(not fault.note for fault in found.faults[before:]):
        found.bad.add(analysis.name)


def _members(
    book: Book, analysis: Analysis, refs: Sequence[Ref], path: str, found: Findings
) -> list[tuple[str, Member]]:
    """The columns of a list with the path of each; what has no meaning is reported."""
    out = []
    for index, ref in enumerate(refs):
        where = found.item(path, index)
        try:
            if not expand(book.study, ref):
                raise SemanticError("wildcard", f"'{ref}' is an empty list: '{ref.name}' declares no headline column.")
            for one in members(book, analysis, [ref]):
                out.append((where, one))
                if not _left(one.info) and _left(book.info(one.ref)):
                    key = "only" if analysis.only else "except"
                    text = f"no row of {one.label} is left: it has none that this filter keeps."
                    found.add("no-cell", f"analysis.{analysis.name}.{key}", text)
        except (SemanticError, QuantityError) as error:
            found.bad.update(getattr(error, "names", ()))
            found.add(error.code, where, str(error))
    return out


def _left(info: ColumnInfo) -> bool:
    return bool(info.cells) or info.source == "analysis"


def _between(book: Book, analysis: Analysis, of: Sequence[tuple[str, Member]], found: Findings) -> None:
    study, between, path = book.study, analysis.between, f"analysis.{analysis.name}"
    choices = f"Choose a factor: {', '.join(study.factors)}." if study.factors else "The study has no factor."
    if between is None:
        found.add("no-between", path, f"compares nothing. Write between: FACTOR. {choices}")
        return
    factor, _, part = between.partition(".")
    where = f"{path}.between"
    if factor == "seed":
        found.add("seed-between", where, f"seeds are replicates and cannot be compared. {choices}")
        return
    if factor not in study.factors:
        found.add("unknown-name", where, f"no factor '{factor}'.{did_you_mean(factor, study.factors) or ' ' + choices}")
        return
    fields = fields_of(study, factor)
    if part and part not in fields:
        hint = did_you_mean(part, fields) or (f" Fields: {', '.join(fields)}." if fields else "")
        found.add("no-field", where, f"no level of '{factor}' has a field '{part}'.{hint}")
        return
    for _, one in of:
        if factor not in one.info.axes:
            over = f" It varies over {', '.join(one.info.axes)}." if one.info.axes else " It varies over no factor."
            found.add("unknown-axis", where, f"{one.label} does not vary over '{factor}'.{over}")
            return
    levels = field_labels(study, [one for _, one in of], between)
    if analysis.against is not None and analysis.against not in levels:
        hint = f"{did_you_mean(analysis.against, levels)} Levels: {', '.join(levels)}."
        found.add("unknown-level", f"{path}.against", f"{between} has no level '{analysis.against}' here.{hint}")
    elif len(levels) < 2:
        text = f"only one level of {between} is left ({', '.join(levels)}), and a comparison needs two."
        found.add("one-level", where, text)
    elif part:
        _one_row_per_pair(study, analysis, [one for _, one in of], found)
    for level in analysis.expect:
        if level not in levels or level == analysis.against:
            hint = did_you_mean(level, levels) or f" Levels: {', '.join(levels)}."
            text = f"nothing is measured for '{level}': {between} has no such level to compare.{hint}"
            found.add("unknown-level", f"{path}.expect.{level}", text)
    for key in ("cost", "expect"):
        if getattr(analysis, key) and analysis.against is None:
            found.add("no-reference", f"{path}.{key}", f"'{key}' needs a reference. Write against: LEVEL.")
    if between in analysis.each:
        found.add("answered-twice", f"{path}.each", f"'{between}' is compared already; remove it here.")


def _one_row_per_pair(study: Study, analysis: Analysis, of: Sequence[Member], found: Findings) -> None:
    """Levels that share the compared field must be told apart by what is looped over, or no pair is one pair."""
    between = analysis.between or ""
    factor = between.partition(".")[0]
    for one in of:
        for cells in groups_of(study, one.info.cells, analysis.each):
            for group in groups_of(study, cells, (between,)):
                rests = [tuple(pair for pair in cell.items() if pair[0] != factor) for cell in group]
                if len(set(rests)) < len(rests):
                    names = list(dict.fromkeys(cell[factor] for cell in group))
                    text = (
                        f"{', '.join(names)} all have {between}={label_at(study, group[0], between)}, so rows have "
                        f"several partners. Loop over what tells them apart (each: {factor}.FIELD), or filter."
                    )
                    found.add("many-partners", f"analysis.{analysis.name}.between", text)
                    return


def _sides(book: Book, analysis: Analysis, found: Findings) -> None:
    path = f"analysis.{analysis.name}"
    if not analysis.targets:
        found.add("no-targets", path, "correlates with nothing. Write with: [COLUMN].")
    joint = [name for name, leaf in leaves(book.study, analysis).items() if leaf.constants.get("JOINT")]
    if joint and (len(analysis.leaves) > 1 or analysis.family):
        text = f"'{joint[0]}' corrects all of its pairs by itself: it stands alone, without other methods and 'family'."
        found.add("joint", path, text)
    needing = [name for name, leaf in leaves(book.study, analysis).items() if leaf.constants.get("GIVEN")]
    if needing and not analysis.given:
        found.add("no-given", path, f"'{needing[0]}' holds something constant. Write given: [COLUMN].")
    if analysis.given and leaves(book.study, analysis) and not needing:
        name = next(iter(leaves(book.study, analysis)))
        found.add(
            "no-meaning", f"{path}.given", f"'{name}' holds nothing constant. Use partial_spearman, or remove 'given'."
        )


def _axes_named(book: Book, analysis: Analysis, parts: Sequence[Member], found: Findings) -> None:
    """`each` and `unit` name axes, or fields of factors, that some column has."""
    known = dict.fromkeys(axis for one in parts for axis in one.info.axes)
    inner = {one.info.within: one for one in parts if one.info.within and one.info.within not in known}
    known |= dict.fromkeys(axis for one in parts for axis in one.spread)
    named = [(axis, found.item(f"analysis.{analysis.name}.each", i)) for i, axis in enumerate(analysis.each)]
    for key, word in (("unit", analysis.unit), ("along", analysis.along)):
        if word:
            named.append((word, f"analysis.{analysis.name}.{key}"))
    for axis, path in named:
        factor, _, part = axis.partition(".")
        fields = fields_of(book.study, factor)
        if axis == "seed":
            found.add("seed-axis", path, "seeds are replicates: they are paired and averaged by themselves.")
        elif factor in known and (not part or part in fields):
            continue
        elif part and factor in known:
            found.add("no-field", path, f"no level of '{factor}' has a field '{part}'.{did_you_mean(part, fields)}")
        elif axis in ("metric", "with", "method", "component", "parameter"):
            continue
        elif axis in inner:
            label = inner[axis].label
            text = f"{label} is a mean over '{axis}'; looping over its parts comes with a later version of Crucis."
            found.add("later", path, f"{text} Write {label}@{axis}=* for one column per part.")
        else:
            listed = f" They vary over {', '.join(known)}." if known else " They do not vary."
            found.add(
                "unknown-axis", path, f"no column here varies over '{axis}'.{did_you_mean(axis, known) or listed}"
            )


# --- every axis is answered --------------------------------------------------------------------------------------


def _answered(book: Book, analysis: Analysis, parts: dict[str, list[tuple[str, Member]]], found: Findings) -> None:
    """An axis that a column still varies over and that the analysis does not treat."""
    open_: dict[tuple[str, str], list[str]] = {}

    def note(where: str, one: Member, axes: Iterable[str]) -> None:
        for axis in axes:
            if axis not in open_.setdefault((where, one.label), []):
                open_[(where, one.label)].append(axis)

    treated = set(analysis.each) | ({analysis.unit.partition(".")[0]} if analysis.unit else set())
    if analysis.along:
        treated.add(analysis.along.partition(".")[0])
    if analysis.leave_out:
        treated.add(analysis.leave_out.partition(".")[0])
    if analysis.verb == "compare" and analysis.between:
        treated.add(analysis.between.partition(".")[0])
    if analysis.verb == "attribute" and analysis.over:
        treated.add(analysis.over)
    left = {id(one): _open(one, treated) for part in parts.values() for _, one in part}
    pooled = table_of(book.study, analysis) == GROUPS  # it has no pairs that would keep other factors apart
    whole = set(book.study.factors) if not analysis.unit and analysis.verb != "predict" and not pooled else set()
    for where, one in [pair for part in parts.values() for pair in part]:
        if analysis.verb != "estimate":
            note(where, one, [axis for axis in left[id(one)] if axis not in whole])
    if analysis.verb == "correlate":
        for (x_at, x), (y_at, y) in product(parts["of"], parts["with"]):
            note(x_at, x, [axis for axis in left[id(x)] if axis not in left[id(y)]])
            note(y_at, y, [axis for axis in left[id(y)] if axis not in left[id(x)]])
        for (g_at, g), (_, x) in product(parts["given"], parts["of"]):
            note(g_at, g, [axis for axis in left[id(g)] if axis not in left[id(x)]])
    alike: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for (where, label), axes in open_.items():
        if axes:
            alike.setdefault((where, tuple(axes)), []).append(label)
    for (where, axes_), labels in alike.items():
        one = next(m for part in parts.values() for _, m in part if m.label == labels[0])
        more = f" (and {len(labels) - 1} more)" if len(labels) > 1 else ""
        found.add("open-axis", where, _choices(one, axes_, more))


def _open(one: Member, treated: set[str]) -> list[str]:
    return [axis for axis in one.info.open if axis not in treated and axis not in one.spread]


def _choices(one: Member, axes: Sequence[str], more: str) -> str:
    counted = [f"{axis} ({len(one.info.labels[axis])})" if one.info.labels[axis] else axis for axis in axes]
    names = f"{', '.join(counted[:-1])} and {counted[-1]}" if len(counted) > 1 else counted[0]
    label = (one.info.labels[axes[0]] or ("LABEL",))[0]
    return (
        f"{one.label}{more} varies over {names}. Choose for each: fix (@{axes[0]}={label}), "
        f"spread (@{axes[-1]}=*), or loop (each: {axes[0]})."
    )
