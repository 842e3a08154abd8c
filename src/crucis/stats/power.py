"""Before the run: the smallest effect that a design can detect, and the smallest p it can reach."""

from __future__ import annotations

import math
from functools import lru_cache

from . import ranks, signed_ranks
from .tails import bisect, normal_quantile, power_t, t_quantile

#: Up to this many pairs all sign flips are tried; above, as many as `DRAWS` random ones.
EXHAUSTIVE = 16
DRAWS = 9_999


def attainable_flip(n: int) -> float:
    """Smallest two-sided p of the sign-flip test with n pairs: 2 / 2^n, or 1 / (1 + draws) where it is sampled."""
    return 2.0 ** (1 - n) if n <= EXHAUSTIVE else 1.0 / (1 + DRAWS)


def _flip_level(n: int, alpha: float) -> float:
    """The level that the sign-flip test really has at `alpha`; 0 if it can never reject."""
    return math.floor(alpha * 2.0 ** (n - 1) + 1e-9) * 2.0 ** (1 - n) if n <= EXHAUSTIVE else alpha


@lru_cache(maxsize=4096)
def detectable_pairs(n: int, alpha: float, power: float = 0.8, exact: bool = False) -> float | None:
    """Smallest mean difference, in units of the differences' standard deviation, found with probability `power`.

    The two-sided paired t-test under normality; with `exact` the sign-flip permutation test, whose power is that
    of the t-test at the level which the few flips really allow (within 5 points of its simulated power for n from
    6 to 20). None if the test can never reject, or with fewer than two pairs.
    """
    if n < 2:
        return None
    level = _flip_level(n, alpha) if exact else alpha
    if level <= 0.0:
        return None
    if exact and level <= attainable_flip(n) * 1.001 and n <= EXHAUSTIVE:
        # It rejects only if all signs agree: closed form, Phi(d)^n + Phi(-d)^n = power.
        return bisect(lambda d: _same_sign(d, n) - power, 0.0, 40.0)
    top = t_quantile(1.0 - 0.5 * level, n - 1) + 40.0
    return bisect(lambda shift: power_t(shift, n - 1, level) - power, 0.0, 4.0 * top) / math.sqrt(n)


@lru_cache(maxsize=4096)
def detectable_ranks(n: int, alpha: float, power: float = 0.8) -> float | None:
    """As `detectable_pairs`, for the two-sided Wilcoxon signed-rank test of normal differences; None if out of reach.

    The t-test at the level which the ranks really allow, with 3 / pi of the pairs (asymptotic relative efficiency);
    where only equal signs reject, the closed form. Within 5 points of its simulated power for n from 6 to 30.
    """
    if n < 2:
        return None
    real = signed_ranks.level(n, alpha)
    if real <= 0.0:
        return None
    if real <= 2.0 ** (1 - n) * 1.001:
        return bisect(lambda d: _same_sign(d, n) - power, 0.0, 40.0)
    top = t_quantile(1.0 - 0.5 * real, n - 1) + 40.0
    shift = bisect(lambda x: power_t(x, n - 1, real) - power, 0.0, 4.0 * top)
    return shift / math.sqrt(n * 3.0 / math.pi)


def power_pairs(n: int, effect: float, alpha: float, kind: str = "t") -> float:
    """Probability that a two-sided test of n normal differences rejects at `alpha`.

    Args:
        n: pairs; below 2 nothing is found.
        effect: true mean difference, in standard deviations of the differences, any sign.
        alpha: level after correction, in (0, 1).
        kind: `t` (paired t, exact), `flip` (sign flips) or `rank` (Wilcoxon's signed ranks): the t-test at the level
            which few pairs really allow, and the closed form where only equal signs reject; within 5 points of the
            simulated power.

    Reference case: n = 5, effect 1.5, alpha 0.05: 0.711 (t); 0 for the two others, whose smallest p is 0.0625.
    """
    if n < 2:
        return 0.0
    level = {"t": alpha, "flip": _flip_level(n, alpha), "rank": signed_ranks.level(n, alpha)}[kind]
    if level <= 0.0:
        return 0.0
    if kind != "t" and level <= 2.0 ** (1 - n) * 1.001:
        return _same_sign(effect, n)
    weight = n * 3.0 / math.pi if kind == "rank" else n
    return power_t(abs(effect) * math.sqrt(weight), n - 1, level)


def power_sides(n: int, effect: float, alpha: float) -> float:
    """As `power_pairs`, for Welch's test of two independent normal samples of n values and equal deviation.

    `effect` is in standard deviations of one side. With 5 seeds of deviation 1, noise of 0.3 in each run and a true
    difference of 0.5 it is 0.10 (and 0.02 where the sides share their seeds, which the formula does not know), that of
    the paired t-test 0.52.
    """
    return 0.0 if n < 2 else power_t(abs(effect) * math.sqrt(0.5 * n), 2 * n - 2, alpha)


@lru_cache(maxsize=4096)
def detectable_sides(n: int, alpha: float, power: float = 0.8) -> float | None:
    """Smallest difference, in standard deviations of one side, that `power_sides` finds with probability `power`."""
    if n < 2:
        return None
    return bisect(
        lambda effect: power_sides(n, effect, alpha) - power, 0.0, 4.0 * t_quantile(1.0 - 0.5 * alpha, 2) + 40.0
    )


def seeds_needed(effect: float, alpha: float, power: float = 0.8, kind: str = "t", most: int = 10_000) -> int | None:
    """The fewest pairs with which an effect is found with probability `power`; None if even `most` are too few.

    `effect` in standard deviations of the paired differences. Reference case: effect 1.5, alpha 0.05: 6 (t).
    """
    if power_pairs(most, effect, alpha, kind) < power:
        return None
    low, high = 1, most
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if power_pairs(middle, effect, alpha, kind) >= power else (middle, high)
    return high


def expected_flip(mean: float, sd: float, n: int, alpha: float) -> bool:
    """Whether the sign-flip test of n differences with this mean and deviation is expected to reject at `alpha`.

    The t-test at the level that the flips really allow.
    """
    return _expected(mean, sd, float(n), n, _flip_level(n, alpha))


def expected_ranks(centre: float, sd: float, n: int, alpha: float) -> bool:
    """As `expected_flip`, for the signed ranks of differences around `centre` (3 / pi of the pairs count)."""
    return _expected(centre, sd, n * 3.0 / math.pi, n, signed_ranks.level(n, alpha))


def _expected(centre: float, sd: float, weight: float, n: int, level: float) -> bool:
    if level <= 0.0 or n < 2:
        return False
    return abs(centre) > t_quantile(1.0 - 0.5 * level, n - 1) * sd / math.sqrt(weight)


def _same_sign(d: float, n: int) -> float:
    below = 0.5 * math.erfc(d / math.sqrt(2.0))
    return (1.0 - below) ** n + below**n


def attainable_correlation(n: int, kind: str = "spearman", given: int = 0) -> float:
    """Smallest p that a correlation of n units can reach: 2 / n! where it is exact, 0 where it is continuous."""
    return 2.0 / math.factorial(n) if kind in ("spearman", "kendall") and not given and n <= ranks.EXACT else 0.0


@lru_cache(maxsize=4096)
def significant_correlation(n: int, alpha: float, kind: str = "spearman", given: int = 0) -> float | None:
    """Smallest |coefficient| (no ties) whose p is at most `alpha` with n units; None if none is.

    Args:
        n: number of units.
        alpha: level after correction, for instance 0.05 / 12.
        kind: `spearman`, `kendall`, `pearson`.
        given: number of variables held constant (partial correlations).
    """
    if kind == "kendall":
        return ranks.smallest_tau(n, alpha)
    if kind == "spearman" and not given and n <= ranks.EXACT:
        return ranks.smallest_rho(n, alpha)
    df = n - 2 - given
    if df < 1:
        return None
    t = t_quantile(1.0 - 0.5 * alpha, df)
    return t / math.sqrt(df + t * t)


@lru_cache(maxsize=4096)
def detectable_correlation(
    n: int, alpha: float, kind: str = "spearman", given: int = 0, power: float = 0.8
) -> float | None:
    """Smallest true |coefficient| that is significant at `alpha` with probability `power`; None if none is.

    Normal approximation on Fisher's scale (within 5 points of the simulated power for n >= 8, bivariate normal).
    """
    edge = significant_correlation(n, alpha, kind, given)
    if edge is None or edge >= 1.0 or n - given < 5:
        return None
    pairs = n * (n - 1) / 2
    target = math.atanh(edge - 1.0 / pairs if kind == "kendall" else edge)  # half a step: tau takes few values

    def above(rho: float) -> float:
        reach = normal_quantile(power) * ranks.fisher_se(rho, n, kind, given)
        return _on_fishers_scale(rho, n - given, kind) - reach - target

    found = bisect(above, 0.0, 1.0 - 1e-12)
    return found if found < 0.9999 else None


def _on_fishers_scale(rho: float, n: int, kind: str) -> float:
    """About where the sample coefficient of a bivariate normal stands on Fisher's scale.

    Pearson's lies rho / (2 (n - 1)) too high there; Spearman's mean is drawn towards tau (Moran 1948), what
    counts for power (a skewed coefficient near its limit) about a quarter as far: a weight fitted to simulations.
    """
    if kind == "pearson":
        return math.atanh(rho) + rho / (2.0 * (n - 1))
    if kind == "kendall":
        return math.atanh(rho)
    tau = 2.0 / math.pi * math.asin(min(1.0, 2.0 * math.sin(math.pi * rho / 6.0)))
    mean = (3.0 * tau + (n - 2) * rho) / (n + 1)
    return math.atanh(0.75 * rho + 0.25 * mean)
