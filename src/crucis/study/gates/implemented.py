"""Whether a method is what it says: its networks were trained, its parts act, and without them it is the baseline.

The parts are checked when evidence is gathered (`nets.checks`); here only the lines about them are read.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ...canon import digest
from ..spec import Gate
from .case import Case, entry
from .decision import Lines

if TYPE_CHECKING:
    from ...nets.checks.subject import Finding
    from ..checks import Wanted


def implemented(case: Case, gate: Gate, found: Lines) -> None:
    """Every network was trained to the end, every part of a method changes its output, and with all parts left out the
    method equals its baseline in outputs and gradients."""
    nodes = [node for node in case.session.plan.nodes if node.spec["kind"].startswith("train/")]
    states = {node.key: case.readings.state(node) for node in nodes}
    bad = [node for node in nodes if states[node.key] in ("failed", "diverged", "refused")]
    trained = sum(state == "ok" for state in states.values())
    measured = f"{trained} of {len(states)} networks trained"
    evidence = case.evidence(nodes)
    if bad:
        found.add("implemented", False, f"{bad[0].label} {states[bad[0].key]}: {case.readings.why(bad[0])}.",
                  measured=measured, evidence=evidence, mend=f"crucis show {bad[0].key[:12]}")  # fmt: skip
        return
    methods = with_components(case)
    line, why = case.find(gate, "components", about(case)) if methods else (None, "no net declares COMPONENTS")
    if line is None:
        found.add("implemented", None, f"{why}.", measured=measured, evidence=evidence,
                  mend="" if methods else "declare COMPONENTS in the method's file")  # fmt: skip
        return
    outcome, says = _parts(line["findings"], sorted(name for wanted in methods for name in wanted.replace))
    if outcome is True and trained < len(states):
        outcome, says = None, "Not every network has been trained"
    used = sum(item["check"] == "used" and item["outcome"] == "ok" for item in line["findings"])
    found.add("implemented", outcome, f"{says}.", measured=f"{measured}, {used} parts act",
              evidence=(entry(line), *evidence),
              mend=f"crucis check {case.named} --model" if outcome is False else "")  # fmt: skip


def _parts(findings: list[Mapping[str, Any]], asked: list[str]) -> tuple[bool | None, str]:
    """What the findings come to; `asked`: the components of all methods, each of which needs its finding."""
    bad = [item for item in findings if item["outcome"] == "bad"]
    if bad:
        return False, f"{bad[0]['component'] or bad[0]['subject']}: {bad[0]['says']}"
    used = sorted(item["component"] for item in findings if item["check"] == "used")
    bases = [item for item in findings if item["check"] == "baseline"]
    open_ = [item for item in bases if item["outcome"] != "ok"]
    if used != asked or not bases or open_:
        return None, open_[0]["says"] if open_ else "not every part was checked"
    return True, f"All {len(used)} parts act; {bases[0]['says']}"


def with_components(case: Case) -> list[Wanted]:
    """The networks of the study whose parts can be left out by name."""
    from ..checks import networks

    return [wanted for wanted in networks(case.session.study) if wanted.replace]


def about(case: Case) -> str:
    """What a check of parts is about: the files of method, baseline and data, and the code that builds networks."""
    from ..preflight import identity

    return digest([identity(wanted, case.session.plan) for wanted in with_components(case)])


def check_parts(case: Case) -> dict[str, Any]:
    """The evidence: what `nets.checks` finds of each method, on 64 inputs of noise in the shape of its data.

    Cost: two builds and four passes per component, four passes per method.
    """
    from ...nets.checks import parts
    from ..checks import subject

    findings: list[Finding] = []
    for wanted in with_components(case):
        given = subject(wanted, case.session.study.folder, case.session.circumstance.data_root, noise=True)
        findings += [*parts.used(given), *parts.baseline(given)]
    kept = ("check", "subject", "component", "outcome", "says")
    return {"findings": [{name: getattr(item, name) for name in kept} for item in findings]}
