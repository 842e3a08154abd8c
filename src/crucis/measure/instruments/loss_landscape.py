"""The loss around a trained network, on planes (or lines) through its weights.

losses[s, i, j] = mean cross-entropy (nats) at theta + coordinates[i] d1_s + coordinates[j] d2_s. `directions` says what
d1 and d2 are:

- `filter`: two fresh Gaussian directions for every slice s, each filter with the norm of the network's own; `raw`:
  the same without that. Biases and normalisation parameters stay.
- `hessian`: slice s spans the eigenvectors 2s and 2s + 1 of the Hessian of the same loss, ordered by eigenvalue from
  the largest, scaled to the norm of the weights.
- `solutions`: `of` names `start` and `end`; (0, 0) is the one and (1, 0) the other, and (0, 1) is `third` if a third
  network is named, else one filter-normalised Gaussian direction for every slice. Everything moves here, biases and
  running statistics too, and coordinates run from 0.5 - span to 0.5 + span.

With `dimensions: 1` there is only d1.

The examples are a fixed subset of the TRAINING split of the network's own task (its view applied): the same for every
network and every seed. Every point is written from theta itself, on a copy of the network, so nothing accumulates and
the network is never touched. On an odd grid the middle is the trained point and equals `surface.centre_loss` bit for
bit (for `solutions`, networks lie on the grid if 0 and 1 are among the coordinates: span 1 and a grid of 4k + 1).
Frozen batch normalisation is folded into the layer before it where logits agree to 1e-4 of the largest; the losses
then differ from the unfolded ones by rounding (order 1e-6 relative), which `notes.deviation` records at the centre.
On a CPU convolutions take the additions and ReLUs after them along where the graph of the network is understood and
logits agree to 1e-5. On a GPU, with frozen statistics, the points of a row go through the network several at once, as
many as its shapes and 1 GiB allow (not for `solutions`). `notes.forward` says which path ran.

`bf16` computes the forward pass in bfloat16 and records as `error` how far the losses of up to 50 points of the grid,
drawn from the seed, are from their float32 values at most; `persistence` leaves out bars shorter than twice that. On a
processor without instructions for bfloat16 it is slower than float32, and `crucis plan` says so.

A point whose loss is NaN or infinite stays so in `landscape.npz` and is counted in `not_finite`. The record is kept,
since the picture shows where the holes are, but `range` and `roughness` (and `centre`, if it is one of them) are left
out: a table reads them as refused, and `persistence` refuses the whole.

Invariant under: the batch size (1e-6 relative; not for `batch_norm: batch`, where it is part of the definition), the
order of points, interruption, and (with `filter`) rescaling a filter that the next layer undoes.
Cost: slices x grid^dimensions passes over `images` examples; `recalibrated` twice that; `hessian` some hundred passes
more for each slice.
Source: H. Li, Z. Xu, G. Taylor, C. Studer, T. Goldstein, Visualizing the loss landscape of neural nets, 2018
(arXiv:1712.09913); planes through networks: T. Garipov et al., 2018 (arXiv:1802.10026).
Reference case: for a loss quadratic in the weights each slice is the quadratic form d1'Hd1, d1'Hd2, d2'Hd2.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ... import seeds
from ...errors import Refusal, Stopped
from ...numerics.quadratic import roughness
from ...records import Context, Result
from ..evaluate import Batch, batches, evaluating, losses
from ..looks import Look, around, through
from ..slices import over_slices
from ..specimen import Specimen

REVISION = 3
RANDOM = True
COLUMNS = {
    "centre": {"unit": "nats", "range": [0, None], "axes": [], "headline": True},
    "range": {"unit": "nats", "range": [0, None], "axes": [], "headline": True, "within": "slice"},
    "roughness": {"unit": "1", "range": [0, 1], "axes": [], "headline": True, "within": "slice"},
    "error": {"unit": "nats", "range": [0, None], "axes": [], "headline": False},
    "not_finite": {"unit": "count", "range": [0, None], "axes": [], "headline": False},
    "images": {"unit": "count", "range": [1, None], "axes": [], "headline": False},
}
AXES = {"slice": "slices"}
EXAMPLE = {"grid": 5, "slices": 2, "images": 32}
LIMITS = {
    "dimensions": "[1, 2]",
    "grid": "[3, 1001]",
    "slices": "[1, 1000]",
    "span": "(0, 1000]",
    "images": "[1, 10000000]",
    "batch": "[1, 1000000]",
}
LANDSCAPE = "landscape.npz"
ROWS = "rows.npz"
_SAMPLED = 50  # points at which bf16 is held against float32


def measure(
    specimen: Specimen,
    *,
    grid: int = 51,
    slices: int = 5,
    span: float = 1.0,
    images: int = 1000,
    directions: Literal["filter", "raw", "hessian", "solutions"] = "filter",
    dimensions: int = 2,
    batch_norm: Literal["frozen", "batch", "recalibrated"] = "frozen",
    precision: Literal["fp32", "bf16"] = "fp32",
    batch: int = 128,
) -> Result:
    """Sample the loss on `slices` planes of `grid` x `grid` points, or on as many lines of `grid` points.

    Args:
        grid: points along each direction, at least 3; odd puts the trained point on the grid.
        slices: independent planes; more of them keep the earlier ones. A plane through three networks is one slice.
        span: half-width in units of the direction; coordinates run from -span to span (`solutions`: around 0.5).
        images: training examples; all of them if there are fewer (the column `images` says how many).
        directions: where the axes come from, see above.
        dimensions: 2 for planes, 1 for lines.
        batch_norm: statistics are `frozen`, those of each `batch`, or `recalibrated` at each point.
        precision: of the forward pass; `fp32` unless asked for (`solutions`: always).
        batch: examples at once.

    Returns:
        `centre` (loss of the network), `range` (largest - smallest loss) and `roughness` (root mean square distance
        from the nearest quadratic, as a share of the range) as means over slices with their parts; `error` (0 in
        float32). `landscape.npz`: `losses` (slices, grid, grid) or (slices, grid) float64, `coordinates` (grid,),
        `norms` (slices, 2), `cosines` (slices,) of the two directions, `theta_norm` (), `index` (images,) into the
        training split, and for `hessian` the `eigenvalues` (slices, dimensions).

    Raises:
        Refusal: `not_applicable`, `too_few`, `degenerate` if a slice is constant, `unsupported` for `hessian` on a
            network without second derivatives.
        Stopped: asked to; finished rows are kept in `scratch` and the next attempt goes on from them, bit-equal.
    """
    model, data = specimen.network()
    index = subset(len(data.train), images)
    parts = batches(data.train.take(index), data.mean, data.std, batch=batch, device=specimen.device)
    if directions == "solutions":
        centre, theta_norm, looks = through(specimen, parts, slices, dimensions, batch_norm, precision)
        coordinates = 0.5 + places(grid, span)
    else:
        centre, theta_norm, looks = around(specimen, parts, directions, slices, dimensions, batch_norm, precision)
        coordinates = places(grid, span)
    shape = (slices, grid, grid if dimensions == 2 else 1)
    rows = Rows(specimen.ctx, shape, centre)
    norms, cosines, eigenvalues, errors, folded, path = np.zeros((slices, 2)), np.zeros(slices), [], [], 0, ""
    for s, look in enumerate(looks):
        norms[s], cosines[s], folded, path = look.norms, look.cosine, look.folded, look.path
        eigenvalues.append(look.eigenvalues)
        scan(look.along, coordinates, rows, s, coordinates if dimensions == 2 else np.zeros(1))
        errors.append(_error(look, coordinates, rows.losses[s], specimen.seed, s))
    found = rows.losses if dimensions == 2 else rows.losses[:, :, 0]
    arrays = {
        "losses": found,
        "coordinates": coordinates,
        "norms": norms,
        "cosines": cosines,
        "theta_norm": np.asarray(theta_norm),
        "index": index,
        **({"eigenvalues": np.array(eigenvalues)} if directions == "hessian" else {}),
    }
    files = specimen.save(LANDSCAPE, arrays)
    exact = batch_norm == "frozen" and precision == "fp32" and directions != "solutions"
    notes = {"folded": folded, "forward": path}
    notes |= {"deviation": _deviation(model, parts, centre) if exact else None, "examples": "train"}
    return _result(found, centre, len(index), max(errors), files, notes)


def subset(size: int, images: int) -> np.ndarray:
    """Indices of the evaluation set, ascending: the same for every network and seed; larger sets contain smaller."""
    return np.sort(seeds.rng(0, "measure", "landscape", "images").permutation(size)[:images])


def places(grid: int, span: float) -> np.ndarray:
    """Coordinates from -span to span, exactly symmetric; the middle one of an odd number is exactly 0."""
    half = (grid - 1) / 2
    return span * ((np.arange(grid) - half) / half)


def scan(
    along: Callable[[Sequence[tuple[float, float]]], Sequence[float]],
    coordinates: np.ndarray,
    rows: Rows,
    s: int,
    across: np.ndarray | None = None,
) -> None:
    """Fill slice `s` row by row, skipping rows that an earlier attempt has finished.

    Args:
        along: places (a, b) to the losses there.
        coordinates: (grid,).
        rows: where losses go.
        s: index of the slice.
        across: coordinates along the second direction; those of the first if left out.
    """
    across = coordinates if across is None else across
    for i, a in enumerate(coordinates):
        if rows.done[s, i]:
            continue
        rows.pause(s, i)
        rows.losses[s, i] = along([(float(a), float(b)) for b in across])
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


def _error(look: Look, coordinates: np.ndarray, found: np.ndarray, seed: int, s: int) -> float:
    """Largest distance from the float32 losses over some points of the slice; 0 where the slice is float32 itself.

    A point at which only one of the two is finite makes the error infinite, and the caller refuses.
    """
    if look.exact is None:
        return 0.0
    chosen = seeds.rng(seed, "measure", "landscape", "error", s).permutation(found.size)[:_SAMPLED]
    worst = 0.0
    for flat in chosen:
        i, j = divmod(int(flat), found.shape[1])
        exact = look.exact(float(coordinates[i]), float(coordinates[j]) if found.shape[1] > 1 else 0.0)
        if math.isfinite(exact) != math.isfinite(found[i, j]):
            raise Refusal("unsupported", "a point has a finite loss in only one of bf16 and fp32; use fp32")
        if math.isfinite(exact):
            worst = max(worst, abs(exact - float(found[i, j])))
    return worst


def _deviation(model: Any, parts: list[Batch], centre: float) -> float | None:
    """Distance of the centre from the plain loss of the network."""
    with evaluating(model):
        plain = losses(model, parts)[0]
    return abs(plain - centre) if math.isfinite(plain) and math.isfinite(centre) else None


def _result(
    found: np.ndarray, centre: float, count: int, error: float, files: dict[str, str], notes: dict[str, Any]
) -> Result:
    holes = int((~np.isfinite(found)).sum())
    known: dict[str, Any] = {"not_finite": holes, "images": count, "error": error}
    known |= {"centre": centre} if math.isfinite(centre) else {}
    if holes:
        text = f"{holes} of {found.size} points have no finite loss; they stand as they are in {LANDSCAPE}"
        return Result(values=known, files=files, notes={**notes, "not_finite": text})
    if any(float(np.ptp(slice_)) == 0.0 for slice_ in found):
        raise Refusal("degenerate", "a slice is constant: no direction changes the loss")
    parts = {"range": [float(np.ptp(f)) for f in found], "roughness": [roughness(f) for f in found]}
    values, uncertainty = over_slices(parts)
    return Result(values={**values, **known}, uncertainty=uncertainty, files=files, notes=notes)
