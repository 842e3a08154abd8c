"""Which factors and seeds make the steps of each stage, and how a reference's `@` narrows them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from .. import shelf
from ..errors import CrucisError
from ..source import SourceError
from .identity import find
from .matching import allowed, label_for
from .spec import Distribution, Dollar, LeafRef, Ref, Stage, Study

#: Roles of inputs that give values and no record begin so, and end with the name of the search.
WINNER = "winner_of:"


class DesignError(CrucisError):
    """Stages that cannot be put in order. `names` is the circle, its first name repeated at the end."""

    def __init__(self, text: str, names: tuple[str, ...] = ()) -> None:
        self.names = names
        super().__init__(text)


@dataclass(frozen=True)
class Axes:
    """For every stage, in an order in which inputs come first: its factors and its seeds (empty: no such axis)."""

    factors: Mapping[str, tuple[str, ...]]
    seeds: Mapping[str, tuple[int, ...]]


def dollars(value: Any) -> Iterator[Dollar]:
    """Every `$` inside a value: a leaf and its parameters, lists, mappings, the `@` of a reference."""
    if isinstance(value, Dollar):
        yield value
    elif isinstance(value, LeafRef):
        yield from dollars(value.params)
    elif isinstance(value, Distribution):
        yield from dollars(value.choices)
    elif isinstance(value, Ref):
        yield from dollars([part for _, part in value.at])
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from dollars(part)
    elif isinstance(value, (list, tuple)):
        for part in value:
            yield from dollars(part)


def inputs(study: Study, stage: Stage) -> dict[str, Ref]:
    """Role -> reference, for the inputs that are stages of this file; searches whose choice is read are among them."""
    named = {**stage.of, **{f"{WINNER}{name}": ref for name, ref in stage.winners.items()}}
    return {role: ref for role, ref in named.items() if ref.use is None and ref.name in study.stages}


def needs(study: Study, stage: Stage) -> list[str]:
    """Stages of this file that a stage reads, through `of` or through `$stage.output`."""
    found = [ref.name for ref in inputs(study, stage).values()]
    found += [item.name for item in dollars((stage.leaf, stage.params)) if item.name in study.stages]
    return list(dict.fromkeys(found))


def stage_order(study: Study) -> list[str]:
    """Names of the stages, each after its inputs; otherwise in the order of the file.

    Raises:
        DesignError: stages that need one another, with the names of the circle.
    """
    order: list[str] = []
    trail: list[str] = []

    def visit(name: str) -> None:
        if name in trail:
            circle = (*trail[trail.index(name) :], name)
            raise DesignError(f"a circle: {' -> '.join(circle)}. A stage cannot work on its own result.", circle)
        if name in order:
            return
        trail.append(name)
        for needed in needs(study, study.stages[name]):
            visit(needed)
        trail.pop()
        order.append(name)

    for name in study.stages:
        visit(name)
    return order


def mentioned(study: Study, stage: Stage) -> set[str]:
    """Factors that a stage brings in with `$`, in its parameters, its leaf or the `@` of its inputs."""
    every = (stage.leaf, stage.params, list(stage.of.values()), list(stage.winners.values()))
    found = {item.name for item in dollars(every) if not item.winners}
    if stage.trial is not None:
        found |= mentioned(study, stage.trial)
    return (found | set(stage.mentions)) & set(study.factors)


def stage_leaves(study: Study, stage: Stage) -> dict[str | None, shelf.Leaf]:
    """The leaves a stage may use: label of the level -> leaf; None is the key where the stage names its leaf itself.

    Leaves that do not exist are left out; who checks the leaves reports them.
    """
    if isinstance(stage.leaf, LeafRef):
        written: dict[str | None, Any] = {None: stage.leaf}
    else:
        dollar = stage.leaf
        levels = study.factors[dollar.name].levels if dollar.name in study.factors else ()
        written = {
            level.label: (level.fields or {}).get(dollar.field) if dollar.field else level.value for level in levels
        }
    found = {label: _leaf(study, stage.verb, value) for label, value in written.items()}
    return {label: leaf for label, leaf in found.items() if leaf is not None}


def _leaf(study: Study, verb: str, value: Any) -> shelf.Leaf | None:
    if isinstance(value, Mapping) and len(value) == 1:
        value = next(iter(value))
    if isinstance(value, str):
        value = LeafRef(verb, value)
    if not isinstance(value, LeafRef) or verb not in shelf.SHELVES:
        return None
    try:
        return find(value, study.folder)
    except (KeyError, SourceError, OSError):
        return None


def draws(study: Study, stage: Stage) -> bool:
    """Whether a stage draws random numbers: its leaf says so, or it measures a network that no stage has trained."""
    if stage.verb == "search" or (stage.verb == "measure" and "net" in stage.params and not stage.of):
        return True
    leaves = stage_leaves(study, stage)
    return any(leaf.random for leaf in leaves.values()) if leaves else stage.verb in ("train", "perturb")


def fixed(study: Study, ref: Ref, factor: str) -> str | Dollar | None:
    """The label that the `@` of a reference fixes a factor at, or the `$` that names it.

    None if the axis stays open, which `@factor=*` also means. `@arch.family=wrn` fixes `arch` if one level has it.
    A label that no level has is returned as it is written.
    """
    for axis, value in ref.at:
        name, _, field = axis.partition(".")
        if name != factor or value == "*":
            continue
        if isinstance(value, Dollar):
            return value
        if not field:
            return label_for(study, factor, value) or value
        found = allowed(study, factor, field, (value,))
        if len(found) == 1:
            return next(iter(found))
    return None


def _axes(study: Study) -> Axes:
    factors: dict[str, tuple[str, ...]] = {}
    seeds: dict[str, tuple[int, ...]] = {}
    for name in stage_order(study):
        stage = study.stages[name]
        found = mentioned(study, stage)
        for ref in inputs(study, stage).values():
            found |= {factor for factor in factors[ref.name] if fixed(study, ref, factor) is None}
        factors[name] = tuple(factor for factor in study.factors if factor in found and factor not in stage.pool)
        seeds[name] = () if "seed" in stage.pool else _seeds(study, stage, seeds)
    return Axes(factors, seeds)


def _seeds(study: Study, stage: Stage, known: Mapping[str, tuple[int, ...]]) -> tuple[int, ...]:
    """The seeds of a stage before pooling: its inputs', else its own."""
    inherited: dict[int, None] = {}
    for ref in inputs(study, stage).values():
        if ref.axis("seed") in (None, "*"):
            inherited |= dict.fromkeys(known[ref.name])
    own = (stage.seeds or study.seeds) if draws(study, stage) else ()
    return tuple(inherited) or own


def trial_seeds(study: Study, stage: Stage) -> tuple[int, ...]:
    """The seeds that every trial of a search with `pool: seed` is trained with."""
    return _seeds(study, stage, axes_of(study).seeds)


_RECENT: list[tuple[Study, Axes]] = []


def axes_of(study: Study) -> Axes:
    """The axes of every stage; worked out once per study (a study is never changed after it is made).

    Raises:
        DesignError: stages that need one another.
    """
    for known, axes in _RECENT:
        if known is study:
            return axes
    axes = _axes(study)
    _RECENT.insert(0, (study, axes))
    del _RECENT[4:]
    return axes
