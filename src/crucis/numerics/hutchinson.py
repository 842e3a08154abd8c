"""The trace of a matrix that only multiplies vectors: a fixed number of probes, and a standard error.

Vectors are whatever supports `@`, `+`, `*` with one another (numpy arrays, torch tensors).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Vector = Any
#: Several products at once: a matrix that is expensive to set up is then set up once for all of them.
Products = Callable[[Sequence[Vector]], Sequence[Vector]]


def _inner(first: Vector, second: Vector) -> float:
    return float(first @ second)


@dataclass(frozen=True)
class Estimate:
    """A mean with its standard error (None for a single sample) over `n` samples."""

    value: float
    se: float | None
    n: int

    @classmethod
    def of(cls, samples: Sequence[float]) -> Estimate:
        """Mean and standard error of independent samples.

        Raises:
            ValueError: there are none.
        """
        if not len(samples):
            raise ValueError("a mean needs at least one sample")
        n, mean = len(samples), math.fsum(samples) / len(samples)
        if n == 1:
            return cls(mean, None, 1)
        spread = math.sqrt(math.fsum((sample - mean) ** 2 for sample in samples) / (n - 1))
        return cls(mean, spread / math.sqrt(n), n)


def quadratic_forms(
    products: Products,
    probes: Iterable[Vector],
    *,
    block: int = 1,
    inner: Callable[[Vector, Vector], float] = _inner,
) -> list[float]:
    """v' H v for every probe v.

    Args:
        products: H applied to each vector of a sequence.
        probes: vectors (n,); consumed `block` at a time, so that they need not exist together.
        block: vectors handed over at once; changes no value if `products` treats them alike.
        inner: the inner product, for vectors whose own is not accurate enough.
    """
    out: list[float] = []
    for part in _blocks(probes, block):
        out += [inner(probe, product) for probe, product in zip(part, products(part), strict=True)]
    return out


def _blocks(items: Iterable[Vector], size: int) -> Iterator[list[Vector]]:
    part: list[Vector] = []
    for item in items:
        part.append(item)
        if len(part) == size:
            yield part
            part = []
    if part:
        yield part


def trace(
    products: Products,
    probes: Iterable[Vector],
    *,
    block: int = 1,
    inner: Callable[[Vector, Vector], float] = _inner,
) -> Estimate:
    """Hutchinson's estimate of the trace of a symmetric H, unbiased for independent probes with E[v v'] = 1.

    The number of probes is fixed beforehand: a rule that stops once the running mean looks settled stops by chance
    and is biased by it. With signs as probes (Rademacher) the variance of one is 2 (|H|_F^2 - sum of H_ii^2), so a
    diagonal H is exact with one. The n vectors sqrt(n) e_i are probes too, and give the exact trace.

    Args: as `quadratic_forms`.

    Raises:
        ValueError: no probes.

    Source: M. F. Hutchinson, A stochastic estimator of the trace of the influence matrix, 1990
    (doi:10.1080/03610919008812866).

    >>> trace(lambda vs: [np.array([3.0, -1.0]) * v for v in vs], [np.array([1.0, -1.0])]).value
    2.0
    """
    return Estimate.of(quadratic_forms(products, probes, block=block, inner=inner))


def variance(matrix: np.ndarray) -> float:
    """Variance of one sign (Rademacher) probe of a symmetric matrix (n, n), in closed form."""
    square = np.asarray(matrix, dtype=np.float64) ** 2
    return float(2 * (square.sum() - np.trace(square)))
