"""From an estimate to a verdict: better, worse, equivalent or inconclusive, and how many more pairs would decide."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
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
    return Verdict("inconclusive", more_until(n, lambda pairs: word(pairs) != "inconclusive"))


def more_until(n: int, decided: Callable[[int], bool], most: int = MOST) -> int | None:
    """How many rows beyond n are the fewest for which `decided(rows)`, which stays true once it is; None above `most`.

    Costs about 14 calls.
    """
    if n >= most or not decided(most):
        return None
    low, high = n, most
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if decided(middle) else (middle, high)
    return high - n


def of_test(
    p: float, side: float, n: int, decided: Callable[[int, float], bool], *, alpha: float, higher: bool = True
) -> Verdict:
    """The verdict of a two-sided test of a difference: better or worse by its side if p is at most alpha.

    Args:
        p: of the test, before correction.
        side: any number with the sign of the difference.
        n: rows (pairs) that it rests on.
        decided: whether the test is expected to reject with so many rows at such a level, if the data stay as they are.
        alpha: level after correction, in (0, 1).
        higher: whether larger values are better.
    """
    if p <= alpha and side != 0.0:
        return Verdict("better" if (side > 0) == higher else "worse", 0)
    return Verdict("inconclusive", more_until(n, lambda rows: decided(rows, alpha)))


def after_correction(
    values: Mapping[str, float | None], p: float, alpha: float, *, neutral: float = 0.0, higher: bool = True
) -> dict[str, float | None]:
    """The columns of a verdict that change once `p` is corrected in its family, for a test of a difference.

    A leaf judges at alpha divided by the tests of the family, which is Bonferroni's rule. Holm's and Benjamini and
    Hochberg's reject no less: what their p calls significant is better or worse, by the side of the effect (of the mean
    ranks where there are any). A verdict that stands is kept.

    Args:
        values: the leaf's columns; p: corrected; alpha: the wanted level.
        neutral: the effect that means no difference, 1 for a ratio.
        higher: whether larger values are better.
    """
    side = _side(values, neutral)
    if p > alpha or not values.get("inconclusive") or side == 0.0:
        return {}
    return Verdict("better" if (side > 0) == higher else "worse", 0).columns()


def _side(values: Mapping[str, float | None], neutral: float) -> float:
    one, two, effect = (values.get(name) for name in ("rank_a", "rank_b", "effect"))
    if one is not None and two is not None:
        return one - two
    return 0.0 if effect is None else effect - neutral
