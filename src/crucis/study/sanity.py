"""The sanity checks that stand before every training: a gradient for every parameter, a first loss near ln K, one small
batch learnt by heart.

They are made once per network and data set, before the first step, by the process that runs the study, and kept in the
store; each training's record takes its line along. A check that fails stops nothing, because a network may be too small
to learn anything by heart on purpose: it is said at once, and stands in the report's checklist.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..canon import digest
from ..engine.steps import Event
from .identity import room_revision

if TYPE_CHECKING:
    from ..nets.checks.subject import Subject
    from .nodes import Node
    from .plan import Plan

FOLDER = "checks"
#: What a record's notes call them.
NOTE = "before_training"
CHECKS = ("gradients", "initial_loss", "memorises")
PATIENCE_S = 10.0  # for one batch by heart
MOST = 32  # networks that are checked before one run
_LARGEST = 1 << 26  # bytes of a data set that is read for a check; of a larger one noise of its shape serves


def note(store: Path, spec: Mapping[str, Any]) -> Path:
    """Where the line of a training's network and data set lies."""
    return store / FOLDER / f"{digest(['sanity', spec['net'], spec['data']['digest'], room_revision('nets')])}.json"


def noted(store: Path, spec: Mapping[str, Any]) -> dict[str, Any]:
    """The line of a training, as its record takes it along: check -> {outcome, says}; empty if none was made."""
    try:
        return json.loads(note(store, spec).read_text(encoding="utf-8"))
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def check(
    plan: Plan, nodes: Sequence[Node], store: Path, root: Path | None, tell: Callable[[Event], None] | None
) -> None:
    """Check the networks that these nodes will train, unless that was done; `tell` hears of every check that fails.

    Cost: about 10 forward and backward passes of 64 inputs, and up to 600 on 16, at most 10 s, per network.
    """
    wanted: dict[Path, Node] = {}
    for node in nodes:
        if node.spec["kind"] == "train/supervised" and not node.pending and "of" not in node.inputs:
            wanted.setdefault(note(store, node.spec), node)
    missing = [(path, node) for path, node in wanted.items() if not path.is_file()]
    for path, node in missing[:MOST]:
        _write(path, _checked(node, plan, root))
    if tell is None:
        return
    for path, node in wanted.items():
        for name, found in noted(store, node.spec).items():
            if found["outcome"] == "bad" and path.is_file():
                tell(Event("warn", label=f"before training {node.label}", data={"text": f"{name}: {found['says']}"}))


def _checked(node: Node, plan: Plan, root: Path | None) -> dict[str, Any]:
    from ..nets.checks import whole
    from .steps import blame

    out: dict[str, Any] = {}
    try:
        made, noise = _subject(node, plan, root)
        for name, one in (
            ("gradients", whole.gradients), ("initial_loss", whole.initial_loss),
            ("memorises", lambda subject: whole.memorises(subject, patience=PATIENCE_S)),
        ):  # fmt: skip
            findings = one(made)
            bad = next((finding for finding in findings if finding.outcome == "bad"), findings[0])
            out[name] = {"outcome": bad.outcome, "says": bad.says + (" (on noise)" if noise else "")}
    except MemoryError:
        raise
    except Exception as error:  # a user's network may raise anything
        out[CHECKS[len(out)]] = {"outcome": "bad", "says": f"stopped with {blame(error, plan.study.folder)}"}
    return out


def _subject(node: Node, plan: Plan, root: Path | None) -> tuple[Subject, bool]:
    """The network with a batch, and whether that is noise."""
    from .checks import Wanted, subject

    info = plan.infos[node.spec["data"]["digest"]]
    large = math.prod(info.shape) * sum(info.size(name) for name in ("train", "validation", "test")) > _LARGEST
    wanted = Wanted(node.bound.params["net"], node.bound.params["data"], {}, None)
    return subject(wanted, plan.study.folder, root, noise=large), large


def _write(path: Path, body: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f"{path.name}.{os.getpid()}")
    aside.write_text(json.dumps(body, sort_keys=True), encoding="utf-8")
    aside.replace(path)
