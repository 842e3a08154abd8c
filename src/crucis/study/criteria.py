"""Whether claims mean something: conditions over registered results, one row each, and within reach of the test."""

from __future__ import annotations

from collections.abc import Iterator

from ..errors import did_you_mean
from . import attainable
from .columns import Book
from .expressions import COMPARISONS, nodes, references, render
from .findings import Findings
from .info import ColumnInfo, SemanticError
from .quantities import QuantityError, infer
from .spec import Binary, Claim, Column, Expression, Ref
from .stage_columns import fields_of


def check(book: Book, claim: Claim, found: Findings) -> None:
    """One claim: every criterion, then what it loops over."""
    paths = list(_criteria(claim, found))
    refs = [ref for _, e in paths for ref in references(e)]
    if any(ref.name in found.bad for ref in refs):
        return
    before = len(found.faults)
    for path, e in paths:
        _criterion(book, claim, e, path, found)
    if claim.each and len(found.faults) == before:
        _each(book, claim, refs, found)
    if len(found.faults) == before:
        for _, e in paths:
            attainable.check(book, claim, e, found)


def _criteria(claim: Claim, found: Findings) -> Iterator[tuple[str, Expression]]:
    base = f"claims.{claim.name}"
    where = f"{base}.holds_if" if f"{base}.holds_if" in found.study.places else base
    for index, e in enumerate(claim.holds_if):
        yield found.item(where, index), e
    if claim.refuted_if is not None:
        yield f"{base}.refuted_if", claim.refuted_if


def _criterion(book: Book, claim: Claim, e: Expression, path: str, found: Findings) -> None:
    try:
        infos = {ref: book.info(ref) for ref in references(e)}
        for info in infos.values():
            for name in info.origins:
                if name in book.study.analysis and book.study.analysis[name].exploratory:
                    raise SemanticError(
                        "exploratory",
                        f"analysis '{name}' is exploratory; a claim rests on registered analyses. "
                        "Remove 'exploratory' before the first run.",
                    )
        book.expression(e)
        if not infer(e, book.quantity).flag:
            text = f"'{render(e)}' is a number, and a claim is a condition. Write {render(e)} > NUMBER."
            raise SemanticError("not-a-condition", text)
        _levels(claim, infos)
        _joint(e, infos)
        _large_p(e, infos)
    except (SemanticError, QuantityError) as error:
        found.add(error.code, path, str(error))


def _levels(claim: Claim, infos: dict[Ref, ColumnInfo]) -> None:
    """A criterion speaks of one number: what still varies is fixed, or judged level by level."""
    if claim.each and not any(_has(info, claim.each) for info in infos.values()):
        return  # `each` itself is at fault, and that is said of it
    for ref, info in infos.items():
        starred = {axis for axis, value in ref.at if value == "*"}
        factor = (claim.each or "").partition(".")[0]
        left = [axis for axis in info.open if axis not in starred and axis not in (claim.each, factor)]
        if left:
            counted = [f"{axis} ({len(info.labels[axis]) or '?'} levels)" for axis in left]
            label = info.labels[left[0]][-1] if info.labels[left[0]] else "LABEL"
            head = f"{ref.name}.{ref.column}" if ref.column else ref.name
            raise SemanticError(
                "several-levels",
                f"{head} varies over {' and '.join(counted)}. "
                f"Fix one (@{left[0]}={label}) or judge each (each: {left[0]}).",
            )


def _has(info: ColumnInfo, axis: str) -> bool:
    return axis in info.axes or axis.partition(".")[0] in info.axes


def _joint(e: Expression, infos: dict[Ref, ColumnInfo]) -> None:
    """Estimates of different analyses in one comparison."""
    for node in nodes(e):
        if isinstance(node, Binary) and node.operator in COMPARISONS:
            estimates = {
                ref.name: ref
                for ref in references(node)
                if infos[ref].kind == "estimate" and infos[ref].source == "analysis"
            }
            if len(estimates) > 1:
                first, second = list(estimates.values())[:2]
                raise SemanticError(
                    "two-analyses",
                    f"{first.name}.{first.column} and {second.name}.{second.column} come from two analyses, whose "
                    "joint distribution is unknown. Compare them in one analysis, or against a number.",
                )


def _large_p(e: Expression, infos: dict[Ref, ColumnInfo]) -> None:
    """A large p-value as a criterion."""
    for node in nodes(e):
        if not isinstance(node, Binary) or node.operator not in COMPARISONS:
            continue
        left, right = node.left, node.right
        above = node.operator in (">", ">=") and isinstance(left, Column) and infos[left.ref].kind == "p"
        below = node.operator in ("<", "<=") and isinstance(right, Column) and infos[right.ref].kind == "p"
        if above or below:
            raise SemanticError(
                "large-p",
                f"'{render(node)}': absence of significance shows nothing. To claim that an effect is small, "
                "bound it: abs(X.effect) < MARGIN.",
            )


def _each(book: Book, claim: Claim, refs: list[Ref], found: Findings) -> None:
    """The axis that a claim is judged along."""
    axis, study = claim.each or "", book.study
    known = dict.fromkeys(one for ref in refs for one in book.info(ref).axes)
    factor, _, part = axis.partition(".")
    path = f"claims.{claim.name}.each"
    if axis == "seed":
        found.add("seed-axis", path, "seeds are replicates: a claim is judged over all of them.")
    elif axis in known or (part and factor in known and part in fields_of(study, factor)):
        return
    else:
        listed = f" They vary over {', '.join(known)}." if known else " They do not vary."
        found.add("unknown-axis", path, f"nothing here varies over '{axis}'.{did_you_mean(axis, known) or listed}")
