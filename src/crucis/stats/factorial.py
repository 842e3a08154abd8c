"""Contrasts of runs whose components are in or out: weights (runs,) that turn a block's values into an effect."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np

from ..errors import Refusal
from .table import Array


def weights(coded: Array, focus: Sequence[int], names: Sequence[str]) -> Array:
    """The contrast of one component, or the interaction of two.

    One: value with the component minus value without it, averaged over all pairs of runs that differ in nothing else:
    in - out in a factorial, full minus without-X among leave-one-out runs, only-X minus baseline among add-one-in
    runs. Two: (both - only the one) - (only the other - neither), averaged over all squares of runs that differ in
    nothing else. A balanced fraction has no such pairs; there it is the mean of one half of the runs minus that of
    the other (twice that for an interaction, which puts it on the scale of a square), and effects may be aliased.

    Args:
        coded: (runs, components) of 0 and 1, no two rows equal; focus: one or two of its columns.

    Raises:
        Refusal: there is no such pair or square, and the runs are no balanced fraction.
    """
    found = _matched(coded, focus)
    if found is None:
        found = _balanced(coded, focus)
    if found is None:
        name = " and ".join(names[i] for i in focus)
        shape = "no pair of runs differs" if len(focus) == 1 else "no four runs differ"
        raise Refusal("not_applicable", f"{shape} in {name} alone, and the runs are no balanced fraction either")
    return found


def contexts(coded: Array, focus: Sequence[int]) -> int:
    """How many pairs or squares a contrast averages; 0 in a fraction."""
    return len(_groups(coded, focus))


def _groups(coded: Array, focus: Sequence[int]) -> list[dict[tuple[int, ...], int]]:
    """The other components' states in which the runs hold every combination of the focus: combination -> run."""
    rest = [i for i in range(coded.shape[1]) if i not in focus]
    found: dict[tuple[int, ...], dict[tuple[int, ...], int]] = {}
    for run, row in enumerate(coded.astype(int).tolist()):
        found.setdefault(tuple(row[i] for i in rest), {})[tuple(row[i] for i in focus)] = run
    return [group for group in found.values() if len(group) == 2 ** len(focus)]


def _matched(coded: Array, focus: Sequence[int]) -> Array | None:
    groups = _groups(coded, focus)
    if not groups:
        return None
    out = np.zeros(len(coded))
    for group in groups:
        for state, run in group.items():
            out[run] += (-1.0) ** (len(focus) - sum(state)) / len(groups)
    return out


def _balanced(coded: Array, focus: Sequence[int]) -> Array | None:
    signs = 2.0 * coded - 1.0
    sign = signs[:, list(focus)].prod(axis=1)
    others = [i for i in range(coded.shape[1]) if list(focus) != [i]]
    if sign.sum() != 0.0 or any(sign @ signs[:, i] != 0.0 for i in others):
        return None
    return sign * 2.0 ** len(focus) / len(coded)


def aliases(coded: Array, focus: Sequence[int], names: Sequence[str]) -> list[str]:
    """Other components and pairs that the runs cannot tell from the focus (same or opposite signs in every run).

    Only for fractions: where matched runs exist the contrast holds everything else fixed.
    """
    if _groups(coded, focus):
        return []
    signs = 2.0 * coded - 1.0
    mine = signs[:, list(focus)].prod(axis=1)
    every = [some for size in (1, 2) for some in itertools.combinations(range(coded.shape[1]), size)]
    return [
        "-".join(names[i] for i in some)
        for some in every
        if some != tuple(focus) and abs(mine @ signs[:, list(some)].prod(axis=1)) == len(coded)
    ]


def excess(coded: Array, focus: Sequence[int]) -> Array | None:
    """Loss from removing both from the whole method, less the two losses from removing each; None without these runs.

    Above 0: removing both hurts more than the sum, so each stands in for the other.
    """
    rest = [i for i in range(coded.shape[1]) if i not in focus]
    for group in _groups(coded, focus):
        if coded[group[1, 1]][rest].all():
            out = np.zeros(len(coded))
            # (full - none) - (full - without first) - (full - without second)
            out[group[1, 1]], out[group[0, 0]] = -1.0, -1.0
            out[group[0, 1]] = out[group[1, 0]] = 1.0
            return out
    return None


def shapley(coded: Array, component: int, names: Sequence[str]) -> Array:
    """The Shapley value of a component over the lattice of all subsets, as a contrast.

    Gain from adding it to each subset of the others, weighted by |S|! (n - |S| - 1)! / n!. The values of all
    components sum to full - none.

    Raises:
        Refusal: a subset was not run; the first eight are named.

    Reference case: two components, values none 0, first 1, second 2, both 5: 2 and 3.
    """
    count = coded.shape[1]
    run = {tuple(row): i for i, row in enumerate(coded.astype(int).tolist())}
    lacking = [state for state in itertools.product((1, 0), repeat=count) if state not in run]
    if lacking:
        listed = "; ".join(_called(state, names) for state in lacking[:8]) + ("; ..." if len(lacking) > 8 else "")
        raise Refusal(
            "not_applicable", f"Shapley values need all {2**count} subsets, and {len(lacking)} are lacking: {listed}"
        )
    out = np.zeros(len(coded))
    for state, i in run.items():
        inside = sum(state) - state[component]
        share = math.factorial(inside) * math.factorial(count - inside - 1) / math.factorial(count)
        out[i] = share if state[component] else -share
    return out


def _called(state: Sequence[int], names: Sequence[str]) -> str:
    return " + ".join(name for name, there in zip(names, state, strict=True) if there) or "none"
