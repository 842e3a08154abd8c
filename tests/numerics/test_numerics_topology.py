"""Diagrams against closed forms, two foreign engines, the Euler identity and theorems that hold for all surfaces."""

from __future__ import annotations

import builtins
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from crucis.errors import CrucisError
from crucis.numerics import gudhi_grid, ripser_grid
from crucis.numerics import topology as tp

COMPLEXES = ("cells", "vertices", "freudenthal")


def plane(size: int) -> tuple[np.ndarray, np.ndarray]:
    places = np.linspace(-1, 1, size)
    if size % 2:
        places[size // 2] = 0.0
    return np.meshgrid(places, places, indexing="ij")


shapes = st.tuples(st.integers(2, 9), st.integers(2, 9))
floats = arrays.arrays(np.float32, shapes, elements=st.floats(-1e3, 1e3, width=32))
tied = arrays.arrays(np.float32, shapes, elements=st.integers(-2, 2).map(float))
surfaces = st.one_of(floats, tied)
complexes = st.sampled_from(COMPLEXES)


@pytest.mark.parametrize("kind", COMPLEXES)
@pytest.mark.parametrize("size", [25, 50, 51])
def test_a_bowl_has_no_topology(kind: str, size: int) -> None:
    x, y = plane(size)
    found = tp.sublevel(x**2 + 3 * y**2, kind)
    assert len(found.h0) == len(found.h1) == 0
    assert tp.total(found.h0) == 0.0
    assert tp.longest(found.h0) == 0.0
    assert tp.entropy(found.h0) == 0.0


@pytest.mark.parametrize("kind", COMPLEXES)
def test_an_annulus_has_one_long_loop_that_dies_at_its_centre(kind: str) -> None:
    x, y = plane(50)
    f = (np.hypot(x, y) - 0.6) ** 2
    found = tp.sublevel(f, kind)
    longest = found.h1[np.argmax(tp.lengths(found.h1))]
    assert longest[1] == np.float32(f[24:26, 24:26].max())
    assert longest[1] == pytest.approx(0.3262, abs=5e-5)
    assert np.sort(tp.lengths(found.h1))[:-1].sum() < 0.05 * tp.lengths(found.h1).max()


@pytest.mark.parametrize("kind", COMPLEXES)
def test_two_wells_meet_at_the_ridge(kind: str) -> None:
    x, y = plane(51)
    found = tp.sublevel((x**2 - 0.25) ** 2 + y**2, kind)
    assert len(found.h0) == 1
    assert found.h0[0, 1] == 0.0625
    assert found.h0[0, 0] == pytest.approx(0.00038416, rel=1e-6)
    assert len(found.h1) == 0


def test_egg_box_counts() -> None:
    x, y = plane(51)
    found = tp.sublevel(np.cos(3 * np.pi * x) * np.cos(3 * np.pi * y), "vertices")
    big = found.above(1e-3)
    # 7 x 7 extrema, cos 3 pi x alternating from -1: 4 * 3 * 2 minima, one of them the infinite class; of the maxima
    # 3 * 3 + 2 * 2 lie inside, where loops can close around them.
    assert (1 + len(big.h0), len(big.h1)) == (24, 13)


def test_torus_fixes_the_conventions_of_gudhi() -> None:
    import gudhi

    angle = 2 * np.pi * np.arange(40) / 40
    f = np.cos(angle)[:, None] + np.cos(angle)[None]
    torus = gudhi.PeriodicCubicalComplex(vertices=f, periodic_dimensions=[True, True])
    bars = torus.persistence(min_persistence=1e-9)
    assert sorted((dim, round(birth, 12)) for dim, (birth, _) in bars) == [(0, -2.0), (1, 0.0), (1, 0.0), (2, 2.0)]
    assert all(death == math.inf for _, (_, death) in bars)


@given(surfaces, complexes)
@settings(max_examples=150, deadline=None)
def test_three_computations_agree_exactly(f: np.ndarray, kind: str) -> None:
    own = tp.sublevel(f, kind)
    assert own.equals(ripser_grid.diagrams(f, kind))
    assert own.equals(gudhi_grid.diagrams(f, kind))


@given(surfaces)
@settings(max_examples=100, deadline=None)
def test_ripser_on_eight_neighbours_is_gudhi_on_top_cells(f: np.ndarray) -> None:
    """Written out against both packages directly, so that nothing of ours stands between them."""
    import gudhi
    from ripser import ripser
    from scipy.sparse import coo_matrix

    columns = f.shape[1]
    flat = f.ravel() + np.float32(0)
    i, j, w = [], [], []
    for a in range(f.size):
        for b in range(a, f.size):
            if max(abs(a // columns - b // columns), abs(a % columns - b % columns)) <= 1:
                i.append(a), j.append(b), w.append(max(flat[a], flat[b]))
    left = ripser(coo_matrix((np.array(w), (i, j)), shape=(f.size, f.size)), maxdim=1, distance_matrix=True)["dgms"]
    right = gudhi.CubicalComplex(top_dimensional_cells=f.astype(np.float64))
    right.compute_persistence(min_persistence=0.0)
    for dimension in (0, 1):
        intervals = right.persistence_intervals_in_dimension(dimension)
        assert np.array_equal(tp.tidy(left[dimension]), tp.tidy(intervals))


def test_large_noise_agrees_and_conventions_differ() -> None:
    f = np.random.default_rng(3).normal(size=(50, 50)).astype(np.float32)
    totals = {}
    for kind in COMPLEXES:
        own = tp.sublevel(f, kind)
        assert own.equals(ripser_grid.diagrams(f, kind))
        assert own.equals(gudhi_grid.diagrams(f, kind))
        totals[kind] = (tp.total(own.h0), tp.total(own.h1))
    assert totals["vertices"][0] > 1.5 * totals["cells"][0]
    assert totals["cells"][1] > 1.5 * totals["vertices"][1]
    assert totals["cells"][0] < totals["freudenthal"][0] < totals["vertices"][0]


@given(surfaces, complexes)
@settings(max_examples=150, deadline=None)
def test_euler_identity_is_exact_and_notices_a_lost_bar(f: np.ndarray, kind: str) -> None:
    found = tp.sublevel(f, kind)
    assert tp.euler_residual(f, found, kind) == 0.0
    if len(found.h0):
        assert tp.euler_residual(f, tp.Diagrams(found.h0[1:], found.h1), kind) != 0.0
    if len(found.h1):
        moved = found.h1.copy()
        moved[0, 1] = np.nextafter(moved[0, 1], np.float32(np.inf))
        assert tp.euler_residual(f, tp.Diagrams(found.h0, moved), kind) != 0.0


def test_euler_identity_over_thirty_orders_of_magnitude() -> None:
    f = np.exp(np.random.default_rng(0).uniform(-35, 35, (20, 20))).astype(np.float32)
    for kind in COMPLEXES:
        assert tp.euler_residual(f, tp.sublevel(f, kind), kind) == 0.0


@given(tied, complexes)
@settings(max_examples=60, deadline=None)
def test_increasing_maps_commute_with_diagrams(f: np.ndarray, kind: str) -> None:
    table = {-2.0: -7.5, -1.0: -1.0, 0.0: 0.125, 1.0: 3.0, 2.0: 1000.0}
    mapped = np.vectorize(table.__getitem__, otypes=[np.float32])(f)
    before, after = tp.sublevel(f, kind), tp.sublevel(mapped, kind)
    for a, b in ((before.h0, after.h0), (before.h1, after.h1)):
        image = np.vectorize(table.__getitem__, otypes=[np.float32])(a) if len(a) else a
        assert np.array_equal(tp.tidy(image), b)


@given(tied, complexes)
@settings(max_examples=60, deadline=None)
def test_shift_and_scale(f: np.ndarray, kind: str) -> None:
    found, shifted, scaled = (tp.sublevel(g, kind) for g in (f, f + 5, 4 * f))
    assert np.array_equal(shifted.h0, found.h0 + 5)
    assert np.array_equal(shifted.h1, found.h1 + 5)
    assert tp.total(scaled.h0) == 4 * tp.total(found.h0)
    assert tp.total(scaled.h1) == 4 * tp.total(found.h1)
    assert tp.entropy(scaled.h0) == pytest.approx(tp.entropy(found.h0), abs=1e-12)


@given(surfaces, st.sampled_from(("cells", "vertices")))
@settings(max_examples=60, deadline=None)
def test_transposing_and_flipping_change_nothing(f: np.ndarray, kind: str) -> None:
    found = tp.sublevel(f, kind)
    for moved in (f.T, f[::-1], f[:, ::-1], np.rot90(f)):
        assert found.equals(tp.sublevel(moved, kind))


def test_freudenthal_keeps_the_transpose_but_no_reflection() -> None:
    f = np.random.default_rng(1).normal(size=(12, 12))
    found = tp.sublevel(f, "freudenthal")
    assert found.equals(tp.sublevel(f.T, "freudenthal"))
    assert found.equals(tp.sublevel(f[::-1, ::-1], "freudenthal"))
    assert not found.equals(tp.sublevel(f[::-1], "freudenthal"))


@given(floats, st.integers(0, 1000), complexes)
@settings(max_examples=50, deadline=None)
def test_stability(f: np.ndarray, seed: int, kind: str) -> None:
    import gudhi

    g = f + np.random.default_rng(seed).uniform(-1, 1, f.shape).astype(np.float32)
    bound = float(np.abs(f.astype(np.float64) - g).max())
    first, second = tp.sublevel(f, kind), tp.sublevel(g, kind)
    for a, b in ((first.h0, second.h0), (first.h1, second.h1)):
        assert gudhi.bottleneck_distance(a.astype(float), b.astype(float)) <= bound * (1 + 1e-9)


@given(surfaces)
@settings(max_examples=60, deadline=None)
def test_duality_of_vertices_and_cells(f: np.ndarray) -> None:
    """Inside a border below everything, components of -f in one convention are the loops of f in the other."""
    padded = np.pad(-f, 1, constant_values=-2e3)
    for kind, other in (("vertices", "cells"), ("cells", "vertices")):
        bars = tp.sublevel(padded, other).h0
        assert np.array_equal(tp.loops(bars), tp.sublevel(f, kind).h1)


def test_numbers_of_a_known_diagram() -> None:
    bars = np.array([[0, 1], [0, 1], [2, 3], [5, 6]], dtype=np.float32)
    assert tp.total(bars) == 4.0
    assert tp.longest(bars) == 1.0
    assert tp.entropy(bars) == pytest.approx(math.log(4))
    uneven = np.array([[0, 1], [0, 3]], dtype=np.float32)
    assert tp.entropy(uneven) == pytest.approx(-(0.25 * math.log(0.25) + 0.75 * math.log(0.75)))
    assert len(tp.Diagrams(uneven, bars).above(1.0).h0) == 1


def test_tidy_drops_what_is_no_bar() -> None:
    bars = np.array([[2.0, 2.0], [1.0, np.inf], [0.5, 0.75], [-0.0, 0.25]])
    assert tp.tidy(bars).tolist() == [[0.0, 0.25], [0.5, 0.75]]
    assert tp.tidy(np.empty((0, 2))).shape == (0, 2)


def test_what_is_no_surface() -> None:
    with pytest.raises(ValueError, match="2 x 2"):
        tp.sublevel(np.zeros((1, 5)), "cells")
    with pytest.raises(ValueError, match="2 x 2"):
        tp.sublevel(np.zeros(5), "cells")
    with pytest.raises(ValueError, match="1 of 4 values are not finite"):
        tp.sublevel(np.array([[0, 1], [np.nan, 2]]), "cells")


@pytest.mark.parametrize(("engine", "name"), [(ripser_grid, "ripser"), (gudhi_grid, "gudhi")])
def test_a_missing_engine_names_the_extra(engine: object, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(module: str, *args: object, **kwargs: object) -> object:
        if module == name:
            raise ImportError(module)
        return real(module, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(CrucisError, match=rf"{name} is not installed; pip install crucis\[topology\]"):
        engine.diagrams(np.eye(3), "cells")
