"""Task sequences for continual learning, as lists of views of one data set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from .dataset import DataError, Dataset, Info
from .split import order


def class_disjoint(data: Dataset | Info, tasks: int, *, shuffle: int | None = None) -> list[dict[str, Any]]:
    """Views that share the classes out among `tasks` tasks; sizes differ by one class at most.

    Args:
        data: the data set or its description.
        tasks: 1 to the number of classes.
        shuffle: draws which class goes where from this integer; None keeps the order of the classes.

    Raises:
        DataError: more tasks than classes.
    """
    if not 1 <= tasks <= data.classes:
        raise DataError(f"{tasks} tasks for the {data.classes} classes of {data.name}; give 1 to {data.classes}")
    ranked = list(range(data.classes)) if shuffle is None else order(data.classes, shuffle, "tasks").tolist()
    size, extra = divmod(data.classes, tasks)
    starts = [i * size + min(i, extra) for i in range(tasks + 1)]
    return [{"classes": sorted(ranked[a:b])} for a, b in pairwise(starts)]


def permutations(tasks: int, view: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
    """`tasks` views with pixel permutations 0 (none), 1, 2, ...; `view` is kept in each."""
    return [{**(view or {}), "permute": which} for which in range(tasks)]


def rotations(degrees: Sequence[float], view: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
    """One view per angle; `view` is kept in each."""
    return [{**(view or {}), "rotate": angle} for angle in degrees]
