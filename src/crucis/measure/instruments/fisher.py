"""Fisher information of the network's weights: its trace, its largest diagonal entry, and the diagonal as a file.

F = mean over examples of E[(d log p(label | example) / d theta)^2], on a fixed subset of the TRAINING split (the one
on which landscapes are sampled), from gradients of single examples in evaluation mode. With `model`, the
true Fisher information, labels are the network's: the likeliest one and `draws` others, drawn, each counted with its
probability. With `empirical` they are those of the data, which is no Fisher information away from a perfect fit
(several times as large in measured cases).

Invariant under: the batch size (rounding), and buffers stay as they are. Not invariant under rescaling of weights that
leaves the function alone.
Cost: one backward pass per example and label.
Source: R. A. Fisher, 1925 (doi:10.1017/S0305004100009580); on the two kinds F. Kunstner, L. Balles, P. Hennig, 2019
(arXiv:1905.12558).
Reference case: for softmax regression the true Fisher information is the Hessian of the loss.
"""

from __future__ import annotations

from typing import Literal

from ... import streams
from ...errors import Refusal
from ...nets.weights import save_weights
from ...numerics.hutchinson import Estimate
from ...records import Result
from ..evaluate import batches
from ..information import fisher
from ..pulse import pulse
from ..specimen import Specimen
from .loss_landscape import subset

REVISION = 2
RANDOM = True
COLUMNS = {
    "trace": {"unit": "nats", "range": [0, None], "axes": [], "headline": True},
    "top": {"unit": "nats", "range": [0, None], "axes": [], "headline": True},
    "images": {"unit": "count", "range": [1, None], "axes": [], "headline": False},
}
EXAMPLE = {"images": 32}
LIMITS = {"images": "[1, 10000000]", "draws": "[0, 1000]", "batch": "[1, 1000000]"}
DIAGONAL = "diagonal.safetensors"


def measure(
    specimen: Specimen,
    *,
    kind: Literal["model", "empirical"] = "model",
    draws: int = 1,
    images: int = 1000,
    batch: int = 128,
) -> Result:
    """Trace and diagonal of the Fisher information.

    Args:
        kind: labels drawn from the `model`, the true Fisher information, or those of the data (`empirical`).
        draws: labels drawn per example besides the likeliest one; 0 takes all classes (exact, one pass per class).
        images: training examples; all of them if there are fewer (the column `images` says how many).
        batch: examples at once; changes nothing beyond rounding.

    Returns:
        `trace` and `top`, the largest diagonal entry (nats per squared unit of weight); the standard error of the
        trace is over examples. `diagonal.safetensors`: one float32 tensor per parameter, under its name.

    Raises:
        Refusal: `not_applicable`, `too_few`, `not_finite`, `degenerate` if no example has a gradient.
        Stopped: asked to; the measurement starts again next time.
    """
    model, data = specimen.network()
    index = subset(len(data.train), images)
    parts = batches(data.train.take(index), data.mean, data.std, batch=batch, device=specimen.device)
    generator = streams.generator(specimen.seed, "measure", specimen.depth, "fisher", "labels")
    found = fisher(model, parts, kind=kind, draws=draws, generator=generator, tick=pulse(specimen.ctx))
    if found.trace == 0.0:
        raise Refusal("degenerate", "no example has a gradient")
    top = max(float(part.max()) for part in found.diagonal.values())
    save_weights(specimen.folder() / DIAGONAL, {name: part.float().cpu() for name, part in found.diagonal.items()})
    error = Estimate.of(found.squares.tolist())
    return Result(
        values={"trace": found.trace, "top": top, "images": len(index)},
        uncertainty={"trace": {"se": error.se, "n": error.n, "kind": "examples"}} if error.se is not None else {},
        files={DIAGONAL: "array"},
        notes={"examples": "train", "vectorised": found.vectorised},
    )
