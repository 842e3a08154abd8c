"""`crucis doctor`: what a senior colleague would say of a study and its records."""

from __future__ import annotations

import argparse
import json
import sys
import textwrap
from dataclasses import asdict

from ..study.doctor.finding import GRADES, Finding
from .running import opened

_MARKS = {"serious": "!!", "advice": " !", "note": "  "}
_WIDTH = 100


def doctor(a: argparse.Namespace) -> int:
    """Print the findings, the gravest first; 1 if one is serious."""
    from ..study.doctor.rules import examine

    session = opened(a)
    found = examine(session, measure=not a.quick)
    if a.format == "json":
        print(json.dumps([asdict(finding) for finding in found], indent=2, ensure_ascii=False))
    else:
        counts = [sum(finding.grade == grade for finding in found) for grade in GRADES]
        words = [
            f"{count} {word}"
            for count, word in zip(counts, ("serious", "to consider", "to know"), strict=True)
            if count
        ]
        print(f"{session.study.name}: {', '.join(words) or 'nothing to say; it looks sound'}")
        for finding in found:
            print("\n".join(_lines(finding, sys.stdout.isatty())))
    return 1 if any(finding.grade == "serious" for finding in found) else 0


def _lines(finding: Finding, colour: bool) -> list[str]:
    head = textwrap.wrap(finding.says, _WIDTH - 3)
    mark = _MARKS[finding.grade]
    if colour and finding.grade == "serious":
        head[0] = f"\033[1m{head[0]}\033[0m"
    out = ["", f"{mark} {head[0]}", *(f"   {line}" for line in head[1:])]
    for text in finding.evidence:
        wrapped = textwrap.wrap(text, _WIDTH - 5) or [""]
        out += [f"   - {wrapped[0]}", *(f"     {line}" for line in wrapped[1:])]
    wrapped = textwrap.wrap(finding.action, _WIDTH - 6)
    out += [f"   -> {wrapped[0]}", *(f"      {line}" for line in wrapped[1:])]
    if finding.keys:
        shown = " ".join(key[:12] for key in finding.keys[:4])
        out.append(f"   records: {shown}{f' and {len(finding.keys) - 4} more' if len(finding.keys) > 4 else ''}")
    return out
