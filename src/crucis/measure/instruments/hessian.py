"""Curvature of the training loss at the network's weights: trace, largest and smallest eigenvalue of the Hessian.

The Hessian is that of the mean cross-entropy over a fixed subset of the TRAINING split (the one on which landscapes
are sampled), over all trained parameters, batch normalisation frozen and dropout off. It is only ever multiplied with
vectors. The trace is the mean over a fixed number of random sign probes with its standard error; that error is of the
probes, not of the choice of images. The ends of the spectrum come from Lanczos with full reorthogonalisation, which
finds them by value, not by magnitude; `residual` bounds how far each is from an eigenvalue.

Invariant under: the batch size (rounding). Not invariant under rescaling of weights that leaves the function alone.
Cost: (probes + at most steps + 2) products; one costs about three passes forward and backward over `images`.
Source: trace: M. F. Hutchinson, 1990 (doi:10.1080/03610919008812866); ends: C. Lanczos, 1950
(doi:10.6028/jres.045.026); density: S. Ubaru, J. Chen, Y. Saad, 2017 (doi:10.1137/16M1104974).
Reference case: a diagonal Hessian gives its exact trace with one probe.
"""

from __future__ import annotations

import torch

from ... import streams
from ...errors import Refusal
from ...numerics import hutchinson, lanczos
from ...records import Result
from ..curvature import Hessian, inner
from ..evaluate import batches
from ..pulse import pulse
from ..specimen import Specimen
from .loss_landscape import subset

REVISION = 1
RANDOM = True
COLUMNS = {
    "trace": {"unit": "nats", "range": [None, None], "axes": [], "headline": True},
    "top": {"unit": "nats", "range": [None, None], "axes": [], "headline": True},
    "bottom": {"unit": "nats", "range": [None, None], "axes": [], "headline": True},
    "residual": {"unit": "nats", "range": [0, None], "axes": [], "headline": False},
    "images": {"unit": "count", "range": [1, None], "axes": [], "headline": False},
}
EXAMPLE = {"probes": 3, "steps": 5, "images": 32}
LIMITS = {
    "probes": "[2, 100000]", "images": "[1, 10000000]", "steps": "[1, 10000]", "tolerance": "[0, 1)",
    "batch": "[1, 1000000]",
}  # fmt: skip
SPECTRUM = "spectrum.npz"


def measure(
    specimen: Specimen,
    *,
    probes: int = 100,
    images: int = 1000,
    steps: int = 40,
    tolerance: float = 1e-3,
    batch: int = 128,
) -> Result:
    """Trace and ends of the spectrum of the Hessian.

    Args:
        probes: sign vectors for the trace, at least 2; all of them are used.
        images: training examples; all of them if there are fewer (the column `images` says how many).
        steps: Lanczos steps at most.
        tolerance: residual, as a share of the largest magnitude, at which both ends count as found.
        batch: examples at once; changes nothing beyond rounding.

    Returns:
        `trace`, `top` and `bottom` (nats per squared unit of weight), `residual` (the larger one of the two ends).
        `spectrum.npz`: `samples` (probes,), one trace estimate per probe; `nodes` and `weights` (k,), the spectral
        density as seen from one Gaussian start vector.

    Raises:
        Refusal: `not_applicable`, `too_few`, `not_finite`, `unsupported` for a network without second derivatives,
            `degenerate` if the loss does not depend on the weights at all.
        Stopped: asked to; the measurement starts again next time.
    """
    model, data = specimen.network()
    index = subset(len(data.train), images)
    parts = batches(data.train.take(index), data.mean, data.std, batch=batch, device=specimen.device)
    hessian = Hessian(model, parts, pulse(specimen.ctx, lambda: {"products": hessian.products_made}))
    names = specimen.seed, "measure", specimen.depth, "hessian"

    def signs(k: int) -> torch.Tensor:
        bits = torch.randint(0, 2, (hessian.n,), generator=streams.generator(*names, "probe", k), dtype=torch.int8)
        return (2 * bits - 1).to(specimen.device, torch.float32)

    samples = hutchinson.quadratic_forms(
        hessian.products, map(signs, range(probes)), block=hessian.block, inner=inner
    )  # fmt: skip
    start = torch.randn(hessian.n, generator=streams.generator(*names, "start")).to(specimen.device)
    ends = lanczos.extremes(hessian, start, steps=steps, tolerance=tolerance)
    if ends.top == ends.bottom == 0.0:
        raise Refusal("degenerate", "the loss has no curvature in any direction that was tried")
    found = hutchinson.Estimate.of(samples)
    values = {
        "trace": found.value, "top": ends.top, "bottom": ends.bottom, "residual": ends.residual, "images": len(index),
    }  # fmt: skip
    arrays = {"samples": torch.tensor(samples, dtype=torch.float64).numpy()}
    arrays |= {"nodes": ends.nodes, "weights": ends.weights}
    uncertainty = {"trace": {"se": found.se, "n": found.n, "kind": "probes"}}
    notes = {"products": hessian.products_made, "lanczos_steps": ends.steps, "examples": "train"}
    return Result(values=values, uncertainty=uncertainty, files=specimen.save(SPECTRUM, arrays), notes=notes)
