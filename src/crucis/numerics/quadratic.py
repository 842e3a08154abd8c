"""The quadratic surface nearest to a grid of values, and how far the grid is from it."""

from __future__ import annotations

import numpy as np


def fit(values: np.ndarray) -> np.ndarray:
    """Least-squares quadratic a + bx + cy + dx^2 + exy + fy^2 (on a line: a + bx + cx^2) at the grid's own points.

    Places are scaled to [-1, 1] along each side, so the coefficients need no coordinates.

    Args:
        values: (m, n) or (m,), finite, at least 3 along each side.

    Returns:
        float64 of the same shape.

    Raises:
        ValueError: fewer than 3 along a side, where a quadratic is not determined.
    """
    if values.ndim not in (1, 2) or min(values.shape) < 3:
        raise ValueError(f"a quadratic needs at least 3 values along each side, got the shape {values.shape}")
    x, *rest = np.meshgrid(*(np.linspace(-1, 1, size) for size in values.shape), indexing="ij")
    columns = [np.ones_like(x), x, x * x] + [term for y in rest for term in (y, x * y, y * y)]
    terms = np.stack(columns, axis=-1).reshape(-1, len(columns))
    weights, *_ = np.linalg.lstsq(terms, np.asarray(values, dtype=np.float64).ravel(), rcond=None)
    return (terms @ weights).reshape(values.shape)


def roughness(values: np.ndarray) -> float:
    """Root mean square distance from the nearest quadratic, as a share of the range; 0 for a quadratic.

    Raises:
        ValueError: the values are constant.
    """
    spread = float(values.max() - values.min())
    if spread == 0.0:
        raise ValueError("the values are constant")
    return float(np.sqrt(np.mean((values - fit(values)) ** 2)) / spread)
