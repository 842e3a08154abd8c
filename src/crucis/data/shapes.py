"""Procedurally drawn shapes with known factors: kind, size, position, rotation, colour.

Every factor is drawn independently and uniformly, so each is known and none predicts another. Edges are
anti-aliased by 3 x 3 samples per pixel. In the spirit of dSprites (L. Matthey et al., 2017).
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np

from ..seeds import rng
from .dataset import Raw

REVISION = 1
LIMITS = {"n": "[30, 1000000]", "size": "[8, 256]", "noise": "[0, 128]"}

KINDS = ("disc", "square", "triangle", "cross")
COLOURS = ("red", "green", "blue", "yellow", "magenta", "cyan")
_RGB = np.array([[230, 50, 50], [50, 200, 70], [60, 90, 235], [230, 210, 50], [210, 70, 210], [60, 205, 215]])
_SAMPLES = 3


def _inside(kind: np.ndarray, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Whether points, in units of the shape's radius, lie in the shape of each image. All (N, ...)."""
    kind = kind[:, None, None]
    reach = np.maximum(abs(u), abs(v))
    triangle = (v > -0.5) & (v < 1 - np.sqrt(3) * abs(u))
    cross = (np.minimum(abs(u), abs(v)) < 0.3) & (reach < 0.95)
    return np.select([kind == 0, kind == 1, kind == 2], [u * u + v * v < 1, reach < 0.8, triangle], cross)


def _coverage(size: int, kind: np.ndarray, radius: np.ndarray, centre: np.ndarray, angle: np.ndarray) -> np.ndarray:
    """The share of each pixel that the shape covers, (N, size, size)."""
    fine = (np.arange(size * _SAMPLES) + 0.5) / (size * _SAMPLES)
    y, x = np.meshgrid(fine, fine, indexing="ij")
    dx, dy = x[None] - centre[:, 0, None, None], centre[:, 1, None, None] - y[None]
    c, s = np.cos(angle)[:, None, None], np.sin(angle)[:, None, None]
    u, v = (c * dx + s * dy) / radius[:, None, None], (c * dy - s * dx) / radius[:, None, None]
    hit = _inside(kind, u, v).reshape(len(kind), size, _SAMPLES, size, _SAMPLES)
    return hit.mean((2, 4))


def load(
    root: Path | None,  # noqa: ARG001
    *,
    n: int = 4000,
    size: int = 32,
    label: Literal["shape", "colour", "size", "quadrant"] = "shape",
    noise: float = 8.0,
    variant: int = 0,
) -> Raw:
    """Images uint8 (n, size, size, 3) on a dark ground.

    Args:
        n: examples in all.
        size: pixels along each side.
        label: the factor that is the class; `size` in three steps, `quadrant` of the centre.
        noise: standard deviation of the pixel noise, of 255.
        variant: another draw of the same kind.
    """
    draw = rng(variant, "shapes")
    kind, colour = draw.integers(0, len(KINDS), n), draw.integers(0, len(COLOURS), n)
    radius, centre = draw.uniform(0.12, 0.3, n), draw.uniform(0.3, 0.7, (n, 2))
    angle = draw.uniform(0, 2 * np.pi, n)
    x = np.empty((n, size, size, 3), np.uint8)
    for start in range(0, n, 256):
        part = slice(start, min(start + 256, n))
        cover = _coverage(size, kind[part], radius[part], centre[part], angle[part])[..., None]
        image = 25 + cover * (_RGB[colour[part]][:, None, None] - 25)
        x[part] = np.rint(image + noise * draw.standard_normal(image.shape)).clip(0, 255)
    steps = np.minimum((radius - 0.12) / 0.06, 2).astype(np.int64)
    quadrant = (centre[:, 0] > 0.5) + 2 * (centre[:, 1] > 0.5)
    labels = {
        "shape": (kind, KINDS),
        "colour": (colour, COLOURS),
        "size": (steps, ("small", "middle", "large")),
        "quadrant": (quadrant, ("top-left", "top-right", "bottom-left", "bottom-right")),
    }
    y, names = labels[label]
    factors = {"shape": kind, "size": radius, "position": centre, "rotation": angle, "colour": colour}
    return Raw(x, y.astype(np.int64), names, factors=factors)
