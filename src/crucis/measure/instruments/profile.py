"""Where a network's cost lies: parameters, operations, memory and time of every layer, and which layers dominate.

A layer is a module that computes something itself or holds parameters of its own; what the modules inside it do is
theirs. `flops` count one multiplication with its addition as two, in matrix products, convolutions and attention;
`activations` are the bytes of the tensors that a layer makes, per example. `forward` and `backward` are medians of
`repeats` passes over a batch on one thread; the clock is read at every change of the layer at work, so that the layers
sum to the whole. The backward pass is that of the sum of the answers with respect to all weights and the input.

The plain columns are sums over the layers; a layer is read as `flops@layer=NAME`. `bottleneck` is the largest share of
the forward time that one layer takes, `notes.bottlenecks` the five slowest with their shares. Times depend on the
machine and the moment and are no part of what `reproduce` compares.

Cost: about 4 x repeats passes.
Reference case: a linear map from 3 to 2 with bias has 8 parameters, 12 operations and 8 bytes of activations.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from ...records import Result
from ..evaluate import batches
from ..footprint import WHOLE, footprint
from ..layers import backward_seconds, forward_seconds, shapes
from ..pulse import pulse
from ..specimen import Specimen

REVISION = 1
COLUMNS = {
    "parameters": {"unit": "count", "range": [0, None], "axes": [], "headline": True, "within": "layer"},
    "flops": {"unit": "count", "range": [0, None], "axes": [], "headline": True, "within": "layer"},
    "activations": {"unit": "bytes", "range": [0, None], "axes": [], "headline": True, "within": "layer"},
    "forward": {"unit": "seconds", "range": [0, None], "axes": [], "headline": True, "within": "layer"},
    "backward": {"unit": "seconds", "range": [0, None], "axes": [], "headline": True, "within": "layer"},
    "bottleneck": {"unit": "fraction", "range": [0, 1], "axes": [], "headline": False},
    "layers": {"unit": "count", "range": [1, None], "axes": [], "headline": False},
}
#: Depends on the machine and the moment.
CIRCUMSTANCE = ["forward", "backward", "bottleneck", "times.npz"]
EXAMPLE = {"batch": 4, "repeats": 3}
LIMITS = {"batch": "[1, 1000000]", "repeats": "[3, 100000]"}
#: How many of the slowest layers are named.
NAMED = 5


def measure(specimen: Specimen, *, batch: int = 32, repeats: int = 20) -> Result:
    """Take a network apart, on training examples.

    Args:
        batch: examples in a timed pass, repeated where there are fewer.
        repeats: timed passes forward and backward, at least 3.

    Returns:
        Columns as declared. `layers.npz`: `name`, `kind`, `shape` (text), `parameters`, `flops`, `activations` per
        layer, in the order of the network; `times.npz`: `forward`, `backward`, medians in seconds, in that order.

    Raises:
        Refusal: `not_applicable`, `too_few` if the training split is empty, `unsupported` for a network without
            gradient.
        Stopped: asked to; the measurement starts again next time.
    """
    model, data = specimen.network()
    examples = data.train.take(np.arange(min(len(data.train), batch)))
    ((x, _),) = batches(examples, data.mean, data.std, batch=batch, device=specimen.device)
    one, many, tick = x[:1], x[torch.arange(batch, device=x.device) % len(x)], pulse(specimen.ctx)
    counted = footprint(model, one)
    forward, backward = [], []
    for k in range(repeats + 1):
        parts = forward_seconds(model, many), backward_seconds(model, many)
        tick()
        if k:  # the first pass fills caches
            forward.append(parts[0])
            backward.append(parts[1])
    own = {n or WHOLE: sum(p.numel() for p in m.parameters(recurse=False)) for n, m in model.named_modules()}
    kept = [n for n in own if own[n] or counted.flops.get(n) or counted.made.get(n)] or [WHOLE]
    tables: dict[str, dict[str, Any]] = {
        "parameters": own, "flops": counted.flops, "activations": counted.made,
        "forward": _medians(forward), "backward": _medians(backward),
    }  # fmt: skip
    values: dict[str, Any] = {}
    for name, table in tables.items():
        part = {layer: table.get(layer, 0) for layer in kept}
        values |= {name: sum(table.values()) if name != "parameters" else sum(part.values()), f"{name}@layer": part}
    shares = {layer: seconds / values["forward"] for layer, seconds in values["forward@layer"].items()}
    slow = sorted(shares, key=lambda layer: -shares[layer])[:NAMED]
    values |= {"bottleneck": shares[slow[0]], "layers": len(kept)}
    files = _files(specimen, kept, values, shapes(model, one))
    notes = {"bottlenecks": {layer: round(shares[layer], 4) for layer in slow}, "batch": batch, "threads": 1}
    return Result(values=values, files=files, notes=notes)


def _medians(passes: list[dict[str, float]]) -> dict[str, float]:
    names = {name: None for one in passes for name in one}
    return {name: float(np.median([one.get(name, 0.0) for one in passes])) for name in names}


def _files(
    specimen: Specimen, kept: list[str], values: Mapping[str, Any], found: Mapping[str, tuple[int, ...]]
) -> dict[str, str]:
    model, _ = specimen.network()
    kinds = {name or WHOLE: type(module).__name__ for name, module in model.named_modules()}
    table = {
        "name": np.array(kept),
        "kind": np.array([kinds.get(layer, "") for layer in kept]),
        "shape": np.array([" x ".join(map(str, found.get(layer, ()))) for layer in kept]),
    }
    table |= {n: np.array([values[f"{n}@layer"][k] for k in kept]) for n in ("parameters", "flops", "activations")}
    times = {n: np.array([values[f"{n}@layer"][k] for k in kept]) for n in ("forward", "backward")}
    return {**specimen.save("layers.npz", table), **specimen.save("times.npz", times)}
