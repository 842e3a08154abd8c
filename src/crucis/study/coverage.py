"""Which combinations of levels exist, as far as stages and filters say: for checks before anything is planned."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import product
from math import prod
from typing import Any

from ..errors import nearest
from .design import kept
from .matching import allowed
from .spec import Factor, Filter, Stage, Study
from .tree import Reading

_MAX_CELLS = 100_000
Cell = dict[str, str]


@dataclass
class Coverage:
    """The cells of a study's stages; tries combinations of the factors involved only, up to a bound."""

    study: Study
    _labels: dict[int, list[list[tuple[str, frozenset[str]]]]] = field(default_factory=dict)

    @cached_property
    def _filters(self) -> dict[str, tuple[list[Filter], list[Filter]]]:
        """Per stage: the `only` and `except` that decide whether its cells exist, its inputs' included."""
        out: dict[str, tuple[list[Filter], list[Filter]]] = {}

        def of(name: str, on_way: tuple[str, ...]) -> tuple[list[Filter], list[Filter]]:
            if name in out:
                return out[name]
            stage = self.study.stages.get(name)
            if stage is None or name in on_way:
                return [], []
            only, exclude = [stage.only], [stage.exclude]
            for ref in stage.of.values():
                if ref.at or stage.pool:
                    continue  # an axis that is fixed or pooled reads other cells than its own
                for mine, theirs in zip((only, exclude), of(ref.name, (*on_way, name)), strict=True):
                    mine += theirs
            out[name] = only, exclude
            return out[name]

        for name in self.study.stages:
            of(name, ())
        return out

    def cells(self, stage: Stage, factors: tuple[str, ...]) -> Iterator[Cell]:
        """Combinations of these factors that some cell of the stage has; all of them if there are too many to try."""
        only, exclude = self._filters[stage.name.partition(".")[0]]  # a trial exists where its search does
        filters = [self.study.only, self.study.exclude, *only, *exclude]
        named = {factor for one in filters for conditions in one for factor, _ in conditions}
        involved = [name for name in self.study.factors if name in named or name in factors]
        if prod(len(self.study.factors[name].levels) for name in involved) > _MAX_CELLS:
            involved, filters = list(factors), []
        seen = set()
        for labels in product(*(self.study.factors[name].labels for name in involved)):
            cell = dict(zip(involved, labels, strict=True))
            chosen = tuple(cell[name] for name in factors)
            if chosen in seen or (filters and not self._exists(cell, only, exclude)):
                continue
            seen.add(chosen)
            yield {name: cell[name] for name in factors}

    def count(self) -> int:
        """Cells of the study, without its filters where there are too many to try."""
        size = prod(len(factor.levels) for factor in self.study.factors.values())
        if size > _MAX_CELLS or not (self.study.only or self.study.exclude):
            return size
        names = tuple(self.study.factors)
        rows = product(*(factor.labels for factor in self.study.factors.values()))
        return sum(self._exists(dict(zip(names, row, strict=True)), [], []) for row in rows)

    def _exists(self, cell: Cell, only: list[Filter], exclude: list[Filter]) -> bool:
        wanted, unwanted = [self.study.only, *only], [self.study.exclude, *exclude]
        return all(not one or self._matches(one, cell) for one in wanted) and not any(
            self._matches(one, cell) for one in unwanted
        )

    def _matches(self, one: Filter, cell: Cell) -> bool:
        """As `design.matches`, with the labels of every condition worked out once."""
        if id(one) not in self._labels:
            self._labels[id(one)] = [
                [(name, allowed(self.study, name, part, wanted)) for (name, part), wanted in conditions.items()]
                for conditions in one
            ]
        return any(all(cell.get(name) in labels for name, labels in group) for group in self._labels[id(one)])


def unused(factors: Mapping[str, Factor], stages: Any, reading: Reading) -> None:
    """Factors that no stage mentions; `stages` is the section as written, for a broken stage may mention one too."""
    used: set[str] = set()
    for word in _words(stages):
        for name in re.findall(r"\$([A-Za-z0-9_-]+)", word) or [word]:
            used.add(name if name in factors else nearest(name, factors) or "")
    for name in factors:
        if name not in used and name not in reading.broken:
            text = f"no stage uses ${name}, so it would vary nothing. Use it or remove it."
            reading.fault("unused", f"factors.{name}", text, key=True)


def _words(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _words(item)
    elif isinstance(value, list):
        for item in value:
            yield from _words(item)


def empty(study: Study, reading: Reading) -> None:
    """A pair of filters that contradict each other."""
    for path, only, exclude in [("", study.only, study.exclude)] + [
        (f"stages.{stage.name}.", stage.only, stage.exclude) for stage in study.stages.values()
    ]:
        factors = list(dict.fromkeys(name for one in (only, exclude) for conditions in one for name, _ in conditions))
        size = prod(len(study.factors[name].levels) for name in factors)
        if not factors or size > _MAX_CELLS:
            continue
        cells = product(*(study.factors[name].labels for name in factors))
        if not any(kept(study, only, exclude, dict(zip(factors, cell, strict=True))) for cell in cells):
            reading.fault("no-cell", f"{path}{'only' if only else 'except'}", "leaves no cell. Widen it.")
