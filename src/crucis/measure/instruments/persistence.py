"""Topology of a loss landscape: persistent homology of the sublevel sets of its slices.

A component (H0) is born at a minimum and dies where it meets a deeper one; a loop (H1) is born where a basin closes
around a hill and dies at the hill's top. The length death - birth is in the units of the landscape (nats, or log nats).

Conventions (`complex`): `cells` = grid points are top cells, 8-connected components; `vertices` = grid points are
vertices, 4-connected; `freudenthal` = squares cut by one diagonal, 6-connected. Ripser and GUDHI agree exactly within
a convention, so two stages that differ only in `engine` measure one thing. Ripser in `cells` and `freudenthal` is the
flag complex of the neighbour graph; in `vertices` its H0 is that of the 4-neighbour graph and its H1 comes from the
dual 8-neighbour graph, because that flag complex has no squares.

Values are cast to float32 after the transform; everything from there on is exact. On every slice the Euler identity
must hold exactly and the engine's diagrams must equal those of an independent union-find, or the record is refused.
The null landscape is the quadratic nearest to the slice, sampled on the same grid: what it has of persistence is
aliasing of an anisotropic bowl and no topology. The coarse landscape is every second point of the slice along both
sides: totals that the finer grid changes much are not settled at this resolution.

Invariant under: adding a constant (raw), any increasing map up to its effect on the values; `vertices` and `cells` also
under transposing and flipping a slice.
Cost: about 30 ms per slice of 51 x 51.
Source: as in `numerics/topology`; the certificate is the alternating sum of the filtration's values.
Reference case: (x^2 - 0.25)^2 + y^2 on 51 x 51 points of [-1, 1]^2 has one finite component, which dies at 0.0625.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from ...errors import Refusal
from ...numerics import gudhi_grid, quadratic, ripser_grid
from ...numerics.topology import Complex, Diagrams, entropy, euler_residual, longest, sublevel, surface, total
from ...records import Result
from ..slices import over_slices
from ..specimen import Specimen

REVISION = 2
RANDOM = False
COLUMNS = {
    "h0_total": {"unit": "1", "range": [0, None], "axes": [], "headline": True, "within": "slice"},
    "h1_total": {"unit": "1", "range": [0, None], "axes": [], "headline": True, "within": "slice"},
    "h0_max": {"unit": "1", "range": [0, None], "axes": [], "headline": True, "within": "slice"},
    "h1_max": {"unit": "1", "range": [0, None], "axes": [], "headline": True, "within": "slice"},
    "h0_count": {"unit": "count", "range": [0, None], "axes": [], "headline": True, "within": "slice"},
    "h1_count": {"unit": "count", "range": [0, None], "axes": [], "headline": True, "within": "slice"},
    "h0_entropy": {"unit": "nats", "range": [0, None], "axes": [], "headline": True, "within": "slice"},
    "h1_entropy": {"unit": "nats", "range": [0, None], "axes": [], "headline": True, "within": "slice"},
    "h0_null": {"unit": "1", "range": [0, None], "axes": [], "headline": False, "within": "slice"},
    "h1_null": {"unit": "1", "range": [0, None], "axes": [], "headline": False, "within": "slice"},
    "h0_coarse": {"unit": "1", "range": [0, None], "axes": [], "headline": False, "within": "slice"},
    "h1_coarse": {"unit": "1", "range": [0, None], "axes": [], "headline": False, "within": "slice"},
    "floor": {"unit": "1", "range": [0, None], "axes": [], "headline": False},
    "euler_residual": {"unit": "1", "range": [0, 0], "axes": [], "headline": False},
}
EXAMPLE = {"engine": "gudhi", "complex": "vertices", "noise_floor": 1e-7}
SUBJECT = "loss_landscape"
LIMITS = {"noise_floor": "[0, inf)"}
LANDSCAPE = "landscape.npz"
DIAGRAMS = "diagrams.npz"


def measure(
    specimen: Specimen,
    *,
    engine: Literal["ripser", "gudhi"],
    complex: Literal["cells", "vertices", "freudenthal"],
    transform: Literal["raw", "log"] = "raw",
    noise_floor: float = 0.0,
) -> Result:
    """Persistence of every slice of a `loss_landscape` record, and means over its slices.

    Args:
        engine: who computes the diagrams; the number does not depend on it.
        complex: convention on the grid, see above.
        transform: `log` measures the natural logarithm of the loss, which compares nets of unlike loss scales.
        noise_floor: bars of this length or less are left out of every column, in units of the transformed loss, at
            least 0. The certificate is taken before that. A landscape that was computed in less than float32 has a
            floor of its own, twice its `error` (a bar moves by no more when every value moves by the error; on the
            logarithm twice the error divided by the smallest loss); the higher one counts.

    Returns:
        Per dimension: `total` (sum of lengths), `max` (longest), `count`, `entropy` (nats); means over slices, the
        slices under `NAME@slice`, standard errors over slices. No bar means 0, which is a value. `h0_null`, `h1_null`:
        totals of the null landscapes; `h0_coarse`, `h1_coarse`: of the coarse ones; `floor`: the floor that counted.
        `diagrams.npz`: `h0_SLICE`, `h1_SLICE`, `null_h0_SLICE`, `null_h1_SLICE`, each
        (bars, 2) float32 of (birth, death), before the noise floor.

    Raises:
        Refusal: `inconsistent` if a certificate fails; `out_of_range` if the logarithm of a loss of 0 is asked for;
            `not_finite`, `input_refused`, `not_applicable`.
        CrucisError: the engine is not installed.
    """
    slices = _slices(specimen, transform)
    floor = max(noise_floor, _own_floor(specimen, transform))
    arrays: dict[str, np.ndarray] = {}
    parts: dict[str, list[float]] = {name: [] for name, column in COLUMNS.items() if "within" in column}
    worst = 0.0
    for index, f in enumerate(slices):
        found, null = (_certified(g, engine, complex, f"slice {index}") for g in (f, surface(quadratic.fit(f))))
        worst = max(worst, abs(euler_residual(f, found, complex)))
        for prefix, diagrams in (("", found), ("null_", null)):
            arrays |= {f"{prefix}h0_{index}": diagrams.h0, f"{prefix}h1_{index}": diagrams.h1}
        coarse = _certified(surface(f[::2, ::2]), engine, complex, f"every second point of slice {index}")
        for name, value in _numbers(found.above(floor), null.above(floor), coarse.above(floor)).items():
            parts[name].append(value)
        if specimen.ctx is not None:
            specimen.ctx.beat(slice=index + 1, slices=len(slices))
    values, uncertainty = over_slices(parts)
    files = specimen.save(DIAGRAMS, arrays)
    return Result(values={**values, "floor": floor, "euler_residual": worst}, uncertainty=uncertainty, files=files)


def _slices(specimen: Specimen, transform: str) -> list[np.ndarray]:
    record = specimen.record()
    if not (record.folder / LANDSCAPE).is_file():
        raise Refusal("not_applicable", "works on the record of a loss_landscape; 'of' names something else")
    losses = record.arrays(LANDSCAPE)["losses"]
    if losses.ndim != 3:
        raise Refusal("not_applicable", "works on planes; this landscape has dimensions: 1")
    if transform == "log":
        if not (losses > 0).all():
            raise Refusal(
                "out_of_range", f"the logarithm of a loss of {losses.min():.3g} does not exist; use transform: raw"
            )
        losses = np.log(losses)
    if not np.isfinite(losses).all():
        raise Refusal("not_finite", f"{int((~np.isfinite(losses)).sum())} of {losses.size} points are not finite")
    with np.errstate(over="ignore"):  # what float32 cannot hold is refused, in words
        narrow = losses.astype(np.float32)
    if not np.isfinite(narrow).all():
        raise Refusal("not_finite", f"a loss of {losses.max():.3g} is beyond float32; use transform: log")
    return [surface(values) for values in narrow]


def _own_floor(specimen: Specimen, transform: str) -> float:
    """Twice the largest error of the landscape's values, on the scale on which bars are measured."""
    record = specimen.record()
    error = float(record.values.get("error", 0.0))
    if error == 0.0 or transform == "raw":
        return 2.0 * error
    return 2.0 * error / float(record.arrays(LANDSCAPE)["losses"].min())


def _certified(f: np.ndarray, engine: str, complex: Complex, where: str) -> Diagrams:
    """The engine's diagrams, once the Euler identity and the independent computation agree with them."""
    found = (ripser_grid if engine == "ripser" else gudhi_grid).diagrams(f, complex)
    residual = euler_residual(f, found, complex)
    if residual != 0.0:
        raise Refusal("inconsistent", f"the Euler identity of {engine} in {complex} is off by {residual:.3g}", where)
    if not found.equals(sublevel(f, complex)):
        raise Refusal("inconsistent", f"{engine} in {complex} and the independent union-find differ", where)
    return found


def _numbers(found: Diagrams, null: Diagrams, coarse: Diagrams) -> dict[str, float]:
    out: dict[str, float] = {}
    for name, bars, empty, half in (("h0", found.h0, null.h0, coarse.h0), ("h1", found.h1, null.h1, coarse.h1)):
        out |= {
            f"{name}_total": total(bars),
            f"{name}_max": longest(bars),
            f"{name}_count": len(bars),
            f"{name}_entropy": entropy(bars),
            f"{name}_null": total(empty),
            f"{name}_coarse": total(half),
        }
    return out
