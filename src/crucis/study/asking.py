"""Which studies asked for a training, by which recipe and for which reason.

A recipe is no part of a key: equal settings are one training, whoever names them. So no record names a recipe. What
asked for it stands beside it, in a ledger of each study in the store, and a record that two studies asked for by two
recipes answers to both.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from ..engine.store import Store
from . import registry
from .plan import Node, Plan
from .spec import Study

if TYPE_CHECKING:
    from .session import Session

_LEDGER = "recipes-"


@dataclass(frozen=True, order=True)
class Asked:
    """One stage of a study that asked for a training: the recipe that it names, the reason that it gives for
    deviating, and its data set's name."""

    study: str
    stage: str
    recipe: str
    because: str = ""
    data: str = ""


def reason(study: Study, node: Node) -> str | None:
    """`because` of the stage that a step belongs to; of a trial its own, else that of its search."""
    stage = study.stages[node.owner]
    trial = stage.trial if node.inner else None
    return (trial.because if trial is not None else None) or stage.because


def dataset(node: Node) -> str:
    """The data set's name, where the stage itself names one."""
    return str(getattr(node.bound.params.get("data"), "name", ""))


def note(session: Session) -> None:
    """Write into the study's ledger what its plan asks for by a recipe, as far as it does not stand there yet.

    One line per run that asks for something new; a study without recipes has no such ledger.
    """
    name = f"{_LEDGER}{registry.ledger(session.study, session.store)}"
    wanted = _wanted(session.plan)
    if not wanted:
        return
    known = {(asked, key) for asked, keys in _read(session.store, name) for key in keys}
    new = [
        {**{part: text for part, text in asdict(asked).items() if part != "study"}, "keys": missing}
        for asked, keys in sorted(wanted.items())
        if (missing := [key for key in keys if (asked, key) not in known])
    ]
    if new:
        session.store.append_line(name, {"time": registry.now(), "study": session.study.name, "asked": new})


def _wanted(plan: Plan) -> dict[Asked, list[str]]:
    out: dict[Asked, dict[str, None]] = {}
    for node in plan.nodes:
        recipe = node.bound.params.get("recipe")
        if recipe and not node.pending and node.spec["kind"].startswith("train/"):
            because = reason(plan.study, node) or ""
            asked = Asked(plan.study.name, node.instance.stage, str(recipe), because, dataset(node))
            out.setdefault(asked, {})[node.key] = None
    return {asked: list(keys) for asked, keys in out.items()}


def askers(store: Store, key: str) -> list[Asked]:
    """Every stage of every study of this store that asked for a training by a recipe; sorted, each once."""
    return sorted({asked for name in store.ledgers(_LEDGER) for asked, keys in _read(store, name) if key in keys})


def _read(store: Store, name: str) -> Iterator[tuple[Asked, list[str]]]:
    for line in store.lines(name):
        for body in line["asked"]:
            yield _asked(line["study"], body), body["keys"]


def _asked(study: str, body: Mapping[str, Any]) -> Asked:
    return Asked(study, body["stage"], body["recipe"], body["because"], body["data"])
