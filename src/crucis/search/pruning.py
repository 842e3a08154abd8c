"""Median pruning in rungs: a short training first, and only what is not worse than the trials before goes on."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from .space import Ask, Told, scores, started

STARTUP = 5  # trials that are never pruned, because too few came before them


def passes(told: Sequence[Told], rung: int) -> list[int]:
    """Trials that go on from a rung, in their order.

    A trial goes on if its score is at least the median of the scores of the trials before it at that rung (Golovin et
    al. 2017, Vizier, doi:10.1145/3097983.3098043), or if fewer than `STARTUP` came before. One without a score stays.
    """
    found = scores(told, rung)
    out = []
    for trial in sorted(found):
        score = found[trial]
        before = [other for earlier, other in found.items() if earlier < trial and other is not None]
        if score is not None and (len(before) < STARTUP or score >= statistics.median(before)):
            out.append(trial)
    return out


def promotions(told: Sequence[Told], rungs: int, prune: str) -> list[Ask]:
    """Evaluations one rung up of every trial that passed and has not gone on yet; none without pruning."""
    if prune == "none":
        return []
    values = started(told)
    out = []
    for rung in range(rungs - 1):
        above = scores(told, rung + 1)
        out += [Ask(trial, rung + 1, values[trial]) for trial in passes(told, rung) if trial not in above]
    return out
