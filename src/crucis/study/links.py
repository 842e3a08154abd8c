"""How the instances of a stage find those of their inputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .axes import WINNER, axes_of, fixed
from .matching import label_for, label_of
from .spec import Dollar, Ref, Stage, Study

Cell = dict[str, str]
Row = tuple[str, ...]  # labels in the order of the factors of a stage, or of the study


@dataclass(frozen=True)
class InstanceRef:
    """One input of an instance: which instance of which stage, at which checkpoint, which part of its own axes."""

    stage: str
    cell: Mapping[str, str]
    seed: int | None
    at: str | None = None
    select: Mapping[str, str] = field(default_factory=dict)  # own axes other than `at`, such as step or slice


class Alive:
    """The instances of a stage that exist: row -> (cell, seeds)."""

    def __init__(self, factors: tuple[str, ...]) -> None:
        self.factors = factors
        self.rows: dict[Row, tuple[Cell, tuple[int | None, ...]]] = {}

    def add(self, row: Row, cell: Cell, seeds: tuple[int | None, ...]) -> None:
        """Enter one row with the seeds for which it exists."""
        self.rows[row] = (cell, seeds)

    def by(self, indices: list[int]) -> dict[Row, list[Row]]:
        """Rows grouped by some of their labels."""
        out: dict[Row, list[Row]] = {}
        for row in self.rows:
            out.setdefault(tuple([row[index] for index in indices]), []).append(row)
        return out


class Link:
    """How a row of a stage finds the instances of one input."""

    def __init__(self, study: Study, stage: Stage, factors: tuple[str, ...], role: str, ref: Ref, alive: Alive) -> None:
        self.study, self.ref, self.role, self.alive, self.factors = study, ref, role, alive, factors
        self.cause = f"stages.{stage.name}.of" + ("" if role == "of" else f".{role}")
        if role.startswith(WINNER):
            self.cause = f"stages.{stage.name}.winner_of"
        seeds = axes_of(study).seeds[ref.name]
        pinned = ref.axis("seed")
        self.seed = int(pinned) if isinstance(pinned, str) and pinned.isdigit() else None
        self.all_seeds = bool(seeds) and self.seed is None and "seed" in stage.pool
        self.seeded = bool(seeds)
        ways = [(index, self._way(factor)) for index, factor in enumerate(alive.factors) if factor not in stage.pool
                or fixed(study, ref, factor) is not None]  # fmt: skip
        self.pooled = self.all_seeds or len(ways) < len(alive.factors)
        self.ways = [way for _, way in ways]
        self.groups = alive.by([index for index, _ in ways])
        self.own = [(axis, value) for axis, value in ref.at if axis.partition(".")[0] not in (*alive.factors, "seed")]

    def _way(self, factor: str) -> Callable[[Row], str | None]:
        """How a row of the stage answers one factor of the input; None: not at all."""
        label = fixed(self.study, self.ref, factor)
        if isinstance(label, str):
            return lambda _: label
        if label is None:
            index = self.factors.index(factor)
            return lambda row: row[index]
        table = {name: label_for(self.study, factor, value) for name, value in self._values(label).items()}
        if label.field is None:  # `@group=$group`: the label itself, where both factors have it
            table |= {name: name for name in table if name in self.study.factors[factor].labels}
        return lambda row: table.get(row[self._index(label)])

    def _index(self, dollar: Dollar) -> int:
        return self.factors.index(dollar.name) if dollar.name in self.factors else 0

    def _values(self, dollar: Dollar) -> dict[str, Any]:
        """What a `$` is at every label; levels without the field are left out."""
        if dollar.name not in self.factors:
            return {}
        levels = self.study.factors[dollar.name].levels
        if dollar.field is None:
            return {level.label: level.value for level in levels}
        return {
            level.label: level.fields[dollar.field] for level in levels if level.fields and dollar.field in level.fields
        }

    def reach(self, row: Row) -> tuple[list[Row], str | None, dict[str, str]]:
        """Rows of the input that a row works on (several only with `pool`), the checkpoint, the other own axes."""
        key = tuple([way(row) for way in self.ways])
        selected = self._selected(row)
        if selected is None or None in key:
            return [], None, {}
        at = selected.pop("at", None)
        return self.groups.get(key, []), at, selected  # type: ignore[arg-type]

    def refs(self, reached: tuple[list[Row], str | None, dict[str, str]], seed: int | None) -> list[InstanceRef]:
        """References to the inputs for one seed; empty if there is none by design."""
        targets, at, selected = reached
        out: list[InstanceRef] = []
        for target in targets:
            cell, seeds = self.alive.rows[target]
            wanted = seeds if self.all_seeds else ((seed if self.seed is None else self.seed) if self.seeded else None,)
            out += [InstanceRef(self.ref.name, cell, one, at, selected) for one in wanted if one in seeds]
        return out

    def _selected(self, row: Row) -> dict[str, str] | None:
        """The own axes that `@` fixes, for one row; None if a level lacks the field that says so."""
        out: dict[str, str] = {}
        for axis, value in self.own:
            if isinstance(value, Dollar):
                values = self._values(value)
                label = row[self._index(value)] if values else ""
                if label not in values:
                    return None
                out[axis] = written(axis, values[label])
            elif value != "*":
                out[axis] = value
        return out


def written(axis: str, value: object) -> str:
    """A level's value as the text of a selector: a share of training as `50%`, everything else as its label."""
    if axis == "at" and isinstance(value, float):
        return f"{value * 100:g}%"
    return value.replace(" ", "") if axis == "at" and isinstance(value, str) else label_of(value)
