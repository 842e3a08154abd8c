"""What it costs to use a network: latency, throughput, memory, parameters and floating point operations.

Latency is the wall time of one forward pass over a batch that lies on the device already, in evaluation mode, without
gradients, on one thread: `latency_p50` and `latency_p95` are the median and the 95th percentile of `repeats` passes
after `warmup` uncounted ones. `throughput` is examples per second at the median. `memory` is the most bytes needed at
once: parameters, buffers, input, and the tensors alive during the pass. On a CPU kernels' inner scratch space is not
seen; on a GPU it is what the allocator gave out, scratch space included.

Every one of these has the axis `batch`. The plain columns say: latency at the FIRST batch size of the list (a single
request, by default), throughput and memory at the LAST (what a busy server reaches and needs). Other sizes are asked
for by name: `latency_p50@batch=128`.

`flops` are floating point operations of one example (one multiplication with its addition counts as two); counted are
matrix products, convolutions and attention. `parameters` and `flops` are the same on every machine; times depend on the
machine and on what else it does (`notes.load` is its load average, processes that want to run), and memory on the
device. They are no part of what `reproduce` compares.

Cost: (warmup + repeats + 2) passes per batch size.
Reference case: a linear map from 3 to 2 with bias has 8 parameters and 12 operations per example.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import torch

from ...errors import CrucisError
from ...records import Result
from ..evaluate import batches
from ..footprint import footprint, latencies, peak_bytes
from ..pulse import pulse
from ..specimen import Specimen

REVISION = 1
AXES = {"batch": "batch"}
COLUMNS = {
    "latency_p50": {"unit": "seconds", "range": [0, None], "axes": [], "headline": True, "within": "batch"},
    "latency_p95": {"unit": "seconds", "range": [0, None], "axes": [], "headline": True, "within": "batch"},
    "throughput": {"unit": "1/seconds", "range": [0, None], "axes": [], "headline": True, "within": "batch"},
    "memory": {"unit": "bytes", "range": [0, None], "axes": [], "headline": True, "within": "batch"},
    "parameters": {"unit": "count", "range": [0, None], "axes": [], "headline": True},
    "flops": {"unit": "count", "range": [0, None], "axes": [], "headline": True},
}
#: Depends on the machine and the moment.
CIRCUMSTANCE = ["latency_p50", "latency_p95", "throughput", "memory", "latency.npz"]
EXAMPLE = {"batch": [1, 8], "repeats": 5, "warmup": 1}
LIMITS = {"batch": "[1, 1000000]", "repeats": "[3, 100000]", "warmup": "[0, 100000]"}
LATENCY = "latency.npz"


def measure(
    specimen: Specimen,
    *,
    batch: list[int] = [1, 128],  # noqa: B006 - a literal that the language reads, never changed
    repeats: int = 50,
    warmup: int = 5,
) -> Result:
    """Time and count forward passes over training examples, repeated where the batch asks for more than there are.

    Args:
        batch: batch sizes, increasing.
        repeats: timed passes per batch size, at least 3.
        warmup: passes before them that are not counted.

    Returns:
        Columns as declared; the standard error of a median latency is half the width between the order statistics one
        binomial deviation around it. `latency.npz`: `batch` (k,) and `seconds` (k, repeats), in the order measured.

    Raises:
        Refusal: `not_applicable`, `too_few` if the training split is empty, `not_finite`.
        CrucisError: `batch` is empty or not increasing.
        Stopped: asked to; the measurement starts again next time.
    """
    if not batch or sorted(set(batch)) != batch:
        raise CrucisError(f"batch needs increasing sizes, got {batch}")
    model, data = specimen.network()
    examples = data.train.take(np.arange(min(len(data.train), batch[-1])))
    ((x, _),) = batches(examples, data.mean, data.std, batch=max(len(examples), 1), device=specimen.device)
    tick, load = pulse(specimen.ctx), os.getloadavg()[0]
    columns: dict[str, dict[str, float]] = {f"{name}@batch": {} for name, about in COLUMNS.items() if "within" in about}
    errors, rows = {}, []
    for size in batch:
        inputs = x[torch.arange(size, device=x.device) % len(x)]
        seconds = latencies(model, inputs, warmup=warmup, repeats=repeats, tick=tick)
        median, late = (float(q) for q in np.percentile(seconds, [50, 95]))
        rows.append(seconds)
        errors[str(size)] = {"se": _median_error(seconds), "n": repeats, "kind": "repeats"}
        found = {"latency_p50": median, "latency_p95": late, "throughput": size / median}
        for name, value in {**found, "memory": peak_bytes(model, inputs)}.items():
            columns[f"{name}@batch"][str(size)] = value
    first, last = str(batch[0]), str(batch[-1])
    values: dict[str, Any] = dict(columns)
    for name, size_of in (("latency_p50", first), ("latency_p95", first), ("throughput", last), ("memory", last)):
        values[name] = columns[f"{name}@batch"][size_of]
    values["parameters"] = sum(p.numel() for p in model.parameters())
    values["flops"] = sum(footprint(model, x[:1]).flops.values())
    uncertainty = {"latency_p50": errors[first], "latency_p50@batch": errors}
    arrays = {"batch": np.array(batch), "seconds": np.array(rows)}
    notes = {"load": round(load, 2), "threads": 1, "plain": {"latency": int(first), "throughput, memory": int(last)}}
    return Result(values=values, uncertainty=uncertainty, files=specimen.save(LATENCY, arrays), notes=notes)


def _median_error(seconds: list[float]) -> float:
    ranked, n = sorted(seconds), len(seconds)
    low, high = round((n - n**0.5) / 2), round((n + n**0.5) / 2)
    return (ranked[min(high, n - 1)] - ranked[max(low - 1, 0)]) / 2
