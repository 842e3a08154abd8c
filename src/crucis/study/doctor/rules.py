"""The table of rules, and the examination of a study by all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ..session import Session, conclude
from . import curves, data, design, difference, gates, method, running
from .case import Case
from .finding import GRADES, Finding

#: Every rule, in the order in which a colleague would ask. One function each; it yields what it finds.
RULES: tuple[Callable[[Case], Iterator[Finding]], ...] = (
    running.failed, running.out_of_memory, running.diverged, running.not_deterministic, running.refused,
    running.missing,
    curves.learned_nothing, curves.unstable, curves.overfit, curves.underfit, curves.still_rising, curves.plateau,
    design.few_seeds, design.opened_twice, design.after_the_data, design.unequal_budgets, design.out_of_reach,
    design.mixed_hardware, design.no_baseline, design.no_claim,
    method.under_baseline, method.component_hurts, method.search_unfinished, method.validation_only,
    gates.rejected,
    difference.no_difference, difference.unpaired,
    data.imbalance, data.small_validation, data.duplicates,
)  # fmt: skip


def examine(session: Session, *, measure: bool = True) -> list[Finding]:
    """Everything that the rules find, the gravest first.

    Args:
        session: the study at its store.
        measure: let rules run short trials here: peaks of memory after a step ran out of it, one record computed again
            after two computations differed.
    """
    case = Case(session, conclude(session), measure)
    found = [finding for rule in RULES for finding in rule(case)]
    return sorted(found, key=lambda finding: GRADES.index(finding.grade))
