"""What every statistic on the shelves promises, held against data whose truth is known: one case per leaf.

A `Case` says how tables are drawn, what the true value of every interval is, and which p-values must keep their level.
`measure` gives the coverage of every interval of a leaf and the rate of false alarms of its test and of its verdict for
one shape of data and one n. Shapes have mean 0 and deviation 1:

`normal`; `exponential` (skewed values on both sides, so that their differences are symmetric); `heavy` (Student's t
with 3 degrees of freedom, scaled); `discrete` (rounded to halves: ties and zeros, like accuracies on few examples);
`skewed` (the differences themselves are exponential, for comparisons of pairs).

A new leaf of `describe`, `compare` or `correlate` is tried by what its literals tell (`case_of`) or needs an entry
here; the tests say so by name.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

import numpy as np
from scipy import special

from .. import seeds, shelf
from ..errors import Refusal
from ..stats.bootstrap import iqm
from ..stats.table import Array, Blocks, Pairs, Points, Sample
from . import panels

SHAPES = ("normal", "exponential", "heavy", "discrete", "skewed")
Draw = Callable[[np.random.Generator, int, str, float], Any]
Truth = Callable[[str, float], float]
#: The true difference of comparisons (deviation of the differences: 1), and the true correlation of the normal copula.
EFFECT, RHO = 0.5, 0.6
#: Width of the grid of `discrete`.
GRID = 0.5
#: Numbers behind a truth that has no closed form; its error is below 0.003.
MANY = 400_000


def values(stream: np.random.Generator, size: Any, shape: str) -> Array:
    """Independent numbers of mean 0 and deviation 1 (a little more for `discrete`)."""
    if shape in ("exponential", "skewed"):
        return stream.standard_exponential(size) - 1.0
    if shape == "heavy":
        return stream.standard_t(3, size) / math.sqrt(3.0)
    z = stream.standard_normal(size)
    return np.round(z / GRID) * GRID if shape == "discrete" else z


def _grid(x: Array, shape: str) -> Array:
    return np.round(x / GRID) * GRID if shape == "discrete" else x


# --- draws -----------------------------------------------------------------------------------------------------


def pairs(seed_sd: float) -> Draw:
    """n pairs that share a seed effect of deviation `seed_sd`; differences have mean `effect` and deviation 1."""

    def draw(stream: np.random.Generator, n: int, shape: str, effect: float) -> Pairs:
        shared = 10.0 + seed_sd * stream.standard_normal(n)
        if shape == "skewed":
            return Pairs(shared + effect + values(stream, n, shape), shared)
        inner = "normal" if shape == "discrete" else shape
        half = math.sqrt(0.5)
        a, b = (half * values(stream, n, inner) for _ in range(2))
        return Pairs(_grid(shared + effect + a, shape), _grid(shared + b, shape))

    return draw


def blocks(stream: np.random.Generator, n: int, shape: str, effect: float) -> Pairs:
    """n rows of four levels, the first of which is `effect` larger; the first against the second."""
    inner = "normal" if shape in ("discrete", "skewed") else shape
    x = 10.0 + stream.standard_normal((n, 1)) + math.sqrt(0.5) * values(stream, (n, 4), inner)
    x[:, 0] += effect
    if shape == "skewed":
        x[:, 0] = x[:, 1] + effect + values(stream, n, shape)
    x = _grid(x, shape)
    return Pairs(x[:, 0], x[:, 1], blocks=Blocks(x, 0, 1))


def sample(stream: np.random.Generator, n: int, shape: str, effect: float) -> Sample:
    """n values around `effect`."""
    return Sample(effect + values(stream, n, shape))


def plane(given: int) -> Draw:
    """n units whose two values have a normal copula with correlation `effect`, and `given` independent columns."""

    def draw(stream: np.random.Generator, n: int, shape: str, effect: float) -> Points:
        x = stream.standard_normal(n)
        y = effect * x + math.sqrt(1.0 - effect * effect) * stream.standard_normal(n)
        return Points(marginal(x, shape), marginal(y, shape), stream.standard_normal((n, given)) if given else None)

    return draw


def marginal(z: Array, shape: str) -> Array:
    """Normal numbers bent to another shape, order kept."""
    if shape in ("exponential", "skewed"):
        return -np.asarray(special.log_ndtr(-z))
    if shape == "heavy":
        return np.asarray(special.stdtrit(3, special.ndtr(z)))
    return _grid(z, shape)


# --- truths ----------------------------------------------------------------------------------------------------


def _stream(*names: object) -> np.random.Generator:
    return seeds.rng(0, "truth", *map(str, names))


def the_mean(_shape: str, effect: float) -> float:
    """Mean of what is drawn."""
    return effect


def the_centre(shape: str, effect: float) -> float:
    """Median of the average of two differences; for exponential ones half the median of a Gamma(2), less 1."""
    return effect + (0.5 * 1.6783469900166605 - 1.0 if shape == "skewed" else 0.0)


def the_dz(shape: str, effect: float) -> float:
    """Mean difference over the deviation of the differences (rounding adds its own variance to both sides)."""
    return effect / math.sqrt(1.0 + (GRID**2 / 6.0 if shape == "discrete" else 0.0))


def the_g(shape: str, effect: float) -> float:
    """Difference over the deviation of one side."""
    return effect / math.sqrt(0.5 + (GRID**2 / 12.0 if shape == "discrete" else 0.0))


@lru_cache(maxsize=64)
def chance(seed_sd: float, shape: str, effect: float) -> float:
    """P(a > b) + P(a = b) / 2 of any run of one side against any of the other, from `MANY` of each."""
    table = pairs(seed_sd)(_stream("chance", seed_sd, shape), MANY, shape, effect)
    b = np.sort(table.b)
    below, upto = np.searchsorted(b, table.a, "left"), np.searchsorted(b, table.a, "right")
    return float((0.5 * (below + upto)).mean() / MANY)


@lru_cache(maxsize=64)
def moment(name: str, shape: str, effect: float) -> float:
    """A functional of the distribution of one value, from `MANY` of them."""
    x = effect + values(_stream(name, shape), MANY, shape)
    if name == "median":
        return effect + (math.log(2.0) - 1.0) if shape in ("exponential", "skewed") else effect
    if name == "sd":
        return math.sqrt(1.0 + (GRID**2 / 12.0 if shape == "discrete" else 0.0))
    return float(iqm(x[:, None])) if name == "iqm" else float(np.maximum(1.0 - x, 0.0).mean())


@lru_cache(maxsize=64)
def association(kind: str, shape: str, effect: float) -> float:
    """The population coefficient, from `MANY` units."""
    table = plane(0)(_stream(kind, shape), MANY, shape, effect)
    x, y = table.x, table.y
    if kind == "kendall":
        a, b = np.sign(np.diff(x)), np.sign(np.diff(y))
        return float((a @ b) / math.sqrt(float(a @ a) * float(b @ b)))
    if kind == "spearman":
        x, y = (_ranks(v) for v in (x, y))
    return float(np.corrcoef(x, y)[0, 1])


def _ranks(x: Array) -> Array:
    _, inverse, counts = np.unique(x, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(counts) - 0.5 * counts)[inverse])


# --- cases -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    """How a leaf is tried.

    Attributes:
        draw: (stream, n, shape, effect) -> table.
        truths: estimate with an interval -> its true value as a function of shape and effect.
        effect: what is true when coverage is measured; `null`: when false alarms are.
        params: parameters of the leaf besides its defaults.
        shapes: shapes of data that it is tried on; `least`: fewest rows.
        known: (what, n) -> share for normal data where it is not the nominal one; the leaf's docstring says so.
    """

    draw: Draw
    truths: Mapping[str, Truth]
    effect: float = EFFECT
    null: float = 0.0
    params: Mapping[str, Any] = field(default_factory=dict)
    shapes: tuple[str, ...] = SHAPES
    least: int = 3
    known: Mapping[tuple[str, int], float] = field(default_factory=dict)


_UNPAIRED = tuple(shape for shape in SHAPES if shape != "skewed")
_DZ: Mapping[str, Truth] = {"effect": the_mean, "dz": the_dz}


def _correlation(name: str, kind: str, given: int = 0, least: int = 5) -> Case:
    def truth(shape: str, effect: float) -> float:
        return association(kind, shape, effect)

    return Case(plane(given), {name: truth}, RHO, 0.0, shapes=_UNPAIRED, least=least)


def _shaped(table: str, least: int = 3, **params: Any) -> Case:
    truths = {
        name: lambda _shape, effect, truth=truth: float(truth(effect)) for name, truth in panels.TRUTHS[table].items()
    }
    return Case(panels.draw(table, values), truths, params=params, shapes=_UNPAIRED, least=least)


CASES: dict[tuple[str, str], Case] = {
    ("compare", "paired_t"): Case(pairs(2.0), _DZ),
    ("compare", "permutation"): Case(pairs(2.0), _DZ),
    ("compare", "wilcoxon"): Case(pairs(2.0), {"effect": the_centre}),
    ("compare", "equivalence"): Case(pairs(2.0), {"effect": the_mean}, null=1.0, params={"margin": 1.0}),
    ("compare", "rope"): Case(
        pairs(2.0), {"effect": the_centre}, params={"margin": 0.05, "draws": 400},
        known={("verdict", 5): 0.18, ("verdict", 10): 0.145},
    ),
    ("compare", "friedman"): Case(blocks, {"effect": the_centre}),
    ("compare", "welch"): Case(
        pairs(0.0),
        {"effect": the_mean, "g": the_g, "cliff": lambda shape, effect: 2.0 * chance(0.0, shape, effect) - 1.0},
        shapes=_UNPAIRED,
    ),
    ("compare", "aso"): Case(
        pairs(0.0), {"effect": the_mean}, params={"draws": 200}, shapes=_UNPAIRED,
        known={("verdict", 5): 0.11, ("verdict", 10): 0.065},
    ),
    ("compare", "improvement"): Case(
        pairs(0.0), {"effect": lambda shape, effect: chance(0.0, shape, effect)}, shapes=_UNPAIRED
    ),
    ("compare", "kruskal_wallis"): _shaped("groups", draws=199),
    ("describe", "agreement"): _shaped("panel", draws=199),
    ("describe", "trajectory"): _shaped("runs"),
    ("describe", "selection_bias"): _shaped("selection"),
    ("describe", "summary"): Case(
        sample,
        {
            "mean": the_mean,
            "median": lambda shape, effect: moment("median", shape, effect),
            "sd": lambda shape, effect: moment("sd", shape, effect),
        },
        shapes=_UNPAIRED,
    ),
    ("describe", "iqm"): Case(
        sample,
        {
            "iqm": lambda shape, effect: moment("iqm", shape, effect),
            "mean": the_mean,
            "median": the_mean,
            "gap": lambda shape, effect: moment("gap", shape, effect),
        },
        params={"draws": 400}, shapes=_UNPAIRED,
        known={("iqm", 5): 0.895, ("mean", 5): 0.834, ("mean", 10): 0.908,
               ("median", 5): 0.834, ("median", 10): 0.908, ("gap", 5): 0.845, ("gap", 10): 0.908},
    ),
    ("correlate", "pearson"): _correlation("r", "pearson"),
    ("correlate", "spearman"): _correlation("rho", "spearman"),
    ("correlate", "kendall"): _correlation("tau", "kendall"),
    ("correlate", "partial_spearman"): _correlation("rho", "spearman", 1, 6),
}  # fmt: skip


def case_of(home: str, name: str) -> Case | None:
    """The case of a leaf: as written in `CASES`, or what its literals tell of a plain newcomer; None if they do not.

    A correlation that says its `TRUTH` is tried on a normal copula; a comparison whose one interval is that of its
    effect on pairs, with the `EXAMPLE` of its parameters and its `NULL`.
    """
    if (home, name) in CASES:
        return CASES[home, name]
    leaf = shelf.leaf(home, name)
    intervals = [column for column, about in leaf.columns.items() if "interval" in about]
    example = dict(leaf.constants.get("EXAMPLE", {}))
    if home == "correlate" and "TRUTH" in leaf.constants and len(intervals) == 1:
        given = 1 if leaf.constants.get("GIVEN") else 0
        return replace(_correlation(intervals[0], str(leaf.constants["TRUTH"]), given, 5 + given), params=example)
    if home == "compare" and intervals == ["effect"] and "NEUTRAL" not in leaf.constants:
        null = float(leaf.constants.get("NULL", 0.0))
        return Case(pairs(2.0), {"effect": the_mean}, null=null, params=example)
    return None


@dataclass(frozen=True)
class Measured:
    """One promise as it was kept: `what` is an estimate with an interval, `p` or `verdict`; a share of `draws`."""

    home: str
    leaf: str
    what: str
    shape: str
    n: int
    share: float
    nominal: float
    draws: int

    @property
    def se(self) -> float:
        """Monte-Carlo standard error of the share."""
        return math.sqrt(max(self.share * (1.0 - self.share), 0.25 / self.draws) / self.draws)

    @property
    def kept(self) -> bool:
        """No less coverage than nominal less 2 points, no more alarms than nominal plus 2 (and two standard errors)."""
        slack = 0.02 + 2.0 * self.se
        return self.share >= self.nominal - slack if self.what not in ("p", "verdict") else (
            self.share <= self.nominal + slack
        )  # fmt: skip

    def __str__(self) -> str:
        return (
            f"{self.home} {self.leaf}, {self.what}, {self.shape}, n = {self.n}: {100 * self.share:.1f} % "
            f"+- {100 * self.se:.1f} (nominal {100 * self.nominal:g} %)"
        )


def measure(home: str, name: str, shape: str, n: int, draws: int) -> list[Measured]:
    """Coverage of every interval of a leaf, and the false-alarm rates of its p and of its verdict.

    A table that the leaf refuses (all differences equal, say) is drawn again. Cost: 2 * draws calls.

    Raises:
        LookupError: the leaf has no case.
    """
    case, leaf = case_of(home, name), shelf.leaf(home, name)
    if case is None:
        raise LookupError(f"no case for {home}/{name}; add one to crucis.testing.simulation.CASES")
    out = []
    rows = list(_outcomes(leaf, case, shape, n, case.effect, draws))
    for what, truth in case.truths.items():
        low, high = leaf.columns[what]["interval"]
        value = truth(shape, case.effect)
        hits = sum(_inside(row[low], row[high], value) for row in rows)
        out.append(Measured(home, name, what, shape, n, hits / draws, 0.95, draws))
    if "p" in leaf.columns or "better" in leaf.columns:
        rows = list(_outcomes(leaf, case, shape, n, case.null, draws))
        if "p" in leaf.columns:
            out.append(_alarms(home, name, "p", shape, n, [row["p"] <= 0.05 for row in rows]))
        if "better" in leaf.columns and case.null == 0.0:
            out.append(_alarms(home, name, "verdict", shape, n, [bool(row["better"] + row["worse"]) for row in rows]))
    return out


def _inside(low: float | None, high: float | None, value: float) -> bool:
    slack = 1e-9 * max(1.0, abs(value))  # an end that is the truth itself holds it
    return (low is None or low <= value + slack) and (high is None or value - slack <= high)


def _alarms(home: str, name: str, what: str, shape: str, n: int, alarms: list[bool]) -> Measured:
    return Measured(home, name, what, shape, n, sum(alarms) / len(alarms), 0.05, len(alarms))


def _outcomes(leaf: shelf.Leaf, case: Case, shape: str, n: int, effect: float, draws: int) -> Any:
    function = shelf.load(leaf)
    stream = seeds.rng(0, "simulation", leaf.name, shape, n, str(effect))
    own = (seeds.rng(0, "simulation of", leaf.name),) if leaf.random else ()
    refused = 0
    for _ in range(draws):
        while True:
            try:
                yield function(case.draw(stream, n, shape, effect), *own, **case.params)
                break
            except Refusal:
                refused += 1
                if refused > 2 * draws:
                    raise
