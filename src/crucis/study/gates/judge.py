"""All gates of a study, on what is in the store now. Runs nothing and writes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from graphlib import CycleError, TopologicalSorter

from ...errors import CrucisError
from ..readings import Readings
from ..results import AnalysisResult, Verdict
from ..session import Session
from . import archive, method, replication
from .case import Case
from .decision import Decision, decide


def judge_gates(
    session: Session, readings: Readings, results: Mapping[str, AnalysisResult], verdicts: Mapping[str, Verdict],
    *, deep: bool = False,
) -> dict[str, Decision]:  # fmt: skip
    """A decision for every gate of the study.

    Args:
        deep: compare the digest of every file of every record (1 GB/s) instead of sizes only.
    """
    if not session.study.gates:
        return {}
    return decisions(Case(session, readings, results, verdicts, deep))


def decisions(case: Case) -> dict[str, Decision]:
    """As `judge_gates`, for a case that is there already; in the order of the file."""
    gates = case.session.study.gates
    needs = {name: set(gate.params["of"]) if gate.kind == "archive" else set() for name, gate in gates.items()}
    try:
        order = list(TopologicalSorter(needs).static_order())
    except CycleError as error:
        raise CrucisError(f"gates: a circle: {' -> '.join(map(str, error.args[1]))}.") from None
    done: dict[str, Decision] = {}
    for name in order:
        gate = gates[name]
        if gate.kind == "replication":
            lines = replication.lines(case, gate)
        elif gate.kind == "method":
            lines = method.lines(case, gate)
        else:
            lines = archive.lines(case, gate, done)
        done[name] = decide(gate, lines.items)
    return {name: done[name] for name in gates}
