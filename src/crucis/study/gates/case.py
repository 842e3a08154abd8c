"""What a gate looks at: the study's records as they are now, its results, and the evidence gathered for it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ...canon import digest, sha256
from .. import chain, registry
from ..plan import Node
from ..readings import Readings
from ..results import AnalysisResult, Verdict
from ..session import Session
from ..spec import Gate
from .decision import Evidence

_NOT_YET = "not yet gathered"


def ledger_of(session: Session) -> str:
    """Name of the chained ledger that holds a study's evidence."""
    return f"evidence-{registry.ledger(session.study, session.store)}"


def file_digest(path: Path) -> str:
    """SHA-256 of a file, or an empty text where there is none."""
    return sha256(path.read_bytes()) if path.is_file() else ""


def standing(session: Session) -> list[Any]:
    """What decisions rest on besides records: the evidence, the study's files with its documents, and its archive."""
    from ..gathering import gather

    folder = session.study.folder
    files = [*gather(session.study).values(), *(path for path in sorted(folder.iterdir()) if path.is_file())]
    files.append(session.report_folder.parent / f"{session.report_folder.name}.zip")
    found = {os.path.relpath(path, folder): file_digest(path) for path in files}
    return [session.store.lines(ledger_of(session)), found]


@dataclass
class Case:
    """One study before its gates. `deep`: also compare the digest of every file of every record."""

    session: Session
    readings: Readings
    results: Mapping[str, AnalysisResult]
    verdicts: Mapping[str, Verdict]
    deep: bool = False

    @cached_property
    def named(self) -> str:
        """The study as a command line names it, with the options that make it this one."""
        from ..account import options

        return self.session.study.file + options(self.session)

    @cached_property
    def contents(self) -> dict[str, str]:
        """Key -> content digest of every record of the study that is there and undamaged."""
        store, out = self.session.store, {}
        for key in self.session.plan.by_key:
            record = store.read(key, deep=True) if self.deep else self.readings.record(key)
            if record is not None and self.readings.record(key) is not None:
                out[key] = str(record.body["content"])
        return out

    @cached_property
    def state(self) -> str:
        """Digest of all records: evidence about them holds as long as this stays."""
        return digest(self.contents)

    @cached_property
    def ledger(self) -> tuple[list[dict[str, Any]], str]:
        """Lines of evidence and where their chain breaks."""
        return chain.read(self.session.store, ledger_of(self.session))

    @cached_property
    def own_files(self) -> dict[str, str]:
        """Name -> digest of the study's own files: its text, its code, what it names. Cards and guides included."""
        from ..gathering import gather

        return {name: file_digest(path) for name, path in gather(self.session.study).items()}

    def path(self, name: str) -> Path:
        """A file beside the study."""
        return self.session.study.folder / name

    def find(self, gate: Gate, kind: str, about: str) -> tuple[dict[str, Any] | None, str]:
        """The newest line of evidence of a kind for a gate, if it is about what is there now, and else why not."""
        lines, broken = self.ledger
        if broken:
            return None, f"{broken}; gather the evidence again: crucis gate {self.named} --again"
        own = [line for line in lines if line["kind"] == kind and line.get("gate") == gate.name]
        if not own:
            return None, f"{_NOT_YET}: crucis gate {self.named} {gate.name}"
        if own[-1]["about"] != about:
            return None, f"gathered before something changed: crucis gate {self.named} {gate.name}"
        return own[-1], ""

    def nodes(self, stage: str) -> list[Node]:
        """The planned steps of a stage."""
        return [node for node in self.session.plan.nodes if node.instance.stage == stage]

    def evidence(self, nodes: list[Node]) -> tuple[Evidence, ...]:
        """Records as evidence, each key once."""
        keys = dict.fromkeys(node.key for node in nodes)
        return tuple(Evidence("record", key, self.contents[key]) for key in keys if key in self.contents)

    def file(self, name: str) -> Evidence:
        """A file beside the study as evidence."""
        return Evidence("file", name, file_digest(self.path(name)))


def entry(line: Mapping[str, Any]) -> Evidence:
    """A line of the evidence ledger as evidence."""
    return Evidence("ledger", f"evidence line {line['number']}", str(line["digest"]))
