"""How differently a classifier treats groups: rates of a favourable answer, overall and given the truth.

Source: demographic parity and its gap: C. Dwork et al., 2012 (arXiv:1104.3913); equalised odds: M. Hardt, E. Price,
N. Srebro, 2016 (arXiv:1610.02413); the worst group: S. Sagawa et al., 2020 (arXiv:1911.08731).
"""

from __future__ import annotations

import numpy as np


def shares(event: np.ndarray, group: np.ndarray, groups: int) -> np.ndarray:
    """Share of `event` (N,) bool in each group (N,) of 0 to groups - 1; NaN for a group without examples."""
    size = np.bincount(group, minlength=groups)
    hits = np.bincount(group, weights=event, minlength=groups)
    return np.divide(hits, size, out=np.full(groups, np.nan), where=size > 0)


def gap(rates: np.ndarray) -> float | None:
    """Largest minus smallest rate of the groups that have one; None if fewer than two do."""
    known = rates[np.isfinite(rates)]
    return float(known.max() - known.min()) if len(known) > 1 else None


def parity_gap(favoured: np.ndarray, group: np.ndarray, groups: int) -> float | None:
    """Demographic parity difference: gap of P(favourable answer | group)."""
    return gap(shares(favoured, group, groups))


def odds_gap(favoured: np.ndarray, deserving: np.ndarray, group: np.ndarray, groups: int) -> float | None:
    """Equalised odds difference: the larger one of the gaps of P(favourable answer | group, truth), truth being whether
    the label itself is favourable. A gap needs two groups with examples; None if neither truth has them."""
    found = [gap(shares(favoured[deserving == truth], group[deserving == truth], groups)) for truth in (True, False)]
    return max((one for one in found if one is not None), default=None)
