"""The verdict of a comparison in words, for tables and sentences."""

from __future__ import annotations

from ..stats import verdicts
from .results import AnalysisResult, ResultRow

VERDICT = (
    "better or worse if the corrected test says so, equivalent if the difference certainly lies inside the margin, "
    "else inconclusive, with the number of further seeds (pairs) that would decide if mean and spread stayed so"
)


def judged(result: AnalysisResult) -> bool:
    """Whether its rows end in a verdict."""
    return any("inconclusive" in row.values for row in result.rows)


def verdict_words(row: ResultRow) -> str:
    """The verdict of a comparison in words; empty without one."""
    word = next((name for name in verdicts.WORDS if row.values.get(name)), "")
    more = row.values.get("more_pairs")
    if word != "inconclusive" or "more_pairs" not in row.values:
        return word
    if more is None:
        return f"inconclusive ({verdicts.MOST:,} pairs would not decide)".replace(",", " ")
    return f"inconclusive ({int(more)} more {'pair' if more == 1 else 'pairs'})"
