"""The switch `--track` of `crucis run`, and `crucis track` for what is already in the store."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..errors import CrucisError
from ..study.session import Session
from ..trackers.targets import Target, afterwards, asked, names, parse

if TYPE_CHECKING:
    from ..study.tracking import Report


def wanted(a: argparse.Namespace, session: Session) -> list[Target]:
    """The trackers that `--track` names, else the user's setting `CRUCIS_TRACK` (separated by spaces)."""
    return asked(getattr(a, "track", []), session.study.folder)


def track(a: argparse.Namespace) -> int:
    """Write what the store holds of a study to trackers; what is there already stays."""
    from ..study.tracking import Trackers
    from .running import opened, options_text

    session = opened(a)
    targets = parse(a.to, session.study.folder, "--to")
    if not targets:
        raise CrucisError(f"name a tracker: crucis track {a.study} --to {' or '.join(names())}")
    with Trackers(targets, session, models=a.models, live=False) as trackers:
        trackers.planned(session.plan)
        trackers.page(session.report_folder)
    return say(trackers.reports, session, a.study + options_text(a))


def say(reports: Sequence[Report], session: Session, study: str) -> int:
    """One line per tracker: what is in it and how to look, or what went wrong. Returns 1 if anything did.

    study: as a command names it, with the options that belong to it.
    """
    for report in reports:
        name = report.target.tracker
        if report.trouble:
            print(f"warning: {report.warning(study)}", file=sys.stderr)
        else:
            print(f"{name}: {report.whole} runs of {session.study.name}. To look: {afterwards(report.target)}")
    return 1 if any(report.trouble for report in reports) else 0
