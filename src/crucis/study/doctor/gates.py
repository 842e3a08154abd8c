"""Rules about gates: which check did not hold, and what would mend it."""

from __future__ import annotations

from collections.abc import Iterator

from ..gates.decision import APPROVED, HOLDS, REJECTED, WAIVED
from .case import Case
from .finding import Finding, some


def rejected(case: Case) -> Iterator[Finding]:
    """A gate that is not open: checks that fail come before those that cannot tell, critical ones before others."""
    for name, decision in case.conclusion.gates.items():
        missed = [line for line in decision.checks if line.outcome not in (HOLDS, WAIVED)]
        if decision.outcome == APPROVED or not missed:
            continue
        missed.sort(key=lambda line: (line.outcome != "fails", not line.critical))
        mend = next((line.mend for line in missed if line.mend), f"crucis gate {case.file} {name}")
        yield Finding(
            "gate", "serious" if decision.outcome == REJECTED else "advice",
            f"gate '{name}' is {decision.words}: {some([line.check for line in missed])}",
            mend, tuple(f"{line.check}: {line.says.removesuffix('.')}" for line in missed),
        )  # fmt: skip
