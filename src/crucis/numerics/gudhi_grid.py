"""GUDHI's cubical and simplicial complexes on a grid. The only file that imports gudhi.

Source: The GUDHI project, P. Dlotko, Cubical complex, GUDHI user and reference manual, 2015 onwards (gudhi.inria.fr).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import CrucisError
from .topology import Complex, Diagrams, edges, surface, tidy


def _gudhi() -> Any:
    try:
        import gudhi
    except ImportError:
        raise CrucisError("engine: gudhi is not installed; pip install crucis[topology], or engine: ripser") from None
    return gudhi


def diagrams(values: np.ndarray, complex: Complex) -> Diagrams:
    """Sublevel persistence of a surface by GUDHI; exact on float32.

    Raises:
        CrucisError: gudhi is not installed.
    """
    f, gudhi = surface(values), _gudhi()
    if complex == "freudenthal":
        built = _triangulated(gudhi, f)
    else:
        name = "vertices" if complex == "vertices" else "top_dimensional_cells"
        built = gudhi.CubicalComplex(**{name: f.astype(np.float64)})
    built.compute_persistence(min_persistence=0.0)
    return Diagrams(*(tidy(built.persistence_intervals_in_dimension(dimension)) for dimension in (0, 1)))


def _triangulated(gudhi: Any, f: np.ndarray) -> Any:
    """The grid with every square cut along one diagonal; each simplex enters with its largest corner."""
    tree, flat = gudhi.SimplexTree(), f.ravel().astype(np.float64)
    index = np.arange(f.size).reshape(f.shape)
    corners = [index[:-1, :-1], index[:-1, 1:], index[1:, :-1], index[1:, 1:]]
    upper = np.stack([corners[0].ravel(), corners[1].ravel(), corners[3].ravel()])
    lower = np.stack([corners[0].ravel(), corners[2].ravel(), corners[3].ravel()])
    for simplices in (
        index.reshape(1, -1),
        edges((f.shape[0], f.shape[1]), 6).T,
        np.concatenate([upper, lower], axis=1),
    ):
        tree.insert_batch(np.ascontiguousarray(simplices, dtype=np.int32), flat[simplices].max(axis=0))
    return tree
