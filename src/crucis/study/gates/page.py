"""Decisions of gates as content of the page: every piece of evidence leads to what it names."""

from __future__ import annotations

import os
from collections.abc import Mapping

from ...report import content as c
from ..session import Session
from .case import ledger_of
from .decision import Decision, Evidence


def shown(session: Session, gates: Mapping[str, Decision]) -> tuple[c.Gate, ...]:
    """Every gate with all its lines and evidence; nothing is left out because it holds."""
    return tuple(
        c.Gate(
            item.name, item.kind, item.outcome, item.words, item.because,
            tuple(
                c.GateLine(
                    line.check, line.outcome, line.critical, line.says, line.measured,
                    tuple(c.Proof(e.kind, e.name, e.digest, _path(session, e)) for e in line.evidence),
                    line.note, line.mend,
                )
                for line in item.checks
            ),
            item.waivers,
        )
        for item in gates.values()
    )  # fmt: skip


def _path(session: Session, item: Evidence) -> str:
    """Where a file or a line of a ledger lies, seen from the page; empty outside the study's folder, whose places are
    the same wherever it is restored."""
    folder = session.study.folder.resolve()
    if item.kind == "file":
        target = folder / item.name
    elif item.kind == "ledger":
        ledger = "unsealings" if item.name.startswith("unsealing") else ledger_of(session)
        target = session.store.path.resolve() / "ledger" / ledger / f"{item.name.rpartition(' ')[2]}.json"
    else:
        return ""
    if folder not in target.resolve().parents or not target.is_file():
        return ""
    return os.path.relpath(target, session.report_folder.resolve()).replace(os.sep, "/")
