"""Areas and quadratics against closed forms."""

from __future__ import annotations

import doctest

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crucis.numerics import curves, topology
from crucis.numerics.curves import mean_height
from crucis.numerics.quadratic import fit, roughness

UNEVEN = [0, 10, 25, 50, 100, 250, 500]


def test_a_constant_has_its_own_height() -> None:
    assert mean_height(UNEVEN, [0.7] * 7, 500) == pytest.approx(0.7, abs=1e-15)


def test_a_straight_line_is_exact_on_an_uneven_grid() -> None:
    assert mean_height(UNEVEN, [1 - x / 500 for x in UNEVEN], 500) == pytest.approx(0.5, abs=1e-15)
    assert mean_height(UNEVEN, [1 - x / 500 for x in UNEVEN], 300) == pytest.approx(0.7, abs=1e-15)


@given(st.lists(st.floats(0, 1), min_size=7, max_size=7), st.integers(1, 500))
def test_the_area_is_the_integral_of_the_broken_line(heights: list[float], until: int) -> None:
    dense = np.linspace(0, until, 200 * until + 1) if until < 20 else np.arange(0, until + 0.01, 0.05)
    reference = np.trapezoid(np.interp(dense, UNEVEN, heights), dense) / until
    assert mean_height(UNEVEN, heights, until) == pytest.approx(reference, abs=1e-9)


@pytest.mark.parametrize(
    ("x", "y", "until"),
    [([0], [1], 1), ([0, 1], [1], 1), ([0, 0], [1, 1], 0), ([0, 1], [1, 1], 2), ([0, 1], [1, 1], 0)],
)
def test_what_has_no_area(x: list[float], y: list[float], until: float) -> None:
    with pytest.raises(ValueError, match=r"places|outside"):
        mean_height(x, y, until)


def test_a_quadratic_is_its_own_fit() -> None:
    x, y = np.meshgrid(np.linspace(-2, 2, 9), np.linspace(0, 1, 7), indexing="ij")
    f = 3 + x - 2 * y + x * x + 0.5 * x * y - 4 * y * y
    assert fit(f) == pytest.approx(f, abs=1e-12)
    assert roughness(f) < 1e-14


def test_roughness_is_the_share_of_what_no_quadratic_explains() -> None:
    x = np.repeat(np.linspace(-1, 1, 401)[:, None], 401, axis=1)
    # On [-1, 1] the part of x^3 that no quadratic reaches is x^3 - 3x/5, with mean square 4/175; the range is 2.
    assert roughness(x**3) == pytest.approx(np.sqrt(4 / 175) / 2, rel=1e-2)
    assert roughness(5 * x**3 + 7) == pytest.approx(roughness(x**3), rel=1e-9)


def test_what_has_no_quadratic() -> None:
    with pytest.raises(ValueError, match="at least 3 values"):
        fit(np.zeros((2, 5)))
    with pytest.raises(ValueError, match="constant"):
        roughness(np.ones((5, 5)))


@pytest.mark.parametrize("module", [curves, topology])
def test_examples_in_docstrings(module: object) -> None:
    found = doctest.testmod(module)
    assert found.attempted > 0
    assert found.failed == 0
