"""Rules about comparisons that show no difference: power, seeds needed, pairing."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence

from ...stats import power as stats
from ..power import Power, design_power
from ..results import AnalysisResult, ResultRow
from .case import Case
from .finding import Finding

_MOST = 500  # seeds that are still named


def no_difference(case: Case) -> Iterator[Finding]:
    """A paired comparison that is not significant: what could have been seen, and with how many seeds."""
    known = {(power.analysis, power.method): power for power in design_power(case.study, case.plan)}
    for name, result in case.conclusion.results.items():
        if result.verb != "compare":
            continue
        for row in result.rows:
            method = str(row.axes.get("method", result.leaves[0]))
            power = known.get((name, method))
            p, pairs = row.values.get("p"), _differences(row)
            if power is None or p is None or p <= 1 - result.confidence or row.incomplete or len(pairs) < 2:
                continue
            if power.smallest_p > power.alpha:  # said elsewhere: nothing could have been significant
                continue
            yield _finding(result, row, power, pairs)


def _differences(row: ResultRow) -> list[float]:
    a, b = row.data.get("a", []), row.data.get("b", [])
    return [float(x) - float(y) for x, y in zip(a, b, strict=True)] if len(a) == len(b) else []


def _finding(result: AnalysisResult, row: ResultRow, power: Power, pairs: Sequence[float]) -> Finding:
    v = row.values
    where = ", ".join(label for axis, label in row.axes.items() if axis not in ("metric", "against", "method"))
    effect, spread = float(v.get("effect") or statistics.fmean(pairs)), statistics.stdev(pairs)
    says = f"{result.name}: {where} does not differ significantly (effect {effect:.3g}"
    if v.get("low") is not None and v.get("high") is not None:
        says += f", interval {v['low']:.3g} to {v['high']:.3g}"
    says += f", p = {v['p']:.2g}, n = {row.n})"
    evidence = [f"paired differences have a standard deviation of {spread:.3g}"]
    if power.detectable is not None:
        evidence.append(f"80 % power from a true difference of {power.detectable * spread:.3g} with n = {row.n}")
    if (gain := _pairing(row)) is not None:
        evidence.append(gain)
    needed = seeds_needed(abs(effect) / spread, power.alpha, power.method) if spread > 0 and effect else None
    if needed is None:
        action = "no number of seeds that can be paid for would show a difference this small; accept it, or state a "
        action += "smallest effect of interest and test equivalence (compare: equivalence)"
    else:
        action = f"to see an effect of this size with 80 % power take {needed} pairs (now {row.n}), registered before "
        action += "the run as fresh seeds; absence of evidence is no evidence of absence"
    return Finding("no_difference", "advice", says, action, tuple(evidence))


def seeds_needed(dz: float, alpha: float, method: str = "paired_t", power: float = 0.8) -> int | None:
    """The fewest pairs at which a mean difference of `dz` standard deviations is found with probability `power`.

    Args:
        dz: standardised mean difference, above 0.
        alpha: level of one test, two-sided.
        method: `paired_t`, `permutation` or `wilcoxon`.
        power: the probability.

    Returns:
        None if more than 500 are needed. Reference: dz = 0.5, alpha = 0.05 needs 34 pairs by the t-test (Faul et al.
        2007, doi:10.3758/BF03193146).
    """
    for n in range(2, _MOST + 1):
        found = (
            stats.detectable_ranks(n, alpha, power)
            if method == "wilcoxon"
            else stats.detectable_pairs(n, alpha, power, exact=method == "permutation")
        )
        if found is not None and found <= dz:
            return n
    return None


def _pairing(row: ResultRow) -> str | None:
    """Whether the seeds that both arms share took noise away: variance of differences against the sum of variances."""
    a, b = row.data.get("a", []), row.data.get("b", [])
    if len(a) < 3:
        return None
    both = statistics.variance(a) + statistics.variance(b)
    paired = statistics.variance(_differences(row))
    if not both:
        return None
    change = 1 - paired / both
    word = "removed" if change >= 0 else "added"
    return f"pairing by seed {word} {100 * abs(change):.0f} % of the variance"


def unpaired(case: Case) -> Iterator[Finding]:
    """A test for independent samples on rows that are paired by seed."""
    for name, result in case.conclusion.results.items():
        if (
            result.verb == "compare"
            and set(result.leaves) == {"welch"}
            and any(len(_differences(r)) > 1 for r in result.rows)
        ):
            row = max(result.rows, key=lambda one: one.n)
            gain = _pairing(row)
            if gain is not None and "removed" in gain:
                yield Finding(
                    "unpaired", "advice", f"{name}: welch ignores that the arms share their seeds; {gain}",
                    "use paired_t (register it before the next run)",
                )  # fmt: skip
