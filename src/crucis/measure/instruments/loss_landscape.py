"""The loss around a trained network, on random planes through its weights.

losses[s, i, j] = mean cross-entropy (nats) at theta + coordinates[i] d1_s + coordinates[j] d2_s, with two fresh
Gaussian directions for every slice s, filter-normalised unless said otherwise; biases and normalisation parameters
stay.

The examples are a fixed subset of the TRAINING split of the network's own task (its view applied): the same for every
network and every seed. Every point is written from theta itself, on a copy of the network, so nothing accumulates and
the network is never touched. On an odd grid the middle is the trained point and equals `surface.centre_loss` bit for
bit. Frozen batch normalisation is folded into the layer before it where logits agree to 1e-4 of the largest; the losses
then differ from the unfolded ones by rounding (order 1e-6 relative), which `notes.deviation` records at the centre.

A point whose loss is NaN or infinite stays so in `landscape.npz` and is counted in `not_finite`. The record is kept,
since the picture shows where the holes are, but `range` and `roughness` (and `centre`, if it is one of them) are left
out: a table reads them as refused, and `persistence` refuses the whole.

Invariant under: the batch size (1e-6 relative; not for `batch_norm: batch`, where it is part of the definition), the
order of points, interruption, and (with `filter`) rescaling a filter that the next layer undoes.
Cost: slices x grid^2 passes over `images` examples; `recalibrated` twice that.
Source: H. Li, Z. Xu, G. Taylor, C. Studer, T. Goldstein, Visualizing the loss landscape of neural nets, 2018
(arXiv:1712.09913).
Reference case: for a loss quadratic in the weights each slice is the quadratic form d1'Hd1, d1'Hd2, d2'Hd2.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ... import seeds, streams
from ...errors import Refusal, Stopped
from ...numerics.quadratic import roughness
from ...records import Context, Result
from ..directions import cosine, draw, norm
from ..evaluate import Batch, batches, evaluating, losses
from ..slices import over_slices
from ..specimen import Specimen
from ..surface import Surface

REVISION = 1
RANDOM = True
COLUMNS = {
    "centre": {"unit": "nats", "range": [0, None], "axes": [], "headline": True},
    "range": {"unit": "nats", "range": [0, None], "axes": [], "headline": True, "within": "slice"},
    "roughness": {"unit": "1", "range": [0, 1], "axes": [], "headline": True, "within": "slice"},
    "not_finite": {"unit": "count", "range": [0, None], "axes": [], "headline": False},
    "images": {"unit": "count", "range": [1, None], "axes": [], "headline": False},
}
AXES = {"slice": "slices"}
EXAMPLE = {"grid": 5, "slices": 2, "images": 32}
LIMITS = {
    "grid": "[3, 1001]",
    "slices": "[1, 1000]",
    "span": "(0, 1000]",
    "images": "[1, 10000000]",
    "batch": "[1, 1000000]",
}
LANDSCAPE = "landscape.npz"
ROWS = "rows.npz"


def measure(
    specimen: Specimen,
    *,
    grid: int = 51,
    slices: int = 5,
    span: float = 1.0,
    images: int = 1000,
    directions: Literal["filter", "raw"] = "filter",
    batch_norm: Literal["frozen", "batch", "recalibrated"] = "frozen",
    precision: Literal["fp32"] = "fp32",
    batch: int = 128,
) -> Result:
    """Sample the loss on `slices` planes of `grid` x `grid` points.

    Args:
        grid: points along each direction, at least 3; odd puts the trained point on the grid.
        slices: independent planes; more of them keep the earlier ones.
        span: half-width in units of the direction; coordinates run from -span to span.
        images: training examples; all of them if there are fewer (the column `images` says how many).
        directions: `filter` gives each filter of a direction the norm of the network's; `raw` is standard normal.
        batch_norm: statistics are `frozen`, those of each `batch`, or `recalibrated` at each point.
        precision: float32 throughout.
        batch: examples at once.

    Returns:
        `centre` (loss of the network), `range` (largest - smallest loss) and `roughness` (root mean square distance
        from the nearest quadratic, as a share of the range) as means over slices with their parts. `landscape.npz`:
        `losses` (slices, grid, grid) float64, `coordinates` (grid,), `norms` (slices, 2), `cosines` (slices,) of the
        two directions, `theta_norm` (), `index` (images,) into the training split. With points that are not finite,
        see above.

    Raises:
        Refusal: `not_applicable`, `too_few`, `degenerate` if a slice is constant.
        Stopped: asked to; finished rows are kept in `scratch` and the next attempt goes on from them, bit-equal.
    """
    del precision  # one value so far; it is part of the step's identity
    model, data = specimen.network()
    index = subset(len(data.train), images)
    parts = batches(data.train.take(index), data.mean, data.std, batch=batch, device=specimen.device)
    surface = Surface(model, parts, batch_norm=batch_norm)
    if directions == "filter" and norm(surface.theta) == 0.0:
        raise Refusal("degenerate", "all weights are zero, so no filter-normalised direction has a length")
    centre = surface.loss()
    coordinates = places(grid, span)
    rows = Rows(specimen.ctx, (slices, grid, grid), centre)
    norms, cosines = np.zeros((slices, 2)), np.zeros(slices)
    for s in range(slices):
        pair = [
            draw(
                surface.theta,
                streams.generator(specimen.seed, "measure", specimen.depth, "landscape", s, axis),
                directions,
            )
            for axis in range(2)
        ]
        norms[s], cosines[s] = [norm(d) for d in pair], cosine(*pair)
        scan(surface.plane(*pair).place, surface.loss, coordinates, rows, s)
    arrays = {
        "losses": rows.losses,
        "coordinates": coordinates,
        "norms": norms,
        "cosines": cosines,
        "theta_norm": np.asarray(norm(surface.theta)),
        "index": index,
    }
    files = specimen.save(LANDSCAPE, arrays)
    notes = {"folded": surface.folded, "deviation": _deviation(model, parts, centre, batch_norm), "examples": "train"}
    return _result(rows.losses, centre, len(index), files, notes)


def subset(size: int, images: int) -> np.ndarray:
    """Indices of the evaluation set, ascending: the same for every network and seed; larger sets contain smaller."""
    return np.sort(seeds.rng(0, "measure", "landscape", "images").permutation(size)[:images])


def places(grid: int, span: float) -> np.ndarray:
    """Coordinates from -span to span, exactly symmetric; the middle one of an odd number is exactly 0."""
    half = (grid - 1) / 2
    return span * ((np.arange(grid) - half) / half)


def scan(
    place: Callable[[float, float], None], loss: Callable[[], float], coordinates: np.ndarray, rows: Rows, s: int
) -> None:
    """Fill slice `s` row by row, skipping rows that an earlier attempt has finished.

    Args:
        place: moves the network to (a, b).
        loss: the loss there.
        coordinates: (grid,).
        rows: where losses go.
        s: index of the slice.
    """
    for i, a in enumerate(coordinates):
        if rows.done[s, i]:
            continue
        rows.pause(s, i)
        for j, b in enumerate(coordinates):
            place(float(a), float(b))
            rows.losses[s, i, j] = loss()
        rows.finish(s, i)


class Rows:
    """Finished rows of a landscape, kept in the step's scratch folder.

    Rows of an attempt whose centre has other bits (another machine, another library) are not continued.

    Attributes:
        losses: (slices, grid, grid) float64; NaN where nothing was evaluated yet.
        done: (slices, grid) bool.
    """

    def __init__(self, ctx: Context | None, shape: tuple[int, int, int], centre: float) -> None:
        self._ctx, self._centre = ctx, np.float64(centre)
        self.losses, self.done = np.full(shape, np.nan), np.zeros(shape[:2], dtype=bool)
        if ctx is None or not (ctx.scratch / ROWS).is_file():
            return
        with np.load(ctx.scratch / ROWS, allow_pickle=False) as kept:
            if kept["losses"].shape == shape and kept["centre"].tobytes() == self._centre.tobytes():
                self.losses, self.done = kept["losses"], kept["done"]

    def pause(self, s: int, i: int) -> None:
        """Say that work goes on, or stop if that is wanted."""
        if self._ctx is None:
            return
        if self._ctx.stopping():
            raise Stopped(f"the landscape stops before row {i} of slice {s}; finished rows are kept")
        self._ctx.beat(row=int(self.done.sum()), rows=self.done.size)

    def finish(self, s: int, i: int) -> None:
        """Mark a row as finished and keep it; the file is replaced whole or not at all."""
        self.done[s, i] = True
        if self._ctx is not None:
            aside: Path = self._ctx.scratch / f".{ROWS}"
            with aside.open("wb") as file:
                np.savez(file, losses=self.losses, done=self.done, centre=self._centre)
            aside.replace(self._ctx.scratch / ROWS)


def _deviation(model: Any, parts: list[Batch], centre: float, batch_norm: str) -> float | None:
    """Distance of the centre from the plain loss of the network, where both mean the same."""
    if batch_norm != "frozen":
        return None
    with evaluating(model):
        plain = losses(model, parts)[0]
    return abs(plain - centre) if math.isfinite(plain) and math.isfinite(centre) else None


def _result(found: np.ndarray, centre: float, count: int, files: dict[str, str], notes: dict[str, Any]) -> Result:
    holes = int((~np.isfinite(found)).sum())
    known: dict[str, Any] = {"not_finite": holes, "images": count}
    known |= {"centre": centre} if math.isfinite(centre) else {}
    if holes:
        text = f"{holes} of {found.size} points have no finite loss; they stand as they are in {LANDSCAPE}"
        return Result(values=known, files=files, notes={**notes, "not_finite": text})
    if (found.min(axis=(1, 2)) == found.max(axis=(1, 2))).any():
        raise Refusal("degenerate", "a slice is constant: no direction changes the loss")
    parts = {"range": [float(np.ptp(f)) for f in found], "roughness": [roughness(f) for f in found]}
    values, uncertainty = over_slices(parts)
    return Result(values={**values, **known}, uncertainty=uncertainty, files=files, notes=notes)
