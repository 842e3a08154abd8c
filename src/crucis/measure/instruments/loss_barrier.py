"""How high the loss rises on the straight line between two networks.

height = largest excess of the loss at (1 - t) start + t end over the baseline, t from 0 to 1 with both ends: the chord
between the losses of the ends, or the higher one of them. The ends exceed the chord by nothing, so a convex path has
the height 0; excess, the mean of loss minus chord over the line, tells such paths apart (negative: convex). Over a
pooled input (seeds, say) it is the mean over all pairs; pairs share networks, so their standard
error is a guide only.

The examples are a fixed subset of the TRAINING split of `start` (pooled: of the first network), the one on which
landscapes are sampled. From a first to a second task the height is thus that of the first task's loss. Running
statistics of batch normalisation are mixed like weights (`frozen`), or estimated anew at each point (`recalibrated`),
which removes the collapse of variance between networks that were trained apart.

Invariant under: the batch size (rounding), swapping the ends (`at` becomes 1 - `at`). Not invariant under permuting
hidden units of one network.
Cost: pairs x points passes over `images` examples; `recalibrated` twice that.
Source: J. Frankle, G. K. Dziugaite, D. M. Roy, M. Carbin, 2020 (arXiv:1912.05671); statistics: K. Jordan et al., 2022
(arXiv:2211.08403).
Reference case: for the loss (x^2 - 1)^2 the height between -1 and 1 is 1, at 1/2.
"""

from __future__ import annotations

import math
from itertools import combinations
from typing import Literal

import numpy as np

from ...errors import Refusal
from ...numerics.barriers import barrier
from ...numerics.curves import mean_height
from ...numerics.hutchinson import Estimate
from ...records import Result
from ..evaluate import batches
from ..pulse import pulse
from ..segment import Segment
from ..specimen import Specimen
from .loss_landscape import subset

REVISION = 1
COLUMNS = {
    "height": {"unit": "nats", "range": [0, None], "axes": [], "headline": True},
    "excess": {"unit": "nats", "range": [None, None], "axes": [], "headline": True},
    "at": {"unit": "fraction", "range": [0, 1], "axes": [], "headline": False},
    "distance": {"unit": "1", "range": [0, None], "axes": [], "headline": False},
    "pairs": {"unit": "count", "range": [1, None], "axes": [], "headline": False},
    "images": {"unit": "count", "range": [1, None], "axes": [], "headline": False},
}
EXAMPLE = {"points": 5, "images": 32}
LIMITS = {"points": "[3, 100001]", "images": "[1, 10000000]", "batch": "[1, 1000000]"}
MODELS = ["start", "end"]
PATHS = "barrier.npz"


def measure(
    specimen: Specimen,
    *,
    points: int = 25,
    images: int = 1000,
    baseline: Literal["chord", "highest"] = "chord",
    batch_norm: Literal["frozen", "recalibrated"] = "frozen",
    batch: int = 128,
) -> Result:
    """Height of the barrier between `start` and `end`, or between all pairs of a pooled `of`.

    Args:
        points: places on the line, both ends included, at least 3; an odd number has the middle among them.
        images: training examples; all of them if there are fewer (the column `images` says how many).
        baseline: what the loss is compared with: the `chord` between the ends, or the `highest` end.
        batch_norm: running statistics are `frozen` (mixed like weights) or `recalibrated` at each point.
        batch: examples at once; changes nothing beyond rounding.

    Returns:
        `height` and `excess` (nats), `at` (t in [0, 1]; 0 if nothing rises) and `distance` (Euclidean, between the
        parameters), means over pairs. `barrier.npz`: `places` (points,), `losses` (pairs, points), `pairs` (pairs, 2)
        as indices into the pool, `distances` (pairs,).

    Raises:
        Refusal: `not_applicable` for networks of different shapes or a subject of another kind, `too_few`,
            `not_finite` if a loss on the line is not finite.
        Stopped: asked to; the measurement starts again next time.
    """
    models, data = specimen.several()
    index = subset(len(data.train), images)
    parts = batches(data.train.take(index), data.mean, data.std, batch=batch, device=specimen.device)
    places, pairs = np.linspace(0.0, 1.0, points), list(combinations(range(len(models)), 2))
    found, distances, tick = np.zeros((len(pairs), points)), [], pulse(specimen.ctx)
    for row, (a, b) in zip(found, pairs, strict=True):
        segment = Segment(models[a], models[b], parts, batch_norm=batch_norm)
        distances.append(segment.distance)
        for k, t in enumerate(places):
            segment.place(float(t))
            row[k] = segment.loss()
            tick()
    if not np.isfinite(found).all() or not all(map(math.isfinite, distances)):
        raise Refusal("not_finite", f"{int((~np.isfinite(found)).sum())} of {found.size} losses are not finite")
    heights, at = zip(*(barrier(places.tolist(), row.tolist(), baseline) for row in found), strict=True)
    excess = [mean_height(places.tolist(), row.tolist(), 1.0) - (row[0] + row[-1]) / 2 for row in found]
    values: dict[str, float] = {"pairs": len(pairs), "images": len(index)}
    uncertainty = {}
    for name, column in (("height", heights), ("excess", excess), ("at", at), ("distance", distances)):
        estimate = Estimate.of(column)
        values[name] = estimate.value
        if estimate.se is not None:
            uncertainty[name] = {"se": estimate.se, "n": estimate.n, "kind": "pairs"}
    arrays = {"places": places, "losses": found, "pairs": np.array(pairs), "distances": np.array(distances)}
    return Result(
        values=values, uncertainty=uncertainty, files=specimen.save(PATHS, arrays), notes={"examples": "train"}
    )
