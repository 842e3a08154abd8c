"""`crucis check --model`: what can be known of networks before any of them is trained."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import Fault

if TYPE_CHECKING:
    from ..nets.checks.subject import Finding

_MARKS = {"ok": "ok  ", "bad": "BAD ", "note": "    "}


def check_study(a: argparse.Namespace, study: Any, faults: Sequence[Fault]) -> int:
    """Check every network of a study without faults."""
    from ..study.checks import check_models
    from ..study.session import data_root

    return _print(a, check_models(study, data_root(a.data)), [str(fault) for fault in faults])


def check_net(a: argparse.Namespace) -> int:
    """Check one net, a user's file or one of the shelf."""
    from ..study.checks import check_net as check
    from ..study.session import data_root

    own = a.study.endswith(".py")
    path = Path(a.study)
    name = f"./{path.name}" if own else a.study
    return _print(a, check(name, a.on or "digits", path.parent if own else Path(), data_root(a.data)), [])


def _print(a: argparse.Namespace, findings: Sequence[Finding], notes: Sequence[str]) -> int:
    bad = sum(finding.outcome == "bad" for finding in findings)
    if a.format == "json":
        rows = [{**vars(finding), "values": dict(finding.values)} for finding in findings]
        print(json.dumps(rows, indent=2, ensure_ascii=False))
        return 1 if bad else 0
    for note in notes:
        print(note)
    subject = None
    for finding in findings:
        if finding.subject != subject:
            subject = finding.subject
            print(subject)
        part = f" {finding.component}:" if finding.component else ""
        print(f"  {_MARKS[finding.outcome]}{finding.check:<13}{part} {finding.says}")
    print(f"{a.study}: {len(findings)} findings, {bad} bad; nothing was trained.")
    return 1 if bad else 0
