"""A method of five parts on digits, whole: study, nets, guide, licence and citation, with the evidence of its gates."""

from __future__ import annotations

import re
from pathlib import Path

from crucis.study import registry
from crucis.study import session as sessions
from crucis.study.cards import method_card
from crucis.study.gates.case import Case
from crucis.study.gates.decision import Decision, Line
from crucis.study.gates.gather import gather
from crucis.study.gates.judge import decisions

BASELINE = """\
from torch import nn


def build(input, classes, *, width: int = 2):
    size = input[0] * input[1] * input[2]
    return nn.Sequential(nn.Flatten(), nn.Linear(size, width), nn.ReLU(), nn.Linear(width, classes))
"""
METHOD = """\
import torch
from torch import nn

BASELINE = "./baseline.py"
COMPONENTS = {"direct": "remove", "norm": "remove", "gate": "remove", "square": "remove", "scale": "remove"}


class Method(nn.Module):
    def __init__(self, size, width, classes, without):
        super().__init__()
        self.first, self.last = nn.Linear(size, width), nn.Linear(width, classes)
        self.direct = None if "direct" in without else nn.Linear(size, classes)
        self.norm = None if "norm" in without else nn.LayerNorm(size)
        self.gate = None if "gate" in without else nn.Linear(size, width)
        self.square = None if "square" in without else nn.Linear(size, classes)
        self.scale = None if "scale" in without else nn.Parameter(torch.full((classes,), 2.0))

    def forward(self, x):
        x = x.flatten(1)
        if self.norm is not None:
            x = self.norm(x)
        hidden = torch.relu(self.first(x))
        if self.gate is not None:
            hidden = hidden * torch.sigmoid(self.gate(x))
        out = self.last(hidden)
        if self.direct is not None:
            out = out + self.direct(x)
        if self.square is not None:
            out = out + self.square(x * x)
        return out if self.scale is None else out * self.scale


def build(input, classes, *, width: int = 2, without: dict[str, str] = {}):
    return Method(input[0] * input[1] * input[2], width, classes, without)
"""
STUDY = """\
study: small
question: Is a method of five parts ready?

factors:
  arm: {generate: leave_one_out, of: ./method.py, baseline: ./baseline.py}
seeds: 3

stages:
  model:  {train: supervised, net: $arm.net, data: digits, for: 2 epochs, batch: 64, lr: 0.05}
  test:   {measure: classification, of: model, split: test, only: {arm: [full, baseline]}}
  review: {measure: responsibility, of: model, images: 50, steps: 2, only: {arm: full}}

analysis:
  final:      {compare: paired_t, of: test.accuracy, between: arm, against: baseline}
  chosen:     {compare: paired_t, of: model.accuracy, between: arm, against: baseline}
  importance: {attribute: main_effects, of: model.accuracy, over: arm}

gates:
  ready:
    gate: method
    of: final
    ablation: importance
    card: ./card.md
    review: [review.robust_accuracy, review.membership_auc]
    guide: ./README.md
    check: ["test -f method.py"]
    reproduce: 1
  out: {gate: archive, of: ready, licence: MIT, cite: ./CITATION.cff}
"""
GUIDE = """\
```bash
crucis run study.yaml --quiet --workers 1
crucis unseal study.yaml --quiet --workers 1
```
"""
CITATION = "cff-version: 1.2.0\nmessage: Please cite.\ntitle: Small\nauthors:\n  - name: A. Person\n"
FILES = {
    "baseline.py": BASELINE, "method.py": METHOD, "study.yaml": STUDY, "README.md": GUIDE, "LICENSE": "Free.\n",
    "CITATION.cff": CITATION,
}  # fmt: skip


def prepare(folder: Path) -> Path:
    """Run, unseal, write the card and gather all evidence."""
    for name, text in FILES.items():
        (folder / name).write_text(text)
    session = opened(folder)
    complete(session)
    registry.unseal(session.plan, session.store)
    complete(opened(folder))
    (folder / "card.md").write_text(fill(method_card.card(case(folder))))
    for name in ("ready", "out"):
        here = case(folder)
        gather(here, here.session.study.gates[name], lambda text: None, commands=True, again=False, workers=1)
    return folder


def complete(session: sessions.Session) -> None:
    """Run a study; all steps that are not sealed must end with a record, or the failure says what happened."""
    outcome = sessions.execute(session, workers=1)
    readings = sessions.conclude(session).readings
    bad = {node.label: readings.why(node) for node in session.plan.nodes
           if readings.state(node) not in ("ok", "sealed")}  # fmt: skip
    assert not (outcome.failed or outcome.blocked or outcome.left or outcome.stopped), (outcome, bad)
    assert not bad, bad


def fill(text: str) -> str:
    """The card with a sentence of a person in every open section."""
    return re.sub(rf"{re.escape(method_card.MARK)}\n<!-- .*? -->",
                  "Written by a person: digits of eight by eight pixels and nothing else.", text)  # fmt: skip


def opened(folder: Path) -> sessions.Session:
    """The study at its store."""
    return sessions.open_session(folder / "study.yaml", store=folder / ".crucis")


def case(folder: Path) -> Case:
    """The study before its gates, every file of every record compared."""
    session = opened(folder)
    found = sessions.conclude(session)
    return Case(session, found.readings, found.results, found.verdicts, deep=True)


def decided(folder: Path, gate: str = "ready") -> Decision:
    """What a gate decides now."""
    return decisions(case(folder))[gate]


def line(decision: Decision, check: str) -> Line:
    """One line of a decision."""
    return next(item for item in decision.checks if item.check == check)
