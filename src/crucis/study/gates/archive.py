"""Gate 3: whether a study may be published: its bundle is whole, licensed, citable, and comes to life elsewhere."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from ...canon import digest
from ..spec import Gate
from .case import Case, entry, file_digest
from .decision import APPROVED, INCONCLUSIVE, Decision, Evidence, Lines
from .integrity import integrity
from .replication import documents


def lines(case: Case, gate: Gate, before: Mapping[str, Decision]) -> Lines:
    """All lines of gate 3; `before`: the decisions of the gates that it names."""
    found = Lines()
    integrity(case, found)
    _gates(gate, before, found)
    _licence(case, gate, found)
    _cite(case, gate, found)
    _bundle(case, gate, found)
    return found


def _gates(gate: Gate, before: Mapping[str, Decision], found: Lines) -> None:
    decisions = [before[name] for name in gate.params["of"] if name in before]
    bad = [item for item in decisions if item.outcome != APPROVED]
    outcome = None if bad and all(item.outcome == INCONCLUSIVE for item in bad) else not bad
    if len(decisions) < len(gate.params["of"]):
        outcome = None
    words = ", ".join(f"{item.name}: {item.words}" for item in decisions)
    evidence = [Evidence("gate", item.name, digest([item.outcome, [line.outcome for line in item.checks]]))
                for item in decisions]  # fmt: skip
    found.add("gates", outcome, f"{words}.", measured=words, evidence=evidence, mend=bad[0].because if bad else "")


def _licence(case: Case, gate: Gate, found: Lines) -> None:
    """A licence is named and its text lies beside the study."""
    path = documents(case.session.study.folder)["a licence"]
    evidence = () if path is None else (case.file(path.name),)
    says = f"{gate.params['licence']}, text in {path.name}." if path else "The licence's text does not lie there."
    found.add("licence", path is not None, says, measured=gate.params["licence"], evidence=evidence,
              mend="" if path else "add a file LICENSE beside the study")  # fmt: skip


#: What a citation must name, in the Citation File Format 1.2 and in BibTeX.
_CFF = ("cff-version", "message", "title", "authors")
_BIB = ("title", "author", "year")


def lacking_in_citation(path: Path) -> list[str]:
    """Which fields a citation file (`.cff` or `.bib`) lacks."""
    text = path.read_text(encoding="utf-8", errors="replace")
    if path.suffix == ".bib":
        return [name for name in _BIB if not re.search(rf"^\s*{name}\s*=\s*\S", text, re.MULTILINE | re.IGNORECASE)]
    return [name for name in _CFF if not re.search(rf"^{name}\s*:\s*(\S|\n\s*-)", text, re.MULTILINE)]


def _cite(case: Case, gate: Gate, found: Lines) -> None:
    path = case.path(gate.params["cite"])
    if not path.is_file():
        found.add("cite", False, f"There is no {gate.params['cite']}.", mend="write CITATION.cff")
        return
    lacking = lacking_in_citation(path)
    says = f"{path.name} lacks {', '.join(lacking)}." if lacking else f"{path.name} is complete."
    found.add("cite", not lacking, says, evidence=(case.file(gate.params["cite"]),))


def about(case: Case) -> str:
    """What a bundle is about: the records and the study's files, licence and readme included."""
    found = documents(case.session.study.folder)
    return digest([case.state, case.own_files, {what: file_digest(path) for what, path in found.items() if path}])


def _bundle(case: Case, gate: Gate, found: Lines) -> None:
    """The bundle that was made is still that file; restored in an empty folder, everything was there and verified."""
    line, why = case.find(gate, "bundle", about(case))
    if line is None:
        found.add("bundle", None, f"{why}.")
        found.add("restored", None, f"{why}.")
        return
    present = file_digest(case.path(line["path"])) == line["sha256"]
    evidence = (entry(line), Evidence("file", line["path"], line["sha256"]))
    whole = line["records"] == line["planned"]
    says = f"{line['records']} of {line['planned']} records in {Path(line['path']).name}" if present else (
        f"{Path(line['path']).name} is gone or was changed after it was made")  # fmt: skip
    found.add("bundle", present and whole, f"{says}.", measured=f"SHA-256 {line['sha256'][:12]}", evidence=evidence)
    good = not line["problems"] and line["restored"] >= line["records"]
    found.add("restored", good and present, f"{line['restored']} records came back in an empty folder, "
              f"{line['problems']} of them did not verify.", measured=f"{line['restored']} records",
              evidence=evidence)  # fmt: skip
