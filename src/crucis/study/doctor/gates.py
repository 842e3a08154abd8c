"""Rules about gates: which check did not hold, and what would mend it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .case import Case
from .finding import Finding


def rejected(case: Case) -> Iterator[Finding]:
    """A gate that did not open. Says nothing where the study has no gates."""
    for name, decision in dict(getattr(case.conclusion, "gates", {}) or {}).items():
        outcome = str(getattr(decision, "outcome", "")).upper()
        if outcome in ("", "APPROVED"):
            continue
        lines = [line for line in getattr(decision, "checks", ()) if not _holds(line)]
        first: Any = lines[0] if lines else None
        mend = str(getattr(first, "mend", "") or "")
        yield Finding(
            "gate", "serious" if outcome == "REJECTED" else "advice",
            f"gate '{name}' is {outcome}: {getattr(first, 'says', 'see the report')}",
            mend or f"see the gate's evidence: crucis report {case.file}",
            tuple(str(getattr(line, "says", line)) for line in lines[1:]),
        )  # fmt: skip


def _holds(line: Any) -> bool:
    return str(getattr(line, "outcome", getattr(line, "holds", ""))).lower() in ("true", "holds", "passed", "waived")
