"""Permutation importance of each component in a random forest, cross-fitted by block (seed).

For every block a forest is fitted to the runs of the other blocks (values less their block's mean, so that a good seed
is no signal) and asked for the block left out; the importance is by how much its mean absolute error there grows when
the component's states are shuffled among the runs, averaged over `repeats` shuffles. It has no sign, and for an
additive component it is near half of the absolute main effect. Below 0: the component helps no prediction. Interval:
Student's t over blocks, which share most of their training data, so it is a description and no test; there is no p.

Reference case: one component worth 1 and one worth nothing, no noise: about 0.5 and 0.
Source: Breiman (2001), doi:10.1023/A:1010933404324; Fisher, Rudin, Dominici (2019), JMLR 20:177.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from ...errors import Refusal
from .. import contrast
from ..table import Array, Design, at_least

REVISION = 1
RANDOM = True
COLUMNS = {
    "importance": {"unit": "same", "range": [None, None], "axes": [], "headline": True,
                   "interval": ["importance_low", "importance_high"]},
    "importance_low": {"unit": "same", "range": [None, None], "axes": []},
    "importance_high": {"unit": "same", "range": [None, None], "axes": []},
    "error": {"unit": "same", "range": [0, None], "axes": []},
    "n": {"unit": "count", "range": [0, None], "axes": []},
    "n_planned": {"unit": "count", "range": [0, None], "axes": []},
}  # fmt: skip
LIMITS = {"confidence": "(0, 1)", "trees": "[1, 10_000]", "repeats": "[1, 10_000]"}


def estimate(
    table: Design, stream: np.random.Generator, *, confidence: float = 0.95, trees: int = 100, repeats: int = 20
) -> dict[str, float | None]:
    """The importance of one component with its interval; `error` is the mean absolute error on blocks left out.

    Args:
        table: blocks of runs, `focus` on one component.
        stream: for the forests and the shuffles.
        confidence: of the interval, in (0, 1).
        trees: per forest.
        repeats: shuffles per block and component.

    Raises:
        Refusal: fewer than three blocks; all values of every block equal.

    Cost: one forest per block; 0.15 s each for 32 runs of 5 blocks.
    """
    at_least(len(table.y), 3, "blocks (seeds)")
    y = table.y - table.y.mean(axis=1, keepdims=True)
    if float(np.abs(y).max()) == 0.0:
        raise Refusal("degenerate", "within every block all values are equal")
    seed = int(stream.integers(2**31))
    shape = (*y.shape, table.coded.shape[1])
    found, errors = _importances(y.tobytes(), table.coded.tobytes(), shape, seed, trees, repeats)
    mine = Design(found, np.eye(shape[2]), table.names, table.focus)
    one = np.eye(shape[2])[table.focus[0]]
    middle, low, high = contrast.reach(mine, one, confidence)
    return {
        "importance": middle, "importance_low": low, "importance_high": high, "error": float(errors.mean()),
        "n": len(y),
    }  # fmt: skip


@lru_cache(maxsize=4)  # the components of one table ask for the same forests
def _importances(
    values: bytes, codes: bytes, shape: tuple[int, int, int], seed: int, trees: int, repeats: int
) -> tuple[Array, Array]:
    """Importance (blocks, components) and error (blocks,), each block predicted by a forest of the others."""
    from sklearn.ensemble import RandomForestRegressor
    from sklearn.inspection import permutation_importance

    blocks, runs, components = shape
    y = np.frombuffer(values).reshape(blocks, runs)
    coded = np.frombuffer(codes).reshape(runs, components)
    out, errors = np.empty((blocks, components)), np.empty(blocks)
    for block in range(blocks):
        rest = np.delete(y, block, axis=0)
        forest = RandomForestRegressor(n_estimators=trees, random_state=seed + block)
        forest.fit(np.tile(coded, (blocks - 1, 1)), rest.ravel())
        errors[block] = float(np.abs(forest.predict(coded) - y[block]).mean())
        out[block] = permutation_importance(
            forest, coded, y[block], scoring="neg_mean_absolute_error", n_repeats=repeats, random_state=seed + block
        ).importances_mean
    return out, errors
