"""Conformance of statistics by simulation: coverage of intervals, false alarms, refusals. Picks newcomers up unedited.

A leaf of the shelves `compare`, `correlate` and `describe` is called on tables drawn from distributions whose truth is
known. What it promises for itself stands as literals in its file:

- `TRUTH`: which population value a correlation estimates, `pearson`, `spearman` or `kendall` (of a bivariate normal).
- `GIVEN`: True for a correlation that needs variables to hold constant.
- `EXAMPLE`: values of parameters without a default (differences have the deviation 1).
- `COVERS`: the least share that its interval covers, if it says less than 0.95 in its docstring.
- `TABLE`: the kind of its table (`panels`), where it is neither a sample, pairs nor points.
- `NULL`: the true difference at which the p of a comparison must keep its level, if not 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import seeds, shelf
from ..errors import Refusal
from ..stats.table import Pairs, Points, Sample
from . import panels

Estimate = Callable[..., Mapping[str, Any]]
Draw = Callable[[np.random.Generator], Any]


@dataclass(frozen=True)
class Share:
    """A share of simulated tables with its standard error."""

    share: float
    se: float
    draws: int

    def within(self, nominal: float, points: float = 2.0) -> bool:
        """Whether it lies within so many percentage points of `nominal`, two standard errors of noise allowed."""
        return abs(self.share - nominal) <= 0.01 * points + 2.0 * self.se


def _share(hits: int, draws: int) -> Share:
    share = hits / draws
    return Share(share, math.sqrt(max(share * (1.0 - share), 0.25 / draws) / draws), draws)


def bind(leaf: shelf.Leaf, **params: Any) -> Estimate:
    """The leaf's function of a table alone; a stream of its own where it draws."""
    function = shelf.load(leaf)
    params = {**leaf.constants.get("EXAMPLE", {}), **params}
    if not leaf.random:
        return lambda table: function(table, **params)
    stream = seeds.rng(0, "conformance", leaf.name)
    return lambda table: function(table, stream, **params)


def coverage(
    estimate: Estimate, draw: Draw, truth: float, *, draws: int = 2000, ends: tuple[str, str] = ("low", "high")
) -> Share:
    """How often the interval holds the truth; an end that is None lies at infinity."""
    hits = 0
    for out in _outcomes(estimate, draw, draws, "coverage"):
        low, high = out[ends[0]], out[ends[1]]
        hits += (low is None or low <= truth) and (high is None or truth <= high)
    return _share(hits, draws)


def false_alarms(estimate: Estimate, draw: Draw, alpha: float = 0.05, *, draws: int = 2000) -> Share:
    """How often p is at most `alpha` under the null hypothesis that `draw` draws from."""
    return _share(sum(out["p"] <= alpha for out in _outcomes(estimate, draw, draws, "false-alarms")), draws)


def _outcomes(estimate: Estimate, draw: Draw, draws: int, name: str) -> Iterator[Mapping[str, Any]]:
    """`draws` results; a table that refuses is drawn again, which may happen to one in a hundred."""
    stream = seeds.rng(0, "conformance", name)
    refused = 0
    for _ in range(draws):
        while True:
            try:
                yield estimate(draw(stream))
                break
            except Refusal:
                refused += 1
                if refused > 0.01 * draws + 2:
                    raise


# --- distributions with a known truth ------------------------------------------------------------------------


def pairs(n: int, effect: float = 0.0, seed_sd: float = 2.0) -> Draw:
    """n pairs that share a large seed effect; differences are normal with mean `effect` and deviation 1."""

    def draw(stream: np.random.Generator) -> Pairs:
        shared = seed_sd * stream.standard_normal(n)
        half = math.sqrt(0.5)
        return Pairs(
            shared + effect + half * stream.standard_normal(n) + 10, shared + half * stream.standard_normal(n) + 10
        )

    return draw


def plane(n: int, rho: float = 0.0, given: int = 0) -> Draw:
    """n units from a bivariate normal with correlation `rho`, and independent variables that are given."""

    def draw(stream: np.random.Generator) -> Points:
        x = stream.standard_normal(n)
        y = rho * x + math.sqrt(1.0 - rho * rho) * stream.standard_normal(n)
        return Points(x, y, stream.standard_normal((n, given)) if given else None)

    return draw


def sample(n: int, mean: float = 0.0) -> Draw:
    """n normal values of deviation 1."""
    return lambda stream: Sample(mean + stream.standard_normal(n))


def population(kind: str, rho: float) -> float:
    """The coefficient of a bivariate normal with Pearson correlation `rho`."""
    if kind == "spearman":
        return 6.0 / math.pi * math.asin(0.5 * rho)
    return 2.0 / math.pi * math.asin(rho) if kind == "kendall" else rho


# --- the suite -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Finding:
    """One checked promise: what was measured and whether it holds."""

    what: str
    share: Share
    nominal: float
    kept: bool

    def __str__(self) -> str:
        return f"{self.what}: {100 * self.share.share:.1f} % (nominal {100 * self.nominal:g} %)"


def conformance(leaf: shelf.Leaf, *, draws: int = 2000) -> list[Finding]:
    """Everything that a leaf of its shelf must keep.

    Coverage may exceed the nominal value (few values are possible with few units) and fall below it by 2 points;
    false alarms may fall below alpha and exceed it by 2 points; both may deviate by two standard errors of the
    simulation on top.
    """
    given = 1 if leaf.constants.get("GIVEN") else 0
    if "TABLE" in leaf.constants:
        return _shaped(leaf, str(leaf.constants["TABLE"]), draws)
    if leaf.shelf.name == "describe" and "low" not in leaf.columns:
        return []  # counts and shares of what is there promise nothing about other data
    if leaf.shelf.name == "describe":
        cases = [(f"coverage of the mean, n = {n}", sample(n, 0.3), 0.3) for n in (3, 5, 20)]
    elif leaf.shelf.name == "compare":
        cases = [(f"coverage of the effect, n = {n}", pairs(n, 0.5), 0.5) for n in (3, 8, 20)]
    else:
        kind = str(leaf.constants.get("TRUTH", ""))
        cases = [(f"coverage at independence, n = {n}", plane(n, 0.0, given), 0.0) for n in (8, 19)]
        cases += [
            (f"coverage at r = 0.6, n = {n}", plane(n, 0.6, given), population(kind, 0.6)) for n in (8, 19) if kind
        ]
    out = []
    estimate, nominal = bind(leaf), float(leaf.constants.get("COVERS", 0.95))
    for what, draw, truth in cases:
        found = coverage(estimate, draw, truth, draws=draws)
        out.append(Finding(what, found, nominal, found.share >= nominal - 0.02 - 2.0 * found.se))
    if "p" in leaf.columns:
        for n in (6, 12):
            draw = (
                plane(n, 0.0, given)
                if leaf.shelf.name == "correlate"
                else pairs(n, float(leaf.constants.get("NULL", 0.0)))
            )
            found = false_alarms(estimate, draw, draws=draws)
            out.append(Finding(f"false alarms, n = {n}", found, 0.05, found.share <= 0.05 + 0.02 + 2.0 * found.se))
    return out


def _shaped(leaf: shelf.Leaf, table: str, draws: int) -> list[Finding]:
    """The promises of a leaf whose table is neither sample, pairs nor points."""
    out, estimate, draw = [], bind(leaf), panels.draw(table)

    def sized(n: int, effect: float) -> Draw:
        return lambda stream: draw(stream, n, "normal", effect)

    for what, truth in panels.TRUTHS[table].items():
        low, high = leaf.columns.get(what, {}).get("interval", (None, None))
        for n in (5, 20) if low and high else ():
            held = coverage(estimate, sized(n, 0.5), truth(0.5), draws=draws, ends=(low, high))
            kept = held.share >= 0.95 - 0.02 - 2.0 * held.se
            out.append(Finding(f"coverage of {what}, n = {n}", held, 0.95, kept))
    for n in (5, 12) if "p" in leaf.columns else ():
        found = false_alarms(estimate, sized(n, 0.0), draws=draws)
        out.append(Finding(f"false alarms, n = {n}", found, 0.05, found.share <= 0.05 + 0.02 + 2.0 * found.se))
    return out


def refuses(leaf: shelf.Leaf) -> list[str]:
    """Degenerate tables that a leaf answers with a number instead of a refusal; empty if it keeps its word."""
    flat, line = np.ones(6), np.arange(6.0)
    tables: dict[str, Any] = {}
    if "TABLE" in leaf.constants:
        tables = panels.degenerate(str(leaf.constants["TABLE"]))
    elif leaf.shelf.name == "compare":
        tables = {"equal pairs": Pairs(flat, flat), "one pair": Pairs(flat[:1], flat[:1] + 1)}
    elif leaf.shelf.name == "correlate":
        given = line[::-1].reshape(6, 1) ** 2 if leaf.constants.get("GIVEN") else None
        few = given[:2] if given is not None else None
        tables = {
            "constant x": Points(flat, line, given),
            "constant y": Points(line, flat, given),
            "two units": Points(line[:2], line[:2], few),
        }
    elif leaf.shelf.name == "describe":
        tables = {"no value": Sample(flat[:0])}
    wrong = []
    for name, table in tables.items():
        try:
            bind(leaf)(table)
            wrong.append(name)
        except Refusal:
            pass
    return wrong
