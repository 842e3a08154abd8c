"""Ridge regression judged on left-out groups, its penalty chosen on inner left-out groups: all in closed form.

Every fit of the nested loops is a linear map of y that the design alone determines, and the fit without groups a and b
serves both "a outside, b inside" and "b outside, a inside". So G outer folds need G + G (G - 1) / 2 small
eigendecompositions once, and after that a thousand permuted y are one matrix product per penalty.

Equal, to rounding, to scikit-learn's `GridSearchCV(make_pipeline(StandardScaler(), Ridge()), cv=LeaveOneGroupOut(),
scoring="neg_mean_squared_error")` inside an outer `LeaveOneGroupOut`: columns are standardised within each inner fold.
Source: Hoerl and Kennard (1970), doi:10.1080/00401706.1970.10488634; nesting: Varma and Simon (2006),
doi:10.1186/1471-2105-7-91.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from ..errors import Refusal
from .table import Array, at_least

#: The penalties that are tried; the smallest of those that do equally well is taken.
PENALTIES: Array = np.logspace(-3.0, 3.0, 13)
#: Numbers held at once, which bounds memory to about 100 MB.
CHUNK = 4_000_000
Index = NDArray[np.intp]


@dataclass(frozen=True)
class Folds:
    """Which rows each fit sees and which it predicts.

    Attributes:
        of: group of each row, (n,).
        train: rows that each fit sees, (fits, n), 0 or 1; the first `groups` fits leave out one group, the rest two.
        fit, row, weight: one entry per inner prediction, in the order of the outer group: by which fit, of which row,
            and its share in the mean error of that outer group (every inner group counts alike).
        starts: where the entries of each outer group begin.
    """

    of: Index
    train: Array
    fit: Index
    row: Index
    weight: Array
    starts: Index

    @property
    def groups(self) -> int:
        """Number of groups."""
        return len(self.starts)


def folds(labels: Sequence[str]) -> Folds:
    """The nested folds of rows with these group labels.

    Raises:
        Refusal: fewer than three groups, or a fit that would see fewer than two rows.
    """
    names = list(dict.fromkeys(labels))
    at_least(len(names), 3, "groups to leave out")
    of = np.array([names.index(label) for label in labels], dtype=np.intp)
    rows = [np.flatnonzero(of == group) for group in range(len(names))]
    left = [(group,) for group in range(len(names))] + list(combinations(range(len(names)), 2))
    train = np.array([[float(group not in out) for group in of] for out in left])
    if train.sum(axis=1).min() < 2:
        raise Refusal("too_few", "leaving out two groups leaves fewer than two rows to learn from")
    place = {out: index for index, out in enumerate(left)}
    fit: list[int] = []
    row: list[int] = []
    weight: list[float] = []
    starts: list[int] = []
    for outer in range(len(names)):
        starts.append(len(fit))
        for inner in range(len(names)):
            if inner != outer:
                fit += [place[(min(outer, inner), max(outer, inner))]] * len(rows[inner])
                row += rows[inner].tolist()
                weight += [1.0 / (len(rows[inner]) * (len(names) - 1))] * len(rows[inner])
    return Folds(of, train, np.array(fit), np.array(row), np.array(weight), np.array(starts))


@dataclass(frozen=True)
class _Fits:
    """The eigendecompositions of a batch of designs: b designs, f fits, p columns.

    Attributes:
        roots: eigenvalues of each standardised Gram matrix, (b, f, p).
        rows: every row, standardised as its fit does, in that eigenbasis, (b, f, n, p).
        seen: the same with zeros for rows that the fit does not see.
    """

    roots: Array
    rows: Array
    seen: Array


def _fits(designs: Array, train: Array) -> _Fits:
    """Standardise and decompose; a column that is constant within a fit is left at zero, as scikit-learn does."""
    n = train.sum(axis=1)
    means = (train @ designs) / n[:, None]  # (b, f, p)
    centred = designs[:, None] - means[:, :, None]
    seen = centred * train[:, :, None]
    variance = (seen**2).sum(axis=2) / n[:, None]
    least = np.finfo(np.float64).eps * n[:, None]
    constant = variance <= least * variance + (least * means) ** 2
    scale = np.where(constant, 1.0, np.sqrt(variance))[:, :, None]
    centred, seen = centred / scale, seen / scale
    roots, basis = np.linalg.eigh(np.swapaxes(seen, 2, 3) @ seen)
    return _Fits(np.maximum(roots, 0.0), centred @ basis, seen @ basis)


@dataclass(frozen=True)
class Operators:
    """One design's fits as maps of y: `inner` (penalties, entries of the folds, n), `outer` (penalties, n, n)."""

    inner: Array
    outer: Array


def operators(design: Array, where: Folds) -> Operators:
    """Everything about a design (n, p) that predictions need, for any y.

    Cost: G^2 / 2 decompositions of p x p; 5 ms at 19 groups of one row and 3 columns.
    """
    n = len(where.of)
    mean = where.train / where.train.sum(axis=1)[:, None]
    if design.shape[1] == 0:
        return Operators(mean[where.fit][None], mean[where.of][None])
    fits = _fits(design[None], where.train)
    roots, rows, seen = fits.roots[0], fits.rows[0], fits.seen[0]

    def maps(fit: Index, row: Index) -> Array:
        shrunk = rows[fit, row][None] / (roots[fit][None] + PENALTIES[:, None, None])  # (penalties, entries, p)
        return np.einsum("aep,enp->aen", shrunk, seen[fit], optimize=True) + mean[fit][None]

    return Operators(maps(where.fit, where.row), maps(where.of, np.arange(n)))


def predictions(maps: Operators, where: Folds, ys: Array) -> Array:
    """Out-of-group predictions of every row, (m, n), for m targets `ys` (m, n); each with its own penalties.

    Cost: penalties * G^2 * n multiplications per target: 10 ms for 1,000 targets of 19 units.
    """
    step = max(1, CHUNK // max(1, len(where.fit)))
    parts = [_predictions(maps, where, ys[start : start + step].T) for start in range(0, len(ys), step)]
    return np.concatenate(parts)


def _predictions(maps: Operators, where: Folds, columns: Array) -> Array:
    truth = columns[where.row]
    weight = where.weight[:, None]
    best = np.full((where.groups, columns.shape[1]), np.inf)
    out = np.empty_like(columns)
    for inner, outer in zip(maps.inner, maps.outer, strict=True):
        missed = inner @ columns
        missed -= truth
        missed *= missed
        missed *= weight
        score = np.add.reduceat(missed, where.starts, axis=0)
        better = score < best
        best = np.where(better, score, best)
        out = np.where(better[where.of], outer @ columns, out)
    return out.T


def for_designs(designs: Array, where: Folds, y: Array) -> Array:
    """Out-of-group predictions of one y (n,) from many designs (b, n, p), (b, n).

    Cost: 0.5 ms per design of 19 units and 3 columns.
    """
    size = where.train.size * designs.shape[2] * 3
    step = max(1, CHUNK // size)
    return np.concatenate(list(_for_designs(designs, where, y, step)))


def _for_designs(designs: Array, where: Folds, y: Array, step: int) -> Iterator[Array]:
    mean = (where.train @ y) / where.train.sum(axis=1)
    every = np.arange(len(y))
    for start in range(0, len(designs), step):
        fits = _fits(designs[start : start + step], where.train)
        weights = y @ fits.seen  # (b, f, p)
        inner_rows, outer_rows = fits.rows[:, where.fit, where.row], fits.rows[:, where.of, every]
        best = np.full((len(weights), where.groups), np.inf)
        out = np.empty((len(weights), len(y)))
        for penalty in PENALTIES:
            slopes = weights / (fits.roots + penalty)
            missed = (inner_rows * slopes[:, where.fit]).sum(axis=2) + mean[where.fit] - y[where.row]
            score = np.add.reduceat(missed**2 * where.weight, where.starts, axis=1)
            better = score < best
            best = np.where(better, score, best)
            told = (outer_rows * slopes[:, where.of]).sum(axis=2) + mean[where.of]
            out = np.where(better[:, where.of], told, out)
        yield out


def left_out_means(where: Folds, y: Array) -> Array:
    """The mean of the other groups' rows, for each row: what a model without columns predicts."""
    means = (where.train @ y) / where.train.sum(axis=1)
    return np.asarray(means[where.of])
