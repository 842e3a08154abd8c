"""Corrections for many tests: holm, bonferroni, bh (Benjamini-Hochberg), none."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

NAMES = ("holm", "bonferroni", "bh", "none")


def adjust(p: Sequence[float | None], method: str = "holm", size: int | None = None) -> list[float | None]:
    """Adjusted p-values in the order given; compare them with the wanted level itself.

    Args:
        p: raw p-values; None for a planned test that gave none (refused, sealed). It counts as a test with p = 1,
            which never lowers another p-value.
        method: `holm` (Holm 1979, Scand. J. Statist. 6:65), `bonferroni`, `bh` (Benjamini and Hochberg 1995,
            doi:10.1111/j.2517-6161.1995.tb02031.x; controls the false discovery rate), `none`.
        size: number of tests if more were planned than stand in `p`.

    Raises:
        ValueError: unknown method, a p outside [0, 1], or `size` below the number of tests.
    """
    if method not in NAMES:
        raise ValueError(f"unknown correction {method!r}; known: {', '.join(NAMES)}")
    count = len(p) if size is None else size
    if count < len(p):
        raise ValueError(f"a family of {count} cannot hold {len(p)} tests")
    known = [i for i, value in enumerate(p) if value is not None]
    raw = np.array([p[i] for i in known], dtype=np.float64)
    if not ((raw >= 0) & (raw <= 1)).all():
        raise ValueError("a p-value lies outside [0, 1]")
    out: list[float | None] = [None] * len(p)
    for i, value in zip(known, _adjusted(raw, method, count), strict=True):
        out[i] = float(value)
    return out


def _adjusted(raw: np.ndarray, method: str, count: int) -> np.ndarray:
    if method == "none" or not raw.size:
        return raw
    if method == "bonferroni":
        return np.minimum(raw * count, 1.0)
    order = np.argsort(raw, kind="stable")
    rank = np.arange(1, raw.size + 1)
    if method == "holm":
        steps = np.maximum.accumulate(raw[order] * (count - rank + 1))
    else:
        steps = np.minimum.accumulate((raw[order] * count / rank)[::-1])[::-1]
    out = np.empty_like(raw)
    out[order] = np.minimum(steps, 1.0)
    return out
