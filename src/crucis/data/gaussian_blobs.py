"""Gaussian blobs: one isotropic normal distribution per class, centres on a sphere.

Class k is drawn from N(separation * u_k, I), where u_k is a random unit vector. With `separation` s the Bayes error of
two classes at distance d = |s u_1 - s u_2| is Phi(-d / 2).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..seeds import rng
from .dataset import Raw

REVISION = 1
KIND = "vector"
LIMITS = {"n": "[30, 10000000]", "dimensions": "[1, 100000]", "classes": "[2, 10000]", "separation": "[0, 1000]"}


def load(
    root: Path | None,  # noqa: ARG001
    *,
    n: int = 2000,
    dimensions: int = 2,
    classes: int = 4,
    separation: float = 4.0,
    variant: int = 0,
) -> Raw:
    """Vectors float32 (n, dimensions), classes in turn.

    Args:
        n: examples in all.
        dimensions: features.
        classes: blobs.
        separation: distance of each centre from the origin, in standard deviations.
        variant: another draw of the same kind.
    """
    draw = rng(variant, "gaussian_blobs")
    centres = draw.standard_normal((classes, dimensions))
    centres *= separation / np.maximum(np.linalg.norm(centres, axis=1, keepdims=True), 1e-12)
    y = np.arange(n) % classes
    x = centres[y] + draw.standard_normal((n, dimensions))
    return Raw(x.astype(np.float32), y.astype(np.int64), tuple(map(str, range(classes))))
