"""Decisions of gates as content of the page."""

from __future__ import annotations

from collections.abc import Mapping

from ...report import content as c
from .decision import Decision


def shown(gates: Mapping[str, Decision]) -> tuple[c.Gate, ...]:
    """Every gate with all its lines and evidence; nothing is left out because it holds."""
    return tuple(
        c.Gate(
            item.name, item.kind, item.outcome, item.words, item.because,
            tuple(
                c.GateLine(
                    line.check, line.outcome, line.critical, line.says, line.measured,
                    tuple(c.Proof(e.kind, e.name, e.digest) for e in line.evidence), line.note, line.mend,
                )
                for line in item.checks
            ),
            item.waivers,
        )
        for item in gates.values()
    )  # fmt: skip
