"""How a network's cost grows with its input: exponents of operations, memory and time in batch size or resolution.

cost = constant x size ** exponent, fitted on logarithms over the sizes asked for; 1 is linear growth, 2 quadratic. Over
`batch`, the size is the number of examples. Over `resolution` it is the number of pixels: the data set's images are
enlarged `sizes` times in height and width, so that an exponent of 1 means a cost per pixel, and attention over all
patches goes to 2. Exponents between small sizes lie below those of large ones, as fixed costs weigh in: the standard
error and the interval (`time_low` to `time_high`, 95 %) show misfit and timing noise alike. Width and depth are no
property of one trained network; vary them as a factor and fit in an analysis.

Memory is what `cost` calls so, less the parameters and buffers; time is the median of `repeats` passes on one thread.
Times depend on the machine and the moment and are no part of what `reproduce` compares.

Cost: (repeats + 3) passes per size.
Source: ordinary least squares, N. Draper, H. Smith, Applied Regression Analysis, 1998.
Reference case: a convolutional network has the exponent 1 of operations both in batch size and in pixels.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ...errors import CrucisError, Refusal
from ...numerics.powers import Exponent, exponent
from ...records import Result
from ..evaluate import batches
from ..footprint import footprint, held, inference, latencies, peak_bytes
from ..pulse import pulse
from ..specimen import Specimen

REVISION = 1
COLUMNS = {
    "flops": {"unit": "1", "range": [None, None], "axes": [], "headline": True},
    "memory": {"unit": "1", "range": [None, None], "axes": [], "headline": True},
    "time": {"unit": "1", "range": [None, None], "axes": [], "headline": True},
    "time_low": {"unit": "1", "range": [None, None], "axes": [], "headline": False},
    "time_high": {"unit": "1", "range": [None, None], "axes": [], "headline": False},
}
#: Depends on the machine and the moment.
CIRCUMSTANCE = ["memory", "time", "time_low", "time_high", "times.npz"]
EXAMPLE = {"sizes": [1, 2, 4], "repeats": 3}
LIMITS = {"sizes": "[1, 1000000]", "repeats": "[3, 100000]", "batch": "[1, 1000000]"}


def measure(
    specimen: Specimen,
    *,
    over: Literal["batch", "resolution"] = "batch",
    sizes: list[int] = [1, 2, 4, 8],  # noqa: B006 - a literal that the language reads, never changed
    repeats: int = 20,
    batch: int = 8,
) -> Result:
    """Fit exponents on training examples.

    Args:
        over: what grows: the number of examples at once, or the resolution of the images.
        sizes: at least three, increasing: examples, or multiples of the data set's own height and width.
        repeats: timed passes per size, at least 3.
        batch: examples at once while the resolution grows.

    Returns:
        Exponents with the standard errors of their fits. `sizes.npz`: `size` and `flops`; `times.npz`: `memory` (bytes)
        and `seconds` per size.

    Raises:
        Refusal: `not_applicable` for a resolution of vectors, or a network that takes one resolution only or makes no
            operations that are counted; `too_few` if the training split is empty.
        CrucisError: fewer than three sizes, or not increasing.
        Stopped: asked to; the measurement starts again next time.
    """
    if len(sizes) < 3 or any(b <= a for a, b in pairwise(sizes)):
        raise CrucisError(f"sizes needs at least three increasing sizes, got {sizes}")
    model, data = specimen.network()
    if over == "resolution" and data.kind != "image":
        raise Refusal("not_applicable", f"{data.name} holds vectors, which have no resolution")
    examples = data.train.take(np.arange(min(len(data.train), max(*sizes, batch))))
    ((x, _),) = batches(examples, data.mean, data.std, batch=max(len(examples), 1), device=specimen.device)
    tick, rows = pulse(specimen.ctx), []
    for size in sizes:
        inputs = _sized(x, size, over, batch)
        _fits(specimen, inputs)
        count = sum(footprint(model, inputs).flops.values())
        if not count:
            raise Refusal("not_applicable", "the network makes no operations that are counted")
        seconds = latencies(model, inputs, warmup=1, repeats=repeats, tick=tick)
        rows.append((count, peak_bytes(model, inputs) - held(model), float(np.median(seconds))))
    steps = np.array(sizes, dtype=np.float64) ** (2 if over == "resolution" else 1)
    flops, memory, times = np.array(rows, dtype=np.float64).T
    fits = {"flops": exponent(steps, flops), "memory": exponent(steps, memory), "time": exponent(steps, times)}
    values: dict[str, Any] = {name: fit.value for name, fit in fits.items()}
    values |= {"time_low": fits["time"].low, "time_high": fits["time"].high}
    files = specimen.save("sizes.npz", {"size": np.array(sizes), "flops": flops})
    files |= specimen.save("times.npz", {"memory": memory, "seconds": times})
    uncertainty = {name: _error(fit, len(sizes)) for name, fit in fits.items()}
    return Result(values=values, uncertainty=uncertainty, files=files, notes={"over": over, "threads": 1})


def _sized(x: Tensor, size: int, over: str, batch: int) -> Tensor:
    count = size if over == "batch" else batch
    chosen = x[torch.arange(count, device=x.device) % len(x)]
    if over == "batch":
        return chosen
    return functional.interpolate(chosen, scale_factor=size, mode="nearest")


def _fits(specimen: Specimen, x: Tensor) -> None:
    model, _ = specimen.network()
    try:
        with inference(model):
            model(x[:1])
    except (RuntimeError, ValueError, AssertionError) as error:
        shape = " x ".join(map(str, x.shape[1:]))
        raise Refusal("not_applicable", f"the network does not take an input of {shape}: {error}") from error


def _error(fit: Exponent, count: int) -> dict[str, object]:
    return {"se": fit.se, "n": count, "kind": "fit"}
