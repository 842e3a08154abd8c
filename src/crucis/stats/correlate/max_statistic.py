"""Spearman's rho of many columns with many targets, corrected jointly: how large is the largest by chance?

One permutation of the units is applied to all columns together, so that whatever columns (or targets) have in common
stays, and the largest |rho| over all pairs is noted. p of a pair is Westfall and Young's step-down: the share of
permutations in which the largest |rho| over this pair and all weaker ones reaches its |rho|, never below that of a
stronger pair. Where columns resemble one another, as total persistences do, this costs far less than Bonferroni.
Where there are not more than `permutations` orders (8 units by default) all are tried and p is exact; else random
orders, (1 + hits) / (1 + permutations).

*What it cannot show.* Units must be exchangeable, so siblings of one family count as independent. The step-down takes
for granted that a true association elsewhere does not change the null of the others (subset pivotality); `p_single`,
which compares with the largest of all pairs, controls the family without it. A pair with a constant column refuses and
is out of the maximum. A unit that lacks any column is out of every pair and named.

Reference case: with one column and one target p is Spearman's exact permutation p.
Source: Westfall and Young (1993), Resampling-Based Multiple Testing, algorithm 2.8; Nichols and Holmes (2002),
doi:10.1002/hbm.1058.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ...errors import Refusal
from .. import ranks
from ..incremental import orders
from ..nested import Index
from ..table import Array, Joint, Points, at_least

REVISION = 1
RANDOM = True
TRUTH = "spearman"  # what it estimates in a bivariate normal, for the conformance suite
EXAMPLE = {"permutations": 199}
JOINT = True  # gets every pair at once and corrects by itself
COLUMNS = {
    "rho": {"unit": "1", "range": [-1, 1], "axes": [], "headline": True, "interval": ["low", "high"]},
    "low": {"unit": "1", "range": [-1, 1], "axes": []},
    "high": {"unit": "1", "range": [-1, 1], "axes": []},
    "p": {"unit": "probability", "range": [0, 1], "axes": [], "headline": True},
    "p_raw": {"unit": "probability", "range": [0, 1], "axes": []},
    "p_single": {"unit": "probability", "range": [0, 1], "axes": []},
    "threshold": {"unit": "1", "range": [0, 1], "axes": []},
    "n": {"unit": "count", "range": [0, None], "axes": []},
    "n_planned": {"unit": "count", "range": [0, None], "axes": []},
    "ties": {"unit": "count", "range": [0, None], "axes": []},
}
LIMITS = {"confidence": "(0, 1)", "permutations": "[99, 1000000]"}
#: Numbers held at once, which bounds memory to about 100 MB.
CHUNK = 4_000_000


def estimate(
    table: Points, stream: np.random.Generator, *, permutations: int = 50_000, confidence: float = 0.95
) -> dict[str, float | None]:
    """One pair of the family that `table.joint` holds; alone, a family of one.

    Args:
        permutations: random orders of the units; all n! orders where those are not more (8 units).
        confidence: of the interval of rho (Fisher's scale, not corrected), in (0, 1).

    Returns:
        rho and its interval, `p` corrected by step-down, `p_single` by the largest of all, `p_raw` by permutation for
        this pair alone; `threshold` is the |rho| above which `p_single` is at most 1 - confidence.

    Raises:
        Refusal: fewer than four units; all x or all y equal.

    Cost: 0.7 s for 50,000 orders of 288 pairs, once for the whole family; a pair alone 50 ms.
    """
    x, y, n = table.x, table.y, len(table.x)
    at_least(n, 4, "units")
    ranks.varied(x, "x")
    ranks.varied(y, "y")
    joint = table.joint or Joint(x[:, None], y[:, None])
    found = family(joint, permutations, int(stream.integers(2**62)), round(1.0 - confidence, 12))
    i, j = (_place(side, column) for side, column in ((joint.x, x), (joint.y, y)))
    rho = float(found.rho[i, j])
    low, high = ranks.fisher_interval(rho, n, "spearman", confidence)
    return {
        "rho": rho, "low": low, "high": high, "p": float(found.p[i, j]), "p_raw": float(found.raw[i, j]),
        "p_single": float(found.single[i, j]), "threshold": found.threshold, "n": n, "ties": ranks.ties(x, y),
    }  # fmt: skip


@dataclass(frozen=True)
class Family:
    """All pairs, (columns, targets) each: coefficients and their p; NaN where a side is constant."""

    rho: Array
    p: Array
    single: Array
    raw: Array
    threshold: float | None


@lru_cache(maxsize=16)
def family(joint: Joint, permutations: int, seed: int, alpha: float) -> Family:
    """The whole family; worked out once, for every pair asks for it with the same seed."""
    x, y = _standard(joint.x), _standard(joint.y)
    rho = np.clip(x.T @ y, -1.0, 1.0)
    known = np.flatnonzero(np.isfinite(rho.ravel()))
    order: Index = known[np.argsort(-np.abs(rho.ravel()[known]), kind="stable")]
    seen = np.abs(rho.ravel()[order]) - 1e-9
    stream = np.random.Generator(np.random.PCG64(seed))
    rows, exact = orders(len(x), permutations, stream)
    extra = 0 if exact else 1
    down, single, raw = (np.zeros(len(order)) for _ in range(3))
    largest = []
    step = max(1, CHUNK // max(1, rho.size))
    for start in range(0, len(rows), step):
        part = rows[start : start + step]
        null = np.abs(np.einsum("kpi,it->pkt", x.T[:, part], y, optimize=True).reshape(len(part), -1)[:, order])
        raw += (null >= seen).sum(axis=0)
        below = np.maximum.accumulate(null[:, ::-1], axis=1)[:, ::-1]  # over this pair and all weaker ones
        down += (below >= seen).sum(axis=0)
        single += (below[:, :1] >= seen).sum(axis=0)
        largest.append(below[:, 0])
    whole = len(rows) + extra
    steps = np.maximum.accumulate((down + extra) / whole)
    maxima = np.concatenate([*largest, np.ones(extra)])
    found = (steps, (single + extra) / whole, (raw + extra) / whole)
    down_, single_, raw_ = (_spread(values, order, rho.shape) for values in found)
    return Family(rho, down_, single_, raw_, _threshold(maxima, alpha))


def _threshold(maxima: Array, alpha: float) -> float | None:
    """Smallest of the maxima that at most a share `alpha` reaches; None if there is none."""
    values, counts = np.unique(np.round(maxima, 9), return_counts=True)
    share = np.cumsum(counts[::-1])[::-1] / len(maxima)
    good = values[share <= alpha * (1 + 1e-12)]
    return float(good[0]) if good.size else None


def _standard(columns: Array) -> Array:
    """Midranks of each column, centred, of length one; NaN for a constant column."""
    out = np.full(columns.shape, np.nan)
    for k, column in enumerate(columns.T):
        try:
            ranks.varied(column, "a column")
        except Refusal:
            continue
        centred = ranks.midranks(column) - 0.5 * (len(column) + 1)
        out[:, k] = centred / np.linalg.norm(centred)
    return out


def _spread(values: Array, order: Index, shape: tuple[int, ...]) -> Array:
    out = np.full(int(np.prod(shape)), np.nan)
    out[order] = values
    return out.reshape(shape)


def _place(columns: Array, column: Array) -> int:
    """Which of the columns this is; equal columns have equal results."""
    return int(np.flatnonzero((columns == column[:, None]).all(axis=0))[0])
