"""Ripser on the graph of a grid. The only file that imports ripser.

Source: U. Bauer, Ripser: efficient computation of Vietoris-Rips persistence barcodes, 2021
(doi:10.1007/s41468-021-00071-5); C. Tralie, N. Saul, R. Bar-On, Ripser.py, 2018 (doi:10.21105/joss.00925).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import CrucisError
from .topology import CONNECTIVITY, Complex, Diagrams, dual, edges, loops, surface, tidy


def _ripser() -> Any:
    try:
        from ripser import ripser
    except ImportError:
        raise CrucisError("engine: ripser is not installed; pip install crucis[topology], or engine: gudhi") from None
    return ripser


def _flag(births: np.ndarray, pairs: np.ndarray, dimension: int) -> list[np.ndarray]:
    """Diagrams of the flag complex of a graph whose edges enter with the later of their ends."""
    from scipy.sparse import coo_matrix

    points = np.arange(len(births))
    rows, columns = np.append(pairs[:, 0], points), np.append(pairs[:, 1], points)
    weights = np.append(np.maximum(births[pairs[:, 0]], births[pairs[:, 1]]), births)  # explicit zeros stay edges
    matrix = coo_matrix((weights, (rows, columns)), shape=(len(births), len(births)))
    return _ripser()(matrix, maxdim=dimension, distance_matrix=True)["dgms"]


def diagrams(values: np.ndarray, complex: Complex) -> Diagrams:
    """Sublevel persistence of a surface by Ripser, float32.

    `cells` is the flag complex of the 8-neighbour graph (H0 and H1 equal those of GUDHI's top cells exactly);
    `freudenthal` that of the 6-neighbour graph. For `vertices` the 4-neighbour graph gives H0; its flag complex has
    no squares and so no right H1, which is therefore taken from the dual 8-neighbour graph of -f.

    Raises:
        CrucisError: ripser is not installed.
    """
    f = surface(values)
    near, far = CONNECTIVITY[complex]
    grid = edges((f.shape[0], f.shape[1]), near)
    if complex == "vertices":
        h0 = _flag(f.ravel(), grid, 0)[0]
        return Diagrams(tidy(h0), loops(tidy(_flag(*dual(f, far), 0)[0])))
    h0, h1 = _flag(f.ravel(), grid, 1)
    return Diagrams(tidy(h0), tidy(h1))
