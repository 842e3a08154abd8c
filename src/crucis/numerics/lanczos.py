"""Both ends of a spectrum and its density, for a symmetric matrix that only multiplies vectors.

Lanczos with full reorthogonalisation: without it, rounding makes copies of converged eigenvalues. Unlike power
iteration, which finds the eigenvalue of largest magnitude, it finds the largest and the smallest, each with a residual
that bounds the distance to an eigenvalue. Vectors are numpy arrays or torch tensors; arithmetic is in their own
precision, the small tridiagonal matrix in float64.

Cost: one product per step, and 4 k n operations in step k; k vectors are held.
Source: C. Lanczos, 1950 (doi:10.6028/jres.045.026); B. N. Parlett, The Symmetric Eigenvalue Problem, 1980, chapter 13.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Vector = Any
Multiply = Callable[[Vector], Vector]
#: Below this share of the largest entry of the tridiagonal matrix the Krylov space counts as closed (per precision).
_CLOSED = {2: 1e-2, 4: 1e-6, 8: 1e-13}


@dataclass(frozen=True)
class Extremes:
    """The ends of a spectrum.

    Attributes:
        bottom, top: smallest and largest eigenvalue found; bottom is never above the true top, nor top below it.
        bottom_residual, top_residual: |H v - value v| for the unit vector v found; an eigenvalue lies within it.
        bottom_vector, top_vector: those unit vectors.
        steps: products made.
        nodes, weights: quadrature of the spectral density seen from the start vector; weights sum to 1.
    """

    bottom: float
    top: float
    bottom_residual: float
    top_residual: float
    bottom_vector: Vector
    top_vector: Vector
    steps: int
    nodes: np.ndarray
    weights: np.ndarray

    @property
    def residual(self) -> float:
        """The larger of the two."""
        return max(self.bottom_residual, self.top_residual)


def _length(vector: Vector) -> float:
    return math.sqrt(max(float(vector @ vector), 0.0))


def _ritz(alpha: Sequence[float], beta: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues (k,), ascending, and eigenvectors (k, k) of the tridiagonal matrix."""
    off = np.asarray(beta[: len(alpha) - 1], dtype=np.float64)
    return np.linalg.eigh(np.diag(np.asarray(alpha, dtype=np.float64)) + np.diag(off, 1) + np.diag(off, -1))


def _orthogonal(vector: Vector, basis: Sequence[Vector]) -> Vector:
    """The vector without its parts along the basis; twice, because once leaves rounding behind."""
    for _ in range(2):
        for known in basis:
            vector = vector - float(known @ vector) * known
    return vector


def extremes(multiply: Multiply, start: Vector, *, steps: int = 40, tolerance: float = 1e-4) -> Extremes:
    """Largest and smallest eigenvalue of a symmetric H of order n.

    It ends when both residuals are below `tolerance` times the largest magnitude found, after `steps` products, or
    when the Krylov space is closed (then all eigenvalues that the start vector has a part of are exact).

    Args:
        multiply: v (n,) -> H v (n,).
        start: (n,), not zero; random, so that it has a part of every eigenvector.
        steps: products at most, at least 1.
        tolerance: relative residual at which both ends count as found; 0 always makes all steps.

    Raises:
        ValueError: a start vector without length, or a product that is not finite.
    """
    length = _length(start)
    if not 0 < length < math.inf:
        raise ValueError(f"the start vector has the length {length}")
    basis, alpha, beta = [start / length], list[float](), list[float]()
    closed = _CLOSED.get(getattr(start.dtype, "itemsize", 8), 1e-13)
    for _ in range(min(steps, len(start))):
        product = multiply(basis[-1])
        alpha.append(float(basis[-1] @ product))
        rest = _orthogonal(product, basis)
        beta.append(_length(rest))
        if not (math.isfinite(alpha[-1]) and math.isfinite(beta[-1])):
            raise ValueError("a product with the matrix is not finite")
        values, vectors = _ritz(alpha, beta)
        scale = max(float(np.abs(values).max()), max(beta[:-1], default=0.0))
        worst = beta[-1] * float(np.abs(vectors[-1, [0, -1]]).max())
        if beta[-1] <= closed * scale or worst <= tolerance * float(np.abs(values).max()):
            break
        if len(alpha) < min(steps, len(start)):
            basis.append(rest / beta[-1])
    ends = [_combined(basis, vectors[:, index]) for index in (0, -1)]
    # The estimate beta |last entry| is free, but holds for exact arithmetic only; two products more give the proof.
    proofs = [_length(multiply(v) - float(values[index]) * v) for v, index in zip(ends, (0, -1), strict=True)]
    return Extremes(
        float(values[0]), float(values[-1]), proofs[0], proofs[1], ends[0], ends[1], len(alpha) + 2, values,
        vectors[0] ** 2,
    )  # fmt: skip


def _combined(basis: Sequence[Vector], weights: np.ndarray) -> Vector:
    total = float(weights[0]) * basis[0]
    for weight, vector in zip(weights[1:], basis[1:], strict=True):
        total = total + float(weight) * vector
    return total / _length(total)


def density(nodes: Sequence[np.ndarray], weights: Sequence[np.ndarray], places: np.ndarray, width: float) -> np.ndarray:
    """The spectral density as a sum of Gaussians at the nodes, averaged over start vectors; it integrates to 1.

    Args:
        nodes, weights: of `extremes`, one pair per independent Gaussian start vector.
        places: (m,) eigenvalues at which the density is wanted.
        width: standard deviation of the Gaussians, in units of eigenvalues, above 0.

    Returns:
        (m,), share of eigenvalues per unit.

    Source: stochastic Lanczos quadrature, S. Ubaru, J. Chen, Y. Saad, 2017 (doi:10.1137/16M1104974).
    """
    if not width > 0:
        raise ValueError(f"the width of the Gaussians must be above 0, got {width}")
    total = np.zeros(len(places))
    for value, weight in zip(nodes, weights, strict=True):
        bells = np.exp(-0.5 * ((np.asarray(places)[:, None] - value[None]) / width) ** 2)
        total += (bells * weight[None]).sum(axis=1) / (width * math.sqrt(2 * math.pi))
    return total / len(nodes)
