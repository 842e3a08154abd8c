"""Interleaved spirals in the plane: one Archimedean arm per class, turned against each other; not linearly separable.

Source of the task: K. Lang and M. Witbrock, Learning to tell two spirals apart (1988).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..seeds import rng
from .dataset import Raw

REVISION = 1
KIND = "vector"
LIMITS = {"n": "[30, 10000000]", "classes": "[2, 100]", "turns": "(0, 20]", "noise": "[0, 1]"}


def load(
    root: Path | None,  # noqa: ARG001
    *,
    n: int = 2000,
    classes: int = 2,
    turns: float = 1.5,
    noise: float = 0.02,
    variant: int = 0,
) -> Raw:
    """Vectors float32 (n, 2); radius 0.05 to 1, even along the arm's angle.

    Args:
        n: examples in all.
        classes: arms.
        turns: turns of each arm.
        noise: standard deviation added to both coordinates (the outer radius is 1).
        variant: another draw of the same kind.
    """
    draw = rng(variant, "spirals")
    y = np.arange(n) % classes
    along = draw.random(n)
    angle = 2 * np.pi * (turns * along + y / classes)
    radius = 0.05 + 0.95 * along
    x = np.stack([radius * np.cos(angle), radius * np.sin(angle)], 1) + noise * draw.standard_normal((n, 2))
    return Raw(
        x.astype(np.float32), y.astype(np.int64), tuple(map(str, range(classes))), factors={"along": along}
    )  # fmt: skip
