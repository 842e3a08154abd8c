"""Studies whose records were never computed: written as a test wants them, under the keys of the real plan."""

from __future__ import annotations

import os
from pathlib import Path

import bundle_cases as cases
import numpy as np

from crucis.engine import drafts
from crucis.records import Reason, Result
from crucis.study.doctor.case import Case
from crucis.study.doctor.finding import Finding
from crucis.study.doctor.rules import RULES
from crucis.study.session import Session, conclude, open_session

STUDY = """\
study: s
seeds: {seeds}
factors: {{net: {{a: {{net: {{mlp: {{widths: [8]}}}}}}, b: {{net: {{mlp: {{widths: [9]}}}}}}}}}}
stages:
  model: {{train: supervised, net: $net.net, data: digits, for: 20 epochs{more}}}
analysis:
  which: {{compare: {test}, of: model.accuracy, between: net, against: a}}
claims:
  better: which.effect@net=b > 0
"""


def study(folder: Path, seeds: object = 3, test: str = "paired_t", more: str = "", text: str | None = None) -> Session:
    words = text or STUDY.format(seeds=seeds, test=test, more=more)
    (folder / "s.yaml").write_text(words)
    return open_session(folder / "s.yaml", store=folder / ".crucis")


def course(accuracy, loss=None, train_loss=None, train_accuracy=None) -> dict[str, np.ndarray]:
    """A curve of one row per epoch of 11 steps."""
    n = len(accuracy)
    falling = np.geomspace(1.0, 0.01, n)
    return {
        "step": np.arange(1, n + 1) * 11, "epoch": np.arange(1.0, n + 1), "accuracy": np.array(accuracy, float),
        "loss": falling if loss is None else np.array(loss, float),
        "train_loss": falling if train_loss is None else np.array(train_loss, float),
        "train_accuracy": np.array(accuracy if train_accuracy is None else train_accuracy, float),
        "lr": np.full(n, 0.1),
    }  # fmt: skip


def flat(value: float = 0.95, n: int = 20) -> list[float]:
    """A course that rises over the first half and stays."""
    return [value * min(1.0, (i + 6) / (n / 2 + 5)) for i in range(n)]


def give(
    session: Session, node, accuracy=0.95, curve=None, train=None, diverged=None, refused=None, numerics=None, **values
):
    """Commit a record for a node."""
    out = session.store.workfolder(node.key)
    curve = course(flat(accuracy)) if curve is None else curve
    steps = int(curve["step"][-1])
    reach = {"99%": int(next(s for s, a in zip(curve["step"], curve["accuracy"]) if a >= 0.99 * curve["accuracy"][-1]))}
    result = Result(values={
        "accuracy": accuracy, "train_accuracy": accuracy + 0.01 if train is None else train, "loss": 0.1,
        "steps": steps, "reach": reach, **values,
    })  # fmt: skip
    Path(out, "curve.npz").write_bytes(cases.npz(**curve))
    if diverged is not None:
        Path(out, "curve.npz").unlink()
        reason = Reason("loss_not_finite", "the loss is not finite", f"step {diverged}")
        result = Result("diverged", reason=reason, notes={"diverged_at": diverged, "last_good": 2.5})
    if refused is not None:
        result = Result("refused", reason=Reason(*refused))
    session.store.commit(
        drafts.Draft(
            node.key, node.spec, result, out, attempt={"id": os.urandom(8).hex(), "number": 1},
            numerics=numerics or {"device": "cpu"}, cost={"wall_s": 100.0}, time={"begun": "a", "ended": "b"},
        )
    )  # fmt: skip


def fill(session: Session, how=lambda node: {}) -> Session:
    """A record for every node; `how(node)` gives what `give` takes, or None for none."""
    for node in session.plan.by_key.values():
        if not session.store.has(node.key) and (options := how(node)) is not None:
            give(session, node, **options)
    return session


def found(session: Session, rule: str | None = None, measure: bool = False) -> list[Finding]:
    """What the rules (or those whose findings have this name) say."""
    case = Case(session, conclude(session), measure)
    all_of_them = [finding for each in RULES for finding in each(case)]
    return [finding for finding in all_of_them if rule in (None, finding.rule)]


def sound(node):
    """b is better than a by two points, with a little noise."""
    noise = {42: 0.001, 123: -0.002, 456: 0.0005}.get(node.instance.seed, 0.0)
    return {"accuracy": 0.93 + (0.02 + noise) * (node.instance.cell["net"] == "b")}


def other(folder, name="other"):
    """A second folder: nothing of the first study lies there."""
    (folder / name).mkdir()
    return folder / name


def names(found):
    return [finding.rule for finding in found]
