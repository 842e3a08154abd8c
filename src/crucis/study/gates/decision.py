"""Lines of a gate and the decision that follows from them. Pure: no store, no clock, nothing but the lines."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from ..spec import Gate
from .tables import CHECKS

HOLDS, FAILS, UNKNOWN, WAIVED = "holds", "fails", "cannot tell", "waived"
APPROVED, CONDITIONAL, REJECTED, INCONCLUSIVE = "APPROVED", "CONDITIONAL", "REJECTED", "INCONCLUSIVE"


@dataclass(frozen=True)
class Evidence:
    """What a line rests on: `record` (a key), `ledger` (a line's digest) or `file` (a path and its digest).

    `digest` is that of the content as the gate saw it.
    """

    kind: str
    name: str
    digest: str = ""


@dataclass(frozen=True)
class Line:
    """One check of a gate.

    `outcome`: holds, fails, cannot tell or waived; `was`: what a waived line would have said; `measured`: the number or
    count in words; `says`: one sentence; `mend`: what would change it.
    """

    check: str
    outcome: str
    says: str
    measured: str = ""
    evidence: tuple[Evidence, ...] = ()
    mend: str = ""
    critical: bool = True
    was: str = ""
    note: str = ""


@dataclass(frozen=True)
class Decision:
    """A gate's answer: APPROVED, CONDITIONAL, REJECTED or INCONCLUSIVE, its lines, and the waivers it stands on."""

    name: str
    kind: str
    outcome: str
    because: str
    checks: tuple[Line, ...] = ()
    waivers: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        """The decision with its waivers, which are never left out."""
        count = len(self.waivers)
        return f"{self.outcome} with {count} waiver{'s' * (count != 1)}" if count else self.outcome


@dataclass
class Lines:
    """Collects the lines of one gate."""

    items: list[Line] = field(default_factory=list)

    def add(
        self, check: str, outcome: str | bool | None, says: str, *, measured: str = "",
        evidence: Iterable[Evidence] = (), mend: str = "",
    ) -> None:  # fmt: skip
        """A line; True holds, False fails, None cannot tell."""
        words = {True: HOLDS, False: FAILS, None: UNKNOWN}
        found = outcome if isinstance(outcome, str) else words[outcome]
        self.items.append(Line(check, found, says, measured, tuple(evidence), mend))


def decide(gate: Gate, lines: Iterable[Line]) -> Decision:
    """Apply waivers and mitigations, then the rule.

    APPROVED: every check holds or is waived. CONDITIONAL: only checks that are not critical fail, each with a
    mitigation and its date. REJECTED: a critical check fails, or one that is not critical fails without a mitigation.
    INCONCLUSIVE: nothing rejects it, and a check cannot tell.
    """
    done = [_noted(gate, replace(line, critical=CHECKS[gate.kind][line.check])) for line in lines]
    waivers = tuple(
        f"{line.check} ({line.was}): waived by {_signed(gate.waive[line.check])}"
        for line in done if line.outcome == WAIVED
    )  # fmt: skip
    outcome, because = _rule(gate.mitigate, done)
    return Decision(gate.name, gate.kind, outcome, because, tuple(done), waivers)


def _noted(gate: Gate, line: Line) -> Line:
    waiver, mitigation = gate.waive.get(line.check), gate.mitigate.get(line.check)
    if waiver is not None:
        if line.outcome == HOLDS:
            return replace(line, note=f"a waiver by {_signed(waiver)} was not needed")
        return replace(line, outcome=WAIVED, was=line.outcome, note=f"waived by {_signed(waiver)}")
    if mitigation is not None and line.outcome == FAILS:
        return replace(line, note=f"mitigation until {mitigation[1]}: {mitigation[0]}")
    return line


def _signed(waiver: tuple[str, str, str]) -> str:
    who, date, reason = waiver
    return f"{who} on {date}: {reason}"


def _rule(mitigate: Mapping[str, tuple[str, str]], lines: list[Line]) -> tuple[str, str]:
    missed = [line for line in lines if line.outcome == FAILS]
    critical = [line.check for line in missed if line.critical]
    bare = [line.check for line in missed if not line.critical and line.check not in mitigate]
    unknown = [line.check for line in lines if line.outcome == UNKNOWN]
    if critical:
        return REJECTED, f"Critical and failed: {', '.join(critical)}."
    if bare:
        return REJECTED, f"Failed without a mitigation and its date: {', '.join(bare)}."
    if unknown:
        return INCONCLUSIVE, f"Not known: {', '.join(unknown)}."
    if missed:
        return CONDITIONAL, f"On the stated mitigations of: {', '.join(line.check for line in missed)}."
    return APPROVED, f"All {len(lines)} checks hold or are waived." if any(
        line.outcome == WAIVED for line in lines
    ) else f"All {len(lines)} checks hold."
