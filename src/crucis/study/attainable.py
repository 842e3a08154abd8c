"""Whether a test can reach the level that a claim asks for: some tests have a smallest p that depends on n alone."""

from __future__ import annotations

import math
from collections.abc import Iterator

from .axes import axes_of
from .columns import Book
from .expressions import nodes
from .findings import Findings
from .outcomes import Member, axes_of_result, field_labels, groups_of, label_at, leaves, members
from .spec import Analysis, Binary, Claim, Column, Expression, Number, Ref

#: Numbers of pairs or units up to which these tests count every possibility instead of sampling or approximating.
_FLIPS, _ORDERS = 16, 8


def smallest_p(method: str, n: int, levels: int = 2) -> float:
    """Smallest two-sided p of a test with n pairs (flips, swaps), units (orders) or rows of so many levels (ranks).

    0 where it has no such bound, or one that no correction reaches.
    """
    if method in ("permutation", "wilcoxon", "improvement") and 1 <= n <= _FLIPS:
        return 2.0 ** (1 - n)
    if method == "friedman" and n >= 1:
        return min(1.0, 2.0 * (levels * (levels - 1.0)) ** -n)
    if method in ("spearman", "kendall") and 2 <= n <= _ORDERS:
        return 2.0 / math.factorial(n)
    return 0.0


def check(book: Book, claim: Claim, e: Expression, found: Findings) -> None:
    """Report criteria `p < alpha` that no outcome of the run could satisfy; the fault stands at the analysis."""
    for ref, operator, alpha, text in _levels(e):
        analysis = book.study.analysis.get(ref.name)
        if analysis is None or ref.column not in ("p", "p_raw"):
            continue
        methods = [str(ref.axis("method"))] if ref.axis("method") else list(leaves(book.study, analysis))
        counted = _counted(book, analysis)
        if counted is None or len(methods) != 1:
            continue
        n, noun = counted
        tests = _tests(book, analysis) if ref.column == "p" else 1
        method, levels = methods[0], _compared(book, analysis)
        if _out_of_reach(smallest_p(method, n, levels), tests, operator, alpha):
            least = smallest_p(method, n, levels)
            where, sentence = f"analysis.{analysis.name}", f"{_sentence(method, least, n, noun, tests)}, so the claim "
            counts = range(n, 40)
            better = next(
                (m for m in counts if not _out_of_reach(smallest_p(method, m, levels), tests, operator, alpha)), None
            )
            advice = [f"{better} {noun}"] if better else []
            advice += ["paired_t"] if analysis.verb == "compare" else []
            found.add(
                "out-of-reach", where,
                f"{sentence}'{claim.name}' ({ref.column} {operator} {text}) cannot be supported. "
                f"Use {' or '.join(advice)}.",
            )  # fmt: skip


def _levels(e: Expression) -> Iterator[tuple[Ref, str, float, str]]:
    """Criteria of the form p < alpha inside an expression: (reference, operator, alpha, alpha's text)."""
    turned = {">": "<", ">=": "<="}
    for node in nodes(e):
        if not isinstance(node, Binary):
            continue
        if node.operator in ("<", "<=") and isinstance(node.left, Column) and isinstance(node.right, Number):
            yield node.left.ref, node.operator, node.right.value, node.right.text
        if node.operator in turned and isinstance(node.right, Column) and isinstance(node.left, Number):
            yield node.right.ref, turned[node.operator], node.left.value, node.left.text


def _compared(book: Book, analysis: Analysis) -> int:
    """Levels that a comparison ranks within a row."""
    if not analysis.between:
        return 2
    return max(2, len(field_labels(book.study, members(book, analysis, analysis.of), analysis.between)))


def _out_of_reach(smallest: float, tests: int, operator: str, alpha: float) -> bool:
    least = min(1.0, smallest * tests)
    return least > alpha if operator == "<=" else least >= alpha


def _sentence(method: str, least: float, n: int, noun: str, tests: int) -> str:
    corrected = f" ({min(1.0, least * tests):.4g} after correction for {tests} tests)" if tests > 1 else ""
    return f"two-sided {method} on {n} {noun} has no p below {least:.4g}{corrected}"


def _counted(book: Book, analysis: Analysis) -> tuple[int, str] | None:
    """The most pairs or units that any row of an analysis has, and what to call them; None where it cannot be told."""
    of = members(book, analysis, analysis.of)
    if analysis.verb == "compare" and analysis.between:
        return max((_pairs(book, analysis, one) for one in of), default=None)
    if analysis.verb == "correlate":
        return max((_units(book, analysis, one) for one in of), default=None)
    return None


def _seeds(book: Book, one: Member) -> int:
    """Seeds of the stages that a column rests on."""
    axes = axes_of(book.study)
    counts = [len(axes.seeds[name]) for name in one.info.origins if axes.seeds.get(name)]
    return min(counts, default=1) if one.info.seeded else 1


def _pairs(book: Book, analysis: Analysis, one: Member) -> tuple[int, str]:
    """Pairs of the richest contrast: rows that agree in everything but `between`, times seeds; or levels of `unit`."""
    factor = (analysis.between or "").partition(".")[0]
    most = 0
    for group in groups_of(book.study, one.info.cells, analysis.each):
        if analysis.unit:
            most = max(most, len({label_at(book.study, cell, analysis.unit) for cell in group}))
            continue
        rests = [
            {
                tuple((axis, label) for axis, label in cell.items() if axis not in (factor, *analysis.each))
                for cell in level
            }
            for level in groups_of(book.study, tuple(group), (analysis.between or "",))
        ]
        most = max([most, *(len(a & b) for i, a in enumerate(rests) for b in rests[:i])])
    if analysis.unit:
        return most, "units"
    seeds = _seeds(book, one)
    return most * seeds, "seeds" if most == 1 and seeds > 1 else "pairs"


def _units(book: Book, analysis: Analysis, one: Member) -> tuple[int, str]:
    """Units of the richest table: combinations of the factors that stay, or levels of `unit`."""
    axes = (analysis.unit,) if analysis.unit else tuple(axis for axis in one.info.axes if axis not in analysis.each)
    groups = groups_of(book.study, one.info.cells, analysis.each)
    return max((len(groups_of(book.study, group, axes)) for group in groups), default=0), "units"


def _tests(book: Book, analysis: Analysis) -> int:
    """Factor by which the correction raises the smallest p at least, one method counted.

    Bonferroni: all tests of the family. Holm: those of this analysis, for others may have a smaller p and so come
    first. Benjamini-Hochberg: none, for all may be equally small.
    """
    if analysis.correction not in ("holm", "bonferroni"):
        return 1
    family = [analysis]
    if analysis.correction == "bonferroni" and analysis.family:
        family = [one for one in book.study.analysis.values() if one.family == analysis.family]
    count = 0
    for one in family:
        labels = axes_of_result(book.study, one, members(book, one, one.of), members(book, one, one.targets))
        sizes = [max(1, len(names)) for axis, names in labels.items() if axis != "against" or len(names) > 2]
        if one.verb == "compare" and one.against is None and one.between:
            levels = len(labels[one.between])
            sizes = [max(1, len(names)) for axis, names in labels.items() if axis not in (one.between, "against")]
            sizes.append(levels * (levels - 1) // 2)
        count += math.prod(sizes)
    return count
