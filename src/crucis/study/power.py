"""Before the run: what each analysis could find with the rows that the plan gives it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from ..stats import power as stats
from .analyse import family_of, tasks_of, wild
from .attainable import smallest_p
from .columns import Book, book_of
from .foresight import addition
from .outcomes import field_labels, members, of_search
from .spec import Analysis, Ref, Study
from .table import Point

#: Built-in leaves whose power is known in closed form: (analysis verb, leaf) -> kind.
_KNOWN = {
    ("compare", "paired_t"): "t",
    ("compare", "permutation"): "flip",
    ("compare", "wilcoxon"): "rank",
    ("compare", "welch"): "sides",
    ("compare", "improvement"): "swap",
    ("compare", "friedman"): "orders",
    ("attribute", "main_effects"): "t",
    ("attribute", "interactions"): "t",
    ("attribute", "shapley"): "t",
    ("correlate", "spearman"): "spearman",
    ("correlate", "partial_spearman"): "spearman",
    ("correlate", "kendall"): "kendall",
    ("correlate", "pearson"): "pearson",
    ("correlate", "max_statistic"): "spearman",
    ("predict", "ridge"): "ridge",
}
_PAIRS = ("t", "flip", "rank", "sides", "swap", "orders")
#: The effect for which the plan says the power, in standard deviations.
TYPICAL = 1.5
_SYMBOL = {"spearman": "rho", "kendall": "tau", "pearson": "r"}


class Instance(Protocol):
    """One planned step, as far as counting needs it."""

    @property
    def stage(self) -> str:
        """Its stage."""
        ...

    @property
    def cell(self) -> Mapping[str, str]:
        """Its factor levels."""
        ...

    @property
    def seed(self) -> int | None:
        """Its seed."""
        ...


class Node(Protocol):
    """A node of a plan."""

    @property
    def instance(self) -> Instance:
        """What it computes."""
        ...


class Planned(Protocol):
    """A plan, as far as counting needs it."""

    @property
    def nodes(self) -> Sequence[Any]:
        """Every step, of type `Node`."""
        ...


@dataclass(frozen=True)
class Power:
    """What one method of one analysis could find.

    Attributes:
        n: rows (pairs or units) of its smallest test, `most` of its largest.
        tests: tests in its family; `alpha`: level of one of them after correction, in the worst case.
        detectable: smallest effect found with 80 % power: for comparisons in standard deviations of the paired
            differences over seeds, for correlations a true |coefficient|; None if nothing can be.
            for predictions the share of what the base leaves that an addition must explain.
        significant: correlations: smallest |coefficient| that would be significant; None if none could.
        smallest_p: smallest p that the test can give at n.
        at_typical: power at a true effect of `TYPICAL` deviations; None where no formula gives it.
    """

    analysis: str
    method: str
    n: int
    most: int
    tests: int
    correction: str
    alpha: float
    detectable: float | None
    significant: float | None
    smallest_p: float
    text: str
    at_typical: float | None = None

    def __str__(self) -> str:
        return self.text


def design_power(study: Study, plan: Planned) -> list[Power]:
    """Sentences for the plan: per comparison and correlation the smallest effect that its n can detect.

    Analyses that read other analyses, and leaves whose power has no closed form, are left out. Cost: one pass over the
    rows per pair of stages that an analysis reads, about 20 microseconds per row.
    """
    source = _Counts(study, plan.nodes)
    counts = {one.name: _counts(study, source, one) for one in study.analysis.values() if _countable(study, one)}
    out = []
    for analysis in study.analysis.values():
        if analysis.name not in counts or not counts[analysis.name]:
            continue
        family = [one for one in study.analysis.values() if family_of(one) == family_of(analysis)]
        size = sum(len(counts.get(one.name, ())) for one in family)
        for leaf in analysis.leaves:
            kind = _KNOWN.get((analysis.verb, leaf.name))
            if kind == "ridge":
                out += [
                    Power(analysis.name, leaf.name, one.n, one.n, size, analysis.correction, one.alpha, one.detectable,
                          None, 0.0, one.text)
                    for one in addition(study, source, analysis, size)
                ]  # fmt: skip
            elif kind:
                out.append(_power(analysis, leaf.name, kind, counts[analysis.name], size, _levels(source, analysis)))
    return out


def _countable(study: Study, analysis: Analysis) -> bool:
    if of_search(study, analysis):
        return False  # nothing is tested
    return analysis.verb in ("compare", "correlate", "predict", "attribute") and not any(
        ref.name in study.analysis for ref in analysis.refs
    )


def _counts(study: Study, source: _Counts, analysis: Analysis) -> list[int]:
    """Planned rows of every test: the models of a prediction have the same ones.

    Columns of one stage with the same axes have the same rows and are counted once.
    """
    of, targets = _classes(source, wild(study, analysis.of)), _classes(source, wild(study, analysis.targets))
    out: list[int] = []
    if analysis.verb == "predict":
        return [task.n_planned for task in tasks_of(study, source, analysis) if task.n_planned and task.tested]
    for refs in of:
        for others in targets or [[]]:
            one = replace(analysis, of=tuple(refs[:1]), targets=tuple(others[:1]))
            found = [task.n_planned for task in tasks_of(study, source, one) if task.n_planned]
            out += found * (len(refs) * max(len(others), 1))
    return out


def _classes(source: _Counts, refs: Sequence[Ref]) -> list[list[Ref]]:
    out: dict[Any, list[Ref]] = {}
    for ref in refs:
        own = tuple(source.own(ref)) if ref.name in source.study.stages else ref
        out.setdefault((ref.name, ref.at, own), []).append(ref)
    return list(out.values())


def _levels(source: _Counts, analysis: Analysis) -> int:
    """Levels of the treated factor, as far as the filters leave them; 2 where there is none."""
    if not analysis.between:
        return 2
    of = members(source.book, analysis, analysis.of)
    return max(2, len(field_labels(source.study, of, analysis.between)))


def power_at(analysis: Analysis, method: str, n: int, effect: float, tests: int = 1) -> float | None:
    """Probability that a comparison of n rows finds a true effect at the level that its correction leaves one test.

    Args:
        analysis: its confidence and correction count.
        method: the leaf; None comes back for one whose power has no formula.
        n: pairs.
        effect: in standard deviations of the paired differences (`welch`: of one side).
        tests: tests in the family.
    """
    kind = _KNOWN.get((analysis.verb, method), "")
    alpha = round(1.0 - analysis.confidence, 12) / (1 if analysis.correction == "none" else tests)
    return _found(kind, n, effect, alpha)


def _found(kind: str, n: int, effect: float, alpha: float) -> float | None:
    if kind == "sides":
        return stats.power_sides(n, effect, alpha)
    return stats.power_pairs(n, effect, alpha, kind) if kind in ("t", "flip", "rank") else None


def _detectable(kind: str, n: int, alpha: float) -> float | None:
    if kind == "rank":
        return stats.detectable_ranks(n, alpha)
    if kind == "sides":
        return stats.detectable_sides(n, alpha)
    return stats.detectable_pairs(n, alpha, exact=kind == "flip") if kind in ("t", "flip") else None


def _power(analysis: Analysis, method: str, kind: str, counts: Sequence[int], size: int, levels: int) -> Power:
    n, most = min(counts), max(counts)
    alpha = round(1.0 - analysis.confidence, 12) / (1 if analysis.correction == "none" else size)
    joint = method == "max_statistic"
    given = len(analysis.given) if method.startswith("partial") else 0
    if kind in _PAIRS:
        detectable = _detectable(kind, n, alpha)
        significant, smallest = None, smallest_p(method, n, levels) if n else 0.0
    else:
        detectable = stats.detectable_correlation(n, alpha, kind, given)
        significant = stats.significant_correlation(n, alpha, kind, given)
        smallest = stats.attainable_correlation(n, kind, given)
    correction = "maximum statistic" if joint else analysis.correction
    head = f"{analysis.name} ({method}): {_tests(len(counts), size, correction)}, {_rows(kind, n, most)}: "
    found = _found(kind, n, TYPICAL, alpha)
    tail = _pairs_text(kind, n, detectable, smallest, alpha, found) if kind in _PAIRS else ""
    tail = tail or ("at worst (columns that resemble one another cost less) " if joint else "") + _units_text(
        _SYMBOL.get(kind, ""), detectable, significant, smallest, alpha
    )
    return Power(
        analysis.name, method, n, most, size, analysis.correction, alpha, detectable, significant, smallest,
        head + tail, found,
    )  # fmt: skip


def _tests(own: int, size: int, correction: str) -> str:
    if size == 1:
        return "one test"
    family = f" of a family of {size}" if size != own else ""
    return f"{own} test{'s' * (own != 1)}{family} ({'uncorrected' if correction == 'none' else correction})"


def _rows(kind: str, n: int, most: int) -> str:
    noun = "pair" if kind in _PAIRS else "unit"
    text = f"n = {n} {noun}{'s' * (n != 1)}"
    return text if n == most else f"{text} (up to {most})"


def _pairs_text(kind: str, n: int, detectable: float | None, smallest: float, alpha: float, found: float | None) -> str:
    if smallest > alpha:
        return f"no two-sided p below {smallest:.3g} exists, so {alpha:.3g} is out of reach; add seeds or use paired_t."
    if n < 2:
        return "too few pairs for any test; add seeds."
    if detectable is None or found is None:
        return f"the smallest p is {smallest:.3g} (level {alpha:.3g}); how large an effect it finds has no formula."
    what = "one side, pairing by seed left unused" if kind == "sides" else "the paired differences"
    return (
        f"80 % power from a mean difference of {detectable:.2f} standard deviations of {what} "
        f"(level {alpha:.3g}); power at {TYPICAL:g} deviations: {found:.2f}."
    )


def _units_text(symbol: str, detectable: float | None, significant: float | None, smallest: float, alpha: float) -> str:
    if significant is None:
        why = f"no p below {smallest:.3g} exists" if smallest > alpha else "there are too few units"
        return f"nothing can be significant at {alpha:.3g}, for {why}."
    found = "no true value is found with 80 % power"
    if detectable is not None:
        found = f"80 % power from a true |{symbol}| of {detectable:.2f}"
    return f"significant from |{symbol}| = {significant:.2f} (level {alpha:.3g}); {found}."


class _Counts:
    """A source in which every planned value is 1: only how many there are is of interest."""

    def __init__(self, study: Study, nodes: Sequence[Any]) -> None:
        self.study = study
        self.book: Book = book_of(study)
        self._nodes: dict[str, list[Instance]] = {}
        for node in nodes:
            self._nodes.setdefault(node.instance.stage, []).append(node.instance)

    def own(self, ref: Ref) -> Mapping[str, tuple[str, ...]]:
        """Labels of a column's own axes; one label where they are known only after the run."""
        info = self.book.info(replace(ref, at=tuple(pair for pair in ref.at if pair[0] != "seed")))
        return {axis: labels or ("?",) for axis, labels in info.labels.items() if axis not in self.study.factors}

    def points(self, ref: Ref) -> list[Point]:
        """One point per planned value."""
        if ref.name in self.study.factors:
            factor = self.study.factors[ref.name]
            has = [lv for lv in factor.levels if ref.column is None or ref.column in (lv.fields or {})]
            return [Point({ref.name: level.label}, None, 1.0, "ok") for level in has]
        labels: list[dict[str, str]] = [{}]
        for axis, found in self.own(ref).items():
            labels = [{**rest, axis: label} for rest in labels for label in found]
        return [
            Point({**one.cell, **rest}, one.seed, 1.0, "ok") for one in self._nodes.get(ref.name, []) for rest in labels
        ]

    def field(self, factor: str, label: str, field: str) -> Any:
        """The field of a level."""
        return (self.study.factors[factor].level(label).fields or {}).get(field)

    def labels(self, axis: str) -> tuple[str, ...]:
        """Labels in the order of the file."""
        return self.study.factors[axis].labels if axis in self.study.factors else ()
