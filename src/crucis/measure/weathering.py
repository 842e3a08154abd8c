"""A network on corrupted images: who is still right, for every corruption and severity."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .. import streams
from .adversary import picked
from .corruptions import corrupted
from .pixels import at_rest, pictures, right
from .pulse import pulse
from .specimen import Specimen

BATCH = 256


def weathered(
    specimen: Specimen, names: Sequence[str], severities: Sequence[int], images: int
) -> tuple[np.ndarray, np.ndarray]:
    """Which images of the split that was asked for are classified rightly.

    Noise is drawn for all images at once from a stream of the cell's seed that is named after corruption and severity,
    so every network of a seed meets the same pictures.

    Returns:
        Untouched (N,) bool, and corrupted (corruptions, severities, N) bool.

    Raises:
        Refusal: `not_applicable`, `sealed`, `too_few`, `not_finite`.
    """
    seen = pictures(specimen, picked(len(specimen.asked()), images))
    tick = pulse(specimen.ctx)
    out = np.zeros((len(names), len(severities), len(seen.y)), bool)
    model, _ = specimen.network()
    with at_rest(model):
        before = right(seen.logits, seen.parts(BATCH)).cpu().numpy()
        count = -(-len(seen.y) // BATCH)
        for i, name in enumerate(names):
            for j, severity in enumerate(severities):
                stream = streams.generator(specimen.seed, "measure", specimen.depth, "corruption", name, severity)
                x = corrupted(name, seen.x, severity, stream)
                parts = list(zip(x.tensor_split(count), seen.y.tensor_split(count), strict=True))
                out[i, j] = right(seen.logits, parts).cpu().numpy()
                tick()
    return before, out
