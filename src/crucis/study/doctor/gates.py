"""Rules about gates: which check did not hold, and what would mend it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from .case import Case
from .finding import Finding, some

HOLDS = "holds"


class Check(Protocol):
    """One line of a gate's checklist: `outcome` is `holds` or anything else; `mend`: what would make it hold."""

    name: str
    outcome: str
    because: str
    mend: str


class Decision(Protocol):
    """What a gate decided: APPROVED, CONDITIONAL or REJECTED, and its checklist."""

    outcome: str
    checks: Sequence[Check]


def rejected(case: Case) -> Iterator[Finding]:
    """A gate that is not open. A conclusion without `gates` has none."""
    decisions: Mapping[str, Decision] = getattr(case.conclusion, "gates", {})
    for name, decision in decisions.items():
        missed = [check for check in decision.checks if check.outcome != HOLDS]
        if decision.outcome == "APPROVED" or not missed:
            continue
        yield Finding(
            "gate", "serious" if decision.outcome == "REJECTED" else "advice",
            f"gate '{name}' is {decision.outcome}: {some([check.name for check in missed])}",
            missed[0].mend, tuple(f"{check.name}: {check.because}" for check in missed),
        )  # fmt: skip
