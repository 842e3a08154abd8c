"""Trainings of a study, or one record, held against a published recipe."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..data.view import view_size
from ..engine.store import Store
from ..errors import CrucisError
from ..records import Record
from ..report import content as c
from ..train import recipes
from ..train.published.audit import Line, Training, audit, verdict
from ..train.published.citing import numbered
from ..train.settings import completed, resolve
from .asking import Asked, askers, dataset, reason
from .plan import Node
from .session import Session

#: How many cells an audit names before it says how many more there are.
_PLACES = 8
_COLUMNS = {
    "outcome": "exact; derived: the same after the arithmetic shown; adapted: another value, for the reason given; "
    "deviates: another value and no reason; unknown: no source that is followed says it",
    "key": "the fact of the recipe", "published": "what the source has", "used": "what this training did",
    "why": "arithmetic, reason or remark", "source": "where the published value stands",
}  # fmt: skip


@dataclass(frozen=True)
class Audited:
    """One training, or several whose lines are the same: where, the recipe, whether it ran, lines, verdict."""

    where: str
    recipe: str
    ran: bool
    lines: tuple[Line, ...]
    steps: int = 1

    @property
    def verdict(self) -> str:
        """The whole in one sentence."""
        return verdict(list(self.lines))


def audit_study(session: Session, name: str | None = None) -> list[Audited]:
    """Every training of a study that names a published recipe (or all of them against `name`), from the records that
    are there and else from the plan; trainings with equal lines are told once.

    Raises:
        CrucisError: nothing names a published recipe.
    """
    found: dict[tuple[str, str, bool, tuple[Line, ...]], int] = {}
    for node, chosen, ran, lines in _audited(session, name):
        where = " ".join([node.instance.stage, *node.instance.cell.values()])
        key = (where, chosen, ran, lines)
        found[key] = found.get(key, 0) + 1
    if not found:
        raise CrucisError(f"no training of {session.study.name} names a published recipe; write recipe: beside one, or "
                          "give --recipe NAME (crucis recipes list)")  # fmt: skip
    return [Audited(*key, steps=count) for key, count in found.items()]


def _audited(session: Session, name: str | None = None) -> Iterator[tuple[Node, str, bool, tuple[Line, ...]]]:
    """Every training with a published recipe: its node, the recipe, whether a record tells what ran (that of
    a training that diverged does not), the lines of the audit."""
    seen = set()
    for node in session.plan.nodes:  # two stages may ask for one training by two recipes, so not each key once
        if not node.spec["kind"].startswith("train/"):
            continue
        chosen = name or node.bound.params.get("recipe")
        if (place := (node.key, node.instance.stage, chosen)) in seen:
            continue
        seen.add(place)
        made = recipes.translated(chosen) if chosen else None
        if made is not None and chosen is not None:
            record = session.store.read(node.key) if session.store.has(node.key) else None
            training = _training(session, node, record, chosen)
            yield node, chosen, training.ran is not None, tuple(audit(made, training))


def pages(session: Session) -> tuple[c.Audit, ...]:
    """The audits of a study's trainings for its report; trainings of any cell with equal lines are told once."""
    found: dict[tuple[str, bool, tuple[Line, ...]], list[Node]] = {}
    for node, chosen, ran, lines in _audited(session):
        found.setdefault((chosen, ran, lines), []).append(node)
    out = []
    for number, ((chosen, ran, lines), nodes) in enumerate(found.items(), 1):
        places = dict.fromkeys(" ".join([n.instance.stage, *n.instance.cell.values()]) for n in nodes)
        where = ", ".join(list(places)[:_PLACES]) + (f" and {len(places) - _PLACES} more" * (len(places) > _PLACES))
        count = len({node.key for node in nodes})
        one = count == 1
        how = ("as it ran" if one else "as they ran") if ran else "as planned (no record tells what ran)"
        says = f"{count} training{'' if one else 's'}, {how}:"
        deviates, adapted = (any(line.outcome == word for line in lines) for word in ("deviates", "adapted"))
        columns = tuple(c.Column(name, says=text) for name, text in _COLUMNS.items())
        rows = tuple(
            c.Row((line.outcome, line.key, line.published, line.used, line.text, line.source)) for line in lines
        )
        short, works = numbered(line.source for line in lines if line.source)
        brief = tuple(
            c.Row((*row.cells[:-1], short.get(line.source, ""))) for row, line in zip(rows, lines, strict=True)
        )
        out.append(c.Audit(
            f"{chosen}-{number}", chosen, where, says, "deviates" if deviates else "adapted" if adapted else "follows",
            f"{verdict(list(lines))}.", c.Table(columns, rows), c.Table(columns, brief), works,
        ))  # fmt: skip
    return tuple(out)


def audit_record(store: Store, record: Record, name: str | None = None) -> list[Audited]:
    """One record of a training against each recipe that a study of the store asked for it by, with the reasons that
    the study gives; or against `name`, with the reasons of those who asked by it. Equal audits are told once.

    Raises:
        CrucisError: no training, a record without notes of what ran, no published recipe to hold it against.
    """
    if not str(record.spec.get("kind", "")).startswith("train/"):
        raise CrucisError(f"the record {record.key[:12]} is no training")
    ran = record.body.get("notes", {}).get("trained")
    if ran is None:
        raise CrucisError(f"the record {record.key[:12]} has no notes of what ran; train it again")
    settings = resolve(completed(record.spec["kind"], record.spec["params"]), int(ran["n_train"]))
    begins = _begins(record.spec.get("inputs"))
    found: dict[tuple[str, tuple[Line, ...]], list[Asked]] = {}
    known = askers(store, record.key)
    house = dict.fromkeys(one.recipe for one in known if recipes.translated(one.recipe) is None)
    for one in known or [Asked("", "", "")] * (name is not None):
        chosen = name or one.recipe
        made = recipes.translated(chosen)
        if made is not None:
            because = one.because if _same(chosen, one.recipe) else ""
            training = Training(settings, ran, one.data, because or None, begins, record.spec.get("net"))
            lines = tuple(audit(made, training))
            found.setdefault((chosen, lines), []).append(one)
    if not found:
        raise CrucisError(_nothing(record.key[:12], [name] if name else list(house)))
    return [Audited(_asked_by(record.key[:12], by), chosen, True, lines) for (chosen, lines), by in found.items()]


def _nothing(key: str, house: list[str]) -> str:
    if house:
        are = "is a house recipe" if len(house) == 1 else "are house recipes"
        return f"{' and '.join(house)} {are}; no publication stands behind {'it' if len(house) == 1 else 'them'}"
    return (f"no study of this store asked for {key} by a recipe; give --recipe NAME (crucis recipes list), or run the "
            "study that names one: what has a record is not computed again")  # fmt: skip


def _asked_by(key: str, by: list[Asked]) -> str:
    places = dict.fromkeys(f"{one.study}: {one.stage}" for one in by if one.study)
    return f"{key} ({', '.join(places)})" if places else key


def _same(one: str, other: str) -> bool:
    """Whether two names mean one recipe, whichever references they follow. A reason for deviating from one recipe is
    none for deviating from another."""
    return one.partition("@")[0] == other.partition("@")[0]


def _training(session: Session, node: Node, record: Record | None, chosen: str) -> Training:
    ran = record.body.get("notes", {}).get("trained") if record is not None else None
    n_train = int(ran["n_train"]) if ran else _planned(node)
    return Training(
        resolve(completed(node.spec["kind"], node.spec["params"]), n_train),
        ran,
        dataset(node),
        reason(session.study, node) if _same(chosen, str(node.bound.params.get("recipe") or "")) else None,
        _begins(node.inputs),
        node.spec.get("net"),
    )


def _begins(inputs: Mapping[str, Any] | None) -> str:
    """The key of the record whose weights a training begins with, or nothing."""
    return str((inputs or {}).get("of") or (inputs or {}).get("initial") or "")


def _planned(node: Node) -> int:

    if node.facts is None:
        raise CrucisError("a training without facts")
    return view_size(node.facts.info, node.facts.data.get("view", {}))


def text(found: Audited) -> Iterator[str]:
    """An audit for people."""
    times = f" ({found.steps} steps)" if found.steps > 1 else ""
    yield f"{found.where} against {found.recipe}{times}, {'as it ran' if found.ran else 'as planned'}:"
    width = max(len(line.key) for line in found.lines)
    short, works = numbered(line.source for line in found.lines if line.source)
    for line in found.lines:
        yield f"  {line.outcome:<8}  {line.key:<{width}}  {line.used}  (published: {line.published})"
        for more in (line.text, line.source and f"source: {short[line.source]}"):
            if more:
                yield f"  {'':8}  {'':{width}}    {more}"
    yield from ("Sources:" if not number else f"  {work}" for number, work in enumerate(["", *works]) if works)
    yield f"Verdict: {found.verdict}."
