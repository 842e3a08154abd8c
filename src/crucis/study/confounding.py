"""Which effects of components a study's arms can tell apart: resolution and aliases, worked out from the arms as they
are, so that a fraction, a filter or a list by hand are all read in the same way.

Two effects are aliased if their contrasts are equal or opposite in every arm: no number of seeds separates them. The
resolution is the length of the shortest product of components that is constant (Box and Hunter, 1961,
doi:10.1080/00401706.1961.10489951); of arms that are no regular fraction only the constant products of one or two
components are known to harm, and the arms are called irregular.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np

from .design import cells
from .plan import Plan
from .power import design_power
from .spec import Factor, Study

_SHOWN = 6  # groups of aliases in one line
_MOST = 16  # components: beyond, the products are too many to try


@dataclass(frozen=True)
class Design:
    """The arms of one factor as runs of a two-level design.

    Attributes:
        components: names, in the order of the levels' fields.
        runs: distinct combinations among the arms.
        regular: whether every product of components is constant or balanced over the arms.
        words: constant products, shortest first (of a regular design: the defining relation).
        aliases: groups of effects of one or two components that the arms cannot tell apart, `a*b` an interaction.
    """

    factor: str
    components: tuple[str, ...]
    runs: int
    regular: bool
    words: tuple[tuple[str, ...], ...]
    aliases: tuple[tuple[str, ...], ...]

    @property
    def resolution(self) -> int | None:
        """Length of the shortest word; None if nothing is confounded or the arms are irregular."""
        return len(self.words[0]) if self.words and self.regular else None

    def __str__(self) -> str:
        count = len(self.components)
        size = f"{self.factor}: {self.runs} of {2**count} combinations of {count} components"
        if not self.regular:
            return f"{size}, no regular fraction: effects of single components only against one arm at a time."
        if not self.words:
            return f"{size}: all effects and interactions stand apart."
        relation = " = ".join("*".join(word) for word in self.words[:_SHOWN])
        more = " = ..." if len(self.words) > _SHOWN else ""
        groups = "; ".join(" = ".join(group) for group in self.aliases[:_SHOWN])
        rest = f"; and {len(self.aliases) - _SHOWN} more" if len(self.aliases) > _SHOWN else ""
        told = f"Cannot be told apart: {groups}{rest}." if groups else "Effects of one or two components stand apart."
        return f"{size}, resolution {roman(self.resolution or 0)}, I = {relation}{more}. {told}"


def foreseen(study: Study, plan: Plan) -> tuple[str, ...]:
    """What was known before the data: what the arms cannot tell apart, how large an effect could be found."""
    return tuple(map(str, (*designs(study), *design_power(study, plan))))


def designs(study: Study) -> list[Design]:
    """One design per factor whose levels say which components are in and which are out."""
    found = []
    for factor in study.factors.values():
        names = _components(factor)
        if len(names) > 1 and len(names) <= _MOST:
            alive = {cell[factor.name] for cell in cells(study)}
            rows = [level.fields for level in factor.levels if level.label in alive and level.fields]
            signs = {
                tuple(1 if fields[name] == "in" else -1 for name in names) for fields in rows if names[0] in fields
            }
            found.append(design(factor.name, names, np.array(sorted(signs))))
    return found


def _components(factor: Factor) -> tuple[str, ...]:
    first = next((level.fields for level in factor.levels if level.fields and "missing" in level.fields), None)
    return tuple(name for name, value in (first or {}).items() if value in ("in", "out"))


def design(factor: str, names: tuple[str, ...], x: np.ndarray) -> Design:
    """What runs can tell apart.

    An arm without any component that is added to a fraction as a control is left out where the rest is regular.

    Args:
        factor: whose levels the runs are.
        names: components, k of them.
        x: +1 (in) or -1 (out), (runs, k), without repeats.

    Cost: 2^k products over the runs.
    """
    control = (x == -1).all(1)
    words = _words(names, x)
    if words is None and control.any():
        words = _words(names, x[~control])
        x = x if words is None else x[~control]
    if words is None:
        return Design(factor, names, len(x), False, (), ())
    return Design(factor, names, len(x), True, words, _aliases(names, x))


def _words(names: tuple[str, ...], x: np.ndarray) -> tuple[tuple[str, ...], ...] | None:
    """Constant products, shortest first; None if one is neither constant nor balanced."""
    found = []
    for size in range(1, len(names) + 1):
        for some in combinations(range(len(names)), size):
            total = abs(int(x[:, list(some)].prod(1).sum()))
            if total == len(x):
                found.append(tuple(names[i] for i in some))
            elif total:
                return None
    return tuple(found)


def _aliases(names: tuple[str, ...], x: np.ndarray) -> tuple[tuple[str, ...], ...]:
    groups: dict[bytes, list[str]] = {}
    for size in (1, 2):
        for some in combinations(range(len(names)), size):
            contrast = x[:, list(some)].prod(1)
            groups.setdefault((contrast * contrast[0]).tobytes(), []).append("*".join(names[i] for i in some))
    return tuple(tuple(group) for group in groups.values() if len(group) > 1)


def roman(number: int) -> str:
    """A small number as resolutions are written."""
    parts = ((10, "X"), (9, "IX"), (5, "V"), (4, "IV"), (1, "I"))
    out = ""
    for value, letters in parts:
        while number >= value:
            out, number = out + letters, number - value
    return out
