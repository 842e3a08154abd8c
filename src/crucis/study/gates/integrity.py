"""Whether what a gate reads is what was written: records, the chained ledger of evidence, the ledger of unsealings."""

from __future__ import annotations

from typing import Any

from ...canon import digest
from .. import chain, registry
from ..provenance import stages_behind
from ..spec import Gate
from .case import Case
from .decision import Evidence, Lines


def integrity(case: Case, found: Lines) -> None:
    """The lines that every gate has and that nobody can waive."""
    records(case, found)
    ledger(case, found)


def records(case: Case, lines: Lines) -> None:
    """Whether every record that the plan foresees is there and is what was committed."""
    planned = set(case.session.plan.by_key)
    there = case.contents.keys()
    damaged = [key for key in planned if key not in there and _quarantined(case, key)]
    evidence = [Evidence("record", key, content) for key, content in sorted(case.contents.items())]
    measured = f"{len(there)} of {len(planned)}"
    if damaged:
        lines.add("records", False, f"{len(damaged)} record{'s' * (len(damaged) != 1)} differ from what was committed "
                  f"and are in quarantine, the first {damaged[0][:12]}.", measured=measured, evidence=evidence,
                  mend=f"crucis run {case.named} computes them again")  # fmt: skip
    elif (closed := _sealed_again(case, planned - there)) and closed == len(planned - there):
        lines.add("records", None, f"{closed} records of the test split are closed: it was not opened for the study as "
                  "it is now. Opening it again is counted.", measured=measured, evidence=evidence,
                  mend=f"gates, claims and analyses first, then once: crucis unseal {case.named}")  # fmt: skip
    elif len(there) < len(planned):
        lines.add("records", None, f"{len(planned) - len(there)} planned records are not there yet.",
                  measured=measured, evidence=evidence, mend=f"crucis run {case.named}")  # fmt: skip
    else:
        lines.add("records", True, "Every planned record is there and verifies.", measured=measured, evidence=evidence)


def _sealed_again(case: Case, keys: set[str]) -> int:
    """How many of these belong to the test split, which is sealed for this state of the study."""
    plan = case.session.plan
    return 0 if plan.circumstance.unsealed else sum(plan.by_key[key].sealed for key in keys)


def _quarantined(case: Case, key: str) -> bool:
    return any((case.session.store.path / "quarantine").glob(f"{key[:16]}.*"))


def openings(case: Case) -> dict[int, dict[str, Any]]:
    """The unsealings of this study by their number in the store's ledger of unsealings."""
    name = registry.ledger(case.session.study, case.session.store)
    lines = registry.unsealings(case.session.store)
    return {number: line for number, line in enumerate(lines, 1) if line["study"] == name}


def ledger(case: Case, found: Lines) -> None:
    """The chain of the evidence holds, and it names the same unsealings as the ledger of unsealings."""
    lines, broken = case.ledger
    own = openings(case)
    noted = [line["line"] for line in lines if line["kind"] == "unsealed"]
    evidence = [Evidence("ledger", f"evidence line {line['number']}", str(line["digest"])) for line in lines[-1:]]
    evidence += [Evidence("ledger", f"unsealing {i}", digest(line)) for i, line in own.items()]
    measured = f"{len(lines)} lines"
    if broken:
        found.add("ledger", False, f"{broken}.", mend="restore the folder 'ledger' of the store from a copy")
    elif noted == [digest(chain.unnamed(line)) for line in own.values()]:
        found.add("ledger", True, "Every line of evidence is as it was written, and each names the one before.",
                  measured=measured, evidence=evidence)  # fmt: skip
    else:
        found.add("ledger", False if lines else None,
                  "The ledger of unsealings and the ledger of evidence name different unsealings.",
                  measured=measured, evidence=evidence)  # fmt: skip


def unsealed(case: Case, gate: Gate, found: Lines) -> None:
    """What the comparison reads was measured on the test split, which this study opened exactly once."""
    own = openings(case)
    evidence = tuple(Evidence("ledger", f"unsealing {i}", digest(line)) for i, line in own.items())
    measured = f"{len(own)} time{'s' * (len(own) != 1)}"
    outside = _not_on_test(case, gate.params["of"])
    if outside:
        found.add("unsealed-once", False, f"'{gate.params['of']}' reads {outside}, which is not measured on the test "
                  "split.", mend="compare a column of a stage with split: test")  # fmt: skip
    elif not own:
        found.add("unsealed-once", None, "The test split is still sealed.", measured=measured,
                  mend=f"crucis unseal {case.named}")  # fmt: skip
    else:
        found.add("unsealed-once", len(own) == 1, f"The test split was opened {len(own)} time{'s' * (len(own) != 1)}.",
                  measured=measured, evidence=evidence, mend="a new test set, or a waiver")  # fmt: skip


def _not_on_test(case: Case, analysis: str) -> str:
    """The first column of a comparison that does not come from the test split, or an empty text."""
    study = case.session.study
    for ref in study.analysis[analysis].of:
        behind = [ref.name] if ref.name in study.stages else stages_behind(study, ref.name)
        splits = [{node.spec.get("split") for node in case.nodes(stage)} for stage in behind]
        if not any(split == {"test"} for split in splits):
            return str(ref)
    return ""
