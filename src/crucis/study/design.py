"""From factors to cells, from cells to the instances of every stage. Reads no record and imports no leaf."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import product

from .axes import DesignError, axes_of, inputs, stage_order
from .links import Alive, Cell, InstanceRef, Link, Row
from .matching import allowed
from .spec import Filter, Study


@dataclass(frozen=True)
class Instance:
    """One step of a stage: its cell (only the factors of the stage), its seed, its inputs by role.

    With `pool` an input is a list: the levels in the order of the file, within them the seeds in theirs.
    """

    stage: str
    cell: Cell
    seed: int | None
    inputs: Mapping[str, InstanceRef | list[InstanceRef]] = field(default_factory=dict)


# --- cells -----------------------------------------------------------------------------------------------------


def matches(study: Study, filter: Filter, cell: Mapping[str, str]) -> bool:
    """Whether a cell satisfies a filter (an empty one is satisfied by no cell).

    A condition on a factor that the cell does not have is not satisfied.
    """
    return any(
        all(
            factor in cell and factor in study.factors and cell[factor] in allowed(study, factor, name, wanted)
            for (factor, name), wanted in conditions.items()
        )
        for conditions in filter
    )


def kept(study: Study, only: Filter, exclude: Filter, cell: Mapping[str, str]) -> bool:
    """Whether `only` and `except` leave this cell; an empty `only` leaves everything, and `except` wins."""
    return (not only or matches(study, only, cell)) and not matches(study, exclude, cell)


def cells(study: Study) -> list[Cell]:
    """All cells: the product of the factors in the order of the file, minus `only` and `except`.

    Cost: linear in the size of the whole product.
    """
    names = tuple(study.factors)
    return [dict(zip(names, row, strict=True)) for row in _rows(study)[0]]


def _rows(study: Study) -> tuple[list[Row], Counter[str]]:
    whole: list[Row] = list(product(*(factor.labels for factor in study.factors.values())))
    left = _select(study, whole, study.only) if study.only else whole
    out = _drop(study, left, study.exclude)
    return out, Counter({"only": len(whole) - len(left), "except": len(left) - len(out)})


def _predicate(study: Study, filter: Filter) -> Callable[[Row], bool]:
    """A filter over whole rows, with the allowed labels of every condition worked out once."""
    names = tuple(study.factors)
    groups = [
        [
            (names.index(factor), allowed(study, factor, name, wanted)) if factor in names else (0, frozenset[str]())
            for (factor, name), wanted in conditions.items()
        ]
        for conditions in filter
    ]
    return lambda row: any(all(labels and row[index] in labels for index, labels in group) for group in groups)


def _select(study: Study, rows: list[Row], only: Filter) -> list[Row]:
    if not only:
        return rows
    chosen = _predicate(study, only)
    return [row for row in rows if chosen(row)]


def _drop(study: Study, rows: list[Row], exclude: Filter) -> list[Row]:
    if not exclude:
        return rows
    dropped = _predicate(study, exclude)
    return [row for row in rows if not dropped(row)]


# --- axes of stages --------------------------------------------------------------------------------------------


def stage_factors(study: Study, stage_name: str) -> tuple[str, ...]:
    """Factors that make the steps of a stage: those it mentions and its inputs' that no `@` fixes, minus `pool`."""
    return axes_of(study).factors[stage_name]


def seeded(study: Study, stage_name: str) -> bool:
    """Whether `seed` is an axis of a stage: it draws random numbers or has a seeded input, and does not pool seeds."""
    return bool(axes_of(study).seeds[stage_name])


def stage_seeds(study: Study, stage_name: str) -> tuple[int, ...]:
    """Seeds of a stage's steps: its inputs', else its own, else the study's; empty if `seed` is no axis of it."""
    return axes_of(study).seeds[stage_name]


# --- instances -------------------------------------------------------------------------------------------------


def instances(study: Study) -> tuple[list[Instance], dict[str, int]]:
    """All steps of all stages, inputs first, and how many are excluded by design, by cause.

    A stage has one instance per distinct projection of the cells on its factors, and per seed. Causes are paths:
    `only` and `except` count cells; `stages.NAME.only`, `stages.NAME.except` count that stage's steps, and
    `stages.NAME.of` (`stages.NAME.of.ROLE`) its steps whose input is itself excluded.

    Cost: linear in cells times stages plus instances.

    Raises:
        DesignError: stages that need one another.
    """
    rows, lost = _rows(study)
    axes = axes_of(study)
    alive: dict[str, Alive] = {}
    out: list[Instance] = []
    for name, factors in axes.factors.items():
        stage = study.stages[name]
        projected = _project(study, rows, factors)
        left = _project(study, _select(study, rows, stage.only), factors) if stage.only else projected
        final = _project(study, _drop(study, _select(study, rows, stage.only), stage.exclude), factors)
        seeds = axes.seeds[name] or (None,)
        lost[f"stages.{name}.only"] = (len(projected) - len(left)) * len(seeds)
        lost[f"stages.{name}.except"] = (len(left) - len(final)) * len(seeds)
        alive[name] = Alive(factors)
        links = [Link(study, stage, factors, role, ref, alive[ref.name]) for role, ref in inputs(study, stage).items()]
        for row in final:
            out += _grow(name, row, seeds, links, alive[name], lost)
    return out, {cause: count for cause, count in lost.items() if count}


def _project(study: Study, rows: Iterable[Row], factors: tuple[str, ...]) -> list[Row]:
    """Distinct projections, in the order of the cells."""
    names = tuple(study.factors)
    indices = [names.index(factor) for factor in factors]
    return list(dict.fromkeys(tuple([row[index] for index in indices]) for row in rows))


def _grow(
    name: str, row: Row, seeds: tuple[int | None, ...], links: list[Link], alive: Alive, lost: Counter[str]
) -> list[Instance]:
    """The instances of one row of a stage."""
    cell = dict(zip(alive.factors, row, strict=True))
    reached = [link.reach(row) for link in links]
    out, living = [], []
    for seed in seeds:
        found: dict[str, InstanceRef | list[InstanceRef]] = {}
        for link, way in zip(links, reached, strict=True):
            refs = link.refs(way, seed)
            if not refs:
                lost[link.cause] += 1
                break
            found[link.role] = refs if link.pooled else refs[0]
        else:
            living.append(seed)
            out.append(Instance(name, cell, seed, found))
    if living:
        alive.add(row, cell, tuple(living))
    return out


__all__ = [
    "Cell", "DesignError", "Instance", "InstanceRef", "cells", "instances", "kept", "matches", "seeded",
    "stage_factors", "stage_order", "stage_seeds",
]  # fmt: skip
