"""Traces, ends of spectra and densities, against matrices that are small enough to know everything about."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from crucis.numerics.barriers import barrier
from crucis.numerics.hutchinson import Estimate, quadratic_forms, trace, variance
from crucis.numerics.lanczos import density, extremes


def symmetric(n: int, seed: int, eigenvalues: np.ndarray | None = None) -> np.ndarray:
    rng = np.random.default_rng(seed)
    q, _ = np.linalg.qr(rng.standard_normal((n, n)))
    values = rng.standard_normal(n) if eigenvalues is None else eigenvalues
    return (q * values) @ q.T


def times(matrix: np.ndarray):
    return lambda vectors: [matrix @ v for v in vectors]


def signs(n: int, count: int, seed: int = 0) -> list[np.ndarray]:
    return list(np.random.default_rng(seed).choice([-1.0, 1.0], size=(count, n)))


@settings(max_examples=20, deadline=None)
@given(st.integers(2, 12), st.integers(0, 1000))
def test_every_basis_vector_as_probe_is_exact(n: int, seed: int) -> None:
    matrix = symmetric(n, seed)
    got = trace(times(matrix), list(math.sqrt(n) * np.eye(n)), block=3)
    assert got.value == pytest.approx(np.trace(matrix), abs=1e-12)


@settings(max_examples=20, deadline=None)
@given(st.integers(2, 30), st.integers(0, 1000))
def test_a_diagonal_matrix_needs_one_sign_probe(n: int, seed: int) -> None:
    matrix = np.diag(np.random.default_rng(seed).integers(-9, 9, n).astype(float))
    got = trace(times(matrix), signs(n, 1, seed))
    assert (got.value, got.se, got.n) == (np.trace(matrix), None, 1)
    assert variance(matrix) == 0.0


def test_spread_of_probes_is_the_analytic_one() -> None:
    matrix = symmetric(30, 3)
    samples = quadratic_forms(times(matrix), signs(30, 6000))
    assert np.var(samples) == pytest.approx(variance(matrix), rel=0.06)
    found = Estimate.of(samples)
    assert found.se == pytest.approx(math.sqrt(variance(matrix) / 6000), rel=0.04)
    assert abs(found.value - np.trace(matrix)) < 4 * found.se


def test_a_negative_trace_is_no_reason_to_stop_early() -> None:
    matrix = symmetric(40, 5, np.linspace(-3, 0.5, 40))
    got = trace(times(matrix), signs(40, 400))
    assert got.n == 400
    assert abs(got.value - np.trace(matrix)) < 4 * got.se
    assert got.value < -20


def test_blocks_and_order_change_nothing() -> None:
    matrix, probes = symmetric(9, 1), signs(9, 7)
    sizes: list[int] = []

    def counted(vectors):
        sizes.append(len(vectors))
        return [matrix @ v for v in vectors]

    whole = quadratic_forms(counted, iter(probes), block=3)
    assert sizes == [3, 3, 1]
    assert whole == quadratic_forms(times(matrix), probes)


def test_no_probes() -> None:
    with pytest.raises(ValueError, match="at least one"):
        trace(times(np.eye(2)), [])


@pytest.mark.parametrize("values", [np.linspace(-5.0, 1.0, 60), np.linspace(-1.0, 5.0, 60), np.linspace(-9, -2, 60)])
def test_both_ends_by_value_not_by_magnitude(values: np.ndarray) -> None:
    matrix = symmetric(60, 7, values)
    got = extremes(lambda v: matrix @ v, np.random.default_rng(0).standard_normal(60), steps=60, tolerance=1e-10)
    assert got.top == pytest.approx(values.max(), abs=1e-9)
    assert got.bottom == pytest.approx(values.min(), abs=1e-9)
    for value, vector, residual in (
        (got.top, got.top_vector, got.top_residual), (got.bottom, got.bottom_vector, got.bottom_residual),
    ):  # fmt: skip
        assert np.linalg.norm(vector) == pytest.approx(1.0)
        assert np.linalg.norm(matrix @ vector - value * vector) == pytest.approx(residual, abs=1e-12)


@settings(max_examples=25, deadline=None)
@given(st.integers(3, 40), st.integers(0, 10_000), st.integers(1, 8))
def test_residuals_bound_the_distance_to_an_eigenvalue(n: int, seed: int, steps: int) -> None:
    matrix = symmetric(n, seed)
    true = np.linalg.eigvalsh(matrix)
    got = extremes(lambda v: matrix @ v, np.random.default_rng(seed + 1).standard_normal(n), steps=steps, tolerance=0)
    assert np.abs(true - got.top).min() <= got.top_residual + 1e-10
    assert np.abs(true - got.bottom).min() <= got.bottom_residual + 1e-10
    assert true[0] - 1e-10 <= got.bottom <= got.top <= true[-1] + 1e-10
    assert got.weights.sum() == pytest.approx(1.0)


def test_rounding_makes_no_copies_of_an_eigenvalue() -> None:
    values = np.concatenate([np.full(1, 100.0), np.linspace(0, 1, 199)])
    matrix = symmetric(200, 11, values)
    got = extremes(lambda v: matrix @ v, np.random.default_rng(0).standard_normal(200), steps=60, tolerance=0)
    assert (got.nodes > 50).sum() == 1


def test_a_closed_krylov_space_ends_it() -> None:
    matrix = np.diag([2.0, 2.0, 2.0, -1.0, -1.0])
    got = extremes(lambda v: matrix @ v, np.ones(5), steps=5, tolerance=0)
    assert got.steps == 4  # two products span the space, two more prove the ends
    assert (got.bottom, got.top) == pytest.approx((-1.0, 2.0), abs=1e-14)
    assert got.residual < 1e-14
    zero = extremes(lambda v: 0 * v, np.ones(3), steps=3)
    assert (zero.bottom, zero.top, zero.residual) == (0.0, 0.0, 0.0)


def test_tensors_in_float32() -> None:
    values = np.linspace(-4.0, 3.0, 50)
    matrix = torch.from_numpy(symmetric(50, 2, values)).float()
    start = torch.randn(50, generator=torch.Generator().manual_seed(0))
    got = extremes(lambda v: matrix @ v, start, steps=50, tolerance=1e-6)
    assert (got.bottom, got.top) == pytest.approx((-4.0, 3.0), abs=1e-4)
    assert got.residual < 1e-3


@pytest.mark.parametrize("start", [np.zeros(3), np.array([1.0, np.nan, 0.0])])
def test_start_vectors_that_cannot_be(start: np.ndarray) -> None:
    with pytest.raises(ValueError, match="start vector"):
        extremes(lambda v: v, start)


def test_products_that_are_not_finite() -> None:
    with pytest.raises(ValueError, match="not finite"):
        extremes(lambda v: v * np.nan, np.ones(3))


def test_density_has_the_moments_of_the_spectrum() -> None:
    values = np.concatenate([np.full(80, 0.0), np.full(20, 5.0)])
    matrix = symmetric(100, 4, values)
    rng = np.random.default_rng(1)
    runs = [extremes(lambda v: matrix @ v, rng.standard_normal(100), steps=10, tolerance=0) for _ in range(40)]
    places = np.linspace(-2, 7, 1801)
    curve = density([r.nodes for r in runs], [r.weights for r in runs], places, 0.1)
    step = places[1] - places[0]
    assert curve.sum() * step == pytest.approx(1.0, abs=1e-6)
    assert (curve * places).sum() * step == pytest.approx(values.mean(), rel=0.1)
    assert curve[places > 2.5].sum() * step == pytest.approx(0.2, abs=0.03)
    with pytest.raises(ValueError, match="above 0"):
        density([], [], places, 0.0)


def test_two_wells_have_a_barrier_of_one_in_the_middle() -> None:
    x = np.linspace(-1, 1, 51)
    assert barrier(x, (x**2 - 1) ** 2) == (1.0, 0.0)
    t = np.linspace(0, 1, 51)
    assert barrier(t, ((2 * t - 1) ** 2 - 1) ** 2) == (1.0, 0.5)


@settings(max_examples=30, deadline=None)
@given(st.floats(0.01, 9), st.floats(-9, 9), st.floats(-9, 9))
def test_a_convex_path_has_none(a: float, b: float, c: float) -> None:
    t = np.linspace(0, 1, 21)
    height, _ = barrier(t, a * t**2 + b * t + c)
    assert 0.0 <= height < 1e-12
    assert (a * t**2 + b * t + c - ((1 - t) * c + t * (a + b + c)) < 1e-12).all()


def test_baselines_differ_on_a_slope() -> None:
    assert barrier([0, 0.5, 1], [0.0, 2.0, 2.0]) == (1.0, 0.5)
    assert barrier([0, 0.5, 1], [0.0, 2.0, 2.0], "highest") == (0.0, 0.5)
    assert barrier([0, 0.5, 1], [1.0, 4.0, 3.0], "highest") == (1.0, 0.5)


@pytest.mark.parametrize("places", [[0.0], [0.0, 0.0], [1.0, 0.0], [0.0, 1.0, 2.0]])
def test_places_that_cannot_be(places: list[float]) -> None:
    with pytest.raises(ValueError, match="increasing places"):
        barrier(places, [1.0, 2.0])
