"""`crucis gate` and `crucis card`: decisions with their evidence, and the documents that go with a study."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..errors import CrucisError, did_you_mean
from ..study import session as sessions
from ..study.session import Session
from .running import opened

_SIGNS = {"holds": "+", "fails": "x", "cannot tell": "?", "waived": "w"}


def _case(session: Session) -> Any:
    from ..study.gates.case import Case

    found = sessions.conclude(session)
    return Case(session, found.readings, found.results, found.verdicts, deep=True)


def gate(a: argparse.Namespace) -> int:
    """Gather what the gates lack, judge them, and print every line; 0 if all that were asked for are APPROVED."""
    from ..study.gates.decision import APPROVED
    from ..study.gates.gather import gather
    from ..study.gates.judge import decisions

    session = opened(a)
    gates = session.study.gates
    if not gates:
        raise CrucisError(
            f"'{session.study.name}' has no gates. Add a section 'gates'; for an example: crucis show ablation"
        )
    if a.name is not None and a.name not in gates:
        raise CrucisError(f"no gate '{a.name}'.{did_you_mean(a.name, gates)} Gates: {', '.join(gates)}.")
    chosen = _chosen(gates, a.name)
    if not a.known:
        for name in chosen:
            gather(_case(session), gates[name], lambda text: print(text, file=sys.stderr), commands=a.commands,
                   again=a.again, workers=a.workers)  # fmt: skip
    found = decisions(_case(session))
    asked = [found[name] for name in ([a.name] if a.name else gates)]
    if a.format == "json":
        print(json.dumps([asdict(item) for item in asked], indent=2, ensure_ascii=False))
    else:
        for item in asked:
            _print(item)
        print(f"Report: {sessions.write_report(session)}")
    return 0 if all(item.outcome == APPROVED for item in asked) else 1


def _chosen(gates: Any, name: str | None) -> list[str]:
    """The gates to gather for: the one that was named and those that it rests on, or all; archives last."""
    if name is None:
        names = list(gates)
    else:
        names = [*(gates[name].params["of"] if gates[name].kind == "archive" else ()), name]
    return sorted(names, key=lambda item: gates[item].kind == "archive")


def _print(item: Any) -> None:
    print(f"{item.name} ({item.kind}): {item.words}. {item.because}")
    for line in item.checks:
        weight = "critical" if line.critical else ""
        print(f"  {_SIGNS[line.outcome]} {line.check:<14} {line.outcome:<12} {weight:<9} {line.says}")
        if line.note:
            print(f"      {line.note}")
        if line.mend and line.outcome in ("fails", "cannot tell"):
            print(f"      to mend it: {line.mend}")
        if line.evidence:
            shown = ", ".join(f"{e.kind} {e.name[:12] if e.kind == 'record' else e.name}" for e in line.evidence[:3])
            more = f" and {len(line.evidence) - 3} more" if len(line.evidence) > 3 else ""
            print(f"      evidence: {shown}{more}")
    for text in item.waivers:
        print(f"  waiver: {text}")


def card(a: argparse.Namespace) -> int:
    """Write a method card, a model card, a reproduction guide or a checklist."""
    from ..study.cards import checklists, guide_card, method_card, model_card

    session = opened(a)
    case = _case(session)
    folder = session.study.folder
    if a.model:
        licence = next((g.params["licence"] for g in session.study.gates.values() if g.kind == "archive"), "")
        text, beside = model_card.model_card(case.readings, a.model, licence=licence)
        target = Path(a.output) if a.output else session.report_folder / "model-card" / "README.md"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.with_name("results.json").write_text(beside, encoding="utf-8")
    elif a.guide:
        named = next((g.params["guide"] for g in session.study.gates.values() if g.kind == "method"), "guide.md")
        target = Path(a.output) if a.output else folder / named
        if target.is_file():
            raise CrucisError(f"{target} exists, and a person may have written in it; name another file: --output FILE")
        text = guide_card.guide(session, case.readings)
    elif a.checklist:
        text = checklists.text_of(session.study.name, a.checklist, checklists.checklist(case, a.checklist))
        target = Path(a.output) if a.output else session.report_folder / f"{a.checklist}.md"
    else:
        named = next((g.params["card"] for g in session.study.gates.values() if g.kind == "method"), "card.md")
        target = Path(a.output) if a.output else folder / named
        before = target.read_text(encoding="utf-8") if target.is_file() else ""
        text = method_card.card(case, before)
        share, empty, _ = method_card.judge_card(case, text)
        print(f"{share:.0%} filled" + (f"; empty: {', '.join(empty)}" if empty else ""))
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text, encoding="utf-8")
    print(f"Wrote {target}")
    return 0
