"""From an estimate to a verdict: better, worse, equivalent or inconclusive, and how many more pairs would decide."""

from __future__ import annotations

import math
from dataclasses import dataclass

from .tails import t_quantile

WORDS = ("better", "worse", "equivalent", "inconclusive")
#: No more pairs than this are ever advised.
MOST = 10_000


@dataclass(frozen=True)
class Verdict:
    """One of `WORDS`, and the pairs that are still to be added (0 if decided, None if none up to `MOST` would do)."""

    word: str
    more: int | None

    def columns(self) -> dict[str, float | None]:
        """The four words as 0 or 1, exactly one of them 1, and `more_pairs`."""
        return {**flags(self.word), "more_pairs": self.more}


def flags(word: str) -> dict[str, float | None]:
    """The four words as 0 or 1."""
    return {one: float(one == word) for one in WORDS}


def word_of(mean: float, se: float, df: int, alpha: float, margin: float | None = None, higher: bool = True) -> str:
    """The verdict on a mean difference with its standard error, by Student's t.

    Equivalent if the 1 - 2 alpha interval lies inside +- margin (two one-sided tests at alpha), even if it excludes
    zero: a difference that certainly exists but certainly does not matter. Else better or worse if the 1 - alpha
    interval excludes zero; else inconclusive, which is never the same as equivalent.
    """
    if margin is not None and abs(mean) + t_quantile(1.0 - alpha, df) * se < margin:
        return "equivalent"
    if abs(mean) > t_quantile(1.0 - 0.5 * alpha, df) * se:
        return "better" if (mean > 0) == higher else "worse"
    return "inconclusive"


def judge(
    mean: float, sd: float, n: int, *, alpha: float = 0.05, margin: float | None = None, higher: bool = True
) -> Verdict:
    """The verdict on n paired differences, and how many more pairs decide if mean and deviation stay as they are.

    The advice is an expectation and no promise: by luck of the new pairs about half of such extensions fall short.

    Args:
        mean: of the differences, in their unit.
        sd: their standard deviation (n - 1), above 0.
        n: pairs, at least 2.
        alpha: level after correction, in (0, 0.5).
        margin: largest difference that does not matter, above 0; None: equivalence is never claimed.
        higher: whether larger values are better.
    """

    def word(pairs: int) -> str:
        return word_of(mean, sd / math.sqrt(pairs), pairs - 1, alpha, margin, higher)

    if word(n) != "inconclusive":
        return Verdict(word(n), 0)
    if word(MOST) == "inconclusive":
        return Verdict("inconclusive", None)
    low, high = n, MOST
    while high - low > 1:  # once decided, more pairs of the same kind stay decided
        middle = (low + high) // 2
        low, high = (middle, high) if word(middle) == "inconclusive" else (low, middle)
    return Verdict("inconclusive", high - n)
