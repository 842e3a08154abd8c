"""Groups of people or things in a data set, as a study names them, and which example belongs to which."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import CrucisError, Refusal, did_you_mean

if TYPE_CHECKING:
    from ..data.dataset import Dataset, Split

#: A factor with more values than this, or with fractions, is a measured quantity and not a grouping.
MOST = 50


@dataclass(frozen=True)
class Groups:
    """`names` of the groups; `member` (N,) int64, the group of each example, -1 for none."""

    names: tuple[str, ...]
    member: np.ndarray


def class_indices(items: Sequence[Any], data: Dataset, where: str) -> list[int]:
    """Classes by index or name, as indices.

    Raises:
        CrucisError: no such class, or one twice.
    """
    out = []
    for item in items if isinstance(items, (list, tuple)) else [items]:
        if isinstance(item, int) and not isinstance(item, bool) and 0 <= item < data.classes:
            out.append(item)
        elif str(item) in data.class_names:
            out.append(data.class_names.index(str(item)))
        else:
            hint = did_you_mean(str(item), data.class_names) or f" Write 0 to {data.classes - 1} or a name."
            raise CrucisError(f"{where}: {data.name} has no class {item!r}.{hint}")
    if len(set(out)) != len(out):
        raise CrucisError(f"{where}: a class stands there twice")
    return out


def grouped(asked: Mapping[str, Any] | str | None, data: Dataset, split: Split) -> Groups:
    """The group of every example of a split.

    Args:
        asked: {name: [classes]}, groups by true class; the name of a known factor of the data (a column of group
            labels); `coarse`, the coarse classes; None, every class a group.

    Raises:
        CrucisError: no such factor or class, a class in two groups.
        Refusal: `not_applicable`, if the factor is no grouping; `too_few`, with examples in fewer than two groups.
    """
    if asked is None:
        found = Groups(data.class_names, split.y)
    elif isinstance(asked, Mapping):
        found = _of_classes(asked, data, split)
    elif asked == "coarse" and data.coarse:
        found = Groups(data.coarse_names, np.array(data.coarse, dtype=np.int64)[split.y])
    else:
        found = _of_factor(str(asked), data, split)
    if len(np.unique(found.member[found.member >= 0])) < 2:
        raise Refusal("too_few", f"{data.name}: fewer than two groups have examples in this split")
    return found


def _of_classes(asked: Mapping[str, Any], data: Dataset, split: Split) -> Groups:
    table = np.full(data.classes, -1, dtype=np.int64)
    for k, (name, classes) in enumerate(asked.items()):
        for label in class_indices(classes, data, f"groups.{name}"):
            if table[label] >= 0:
                raise CrucisError(f"groups: class {data.class_names[label]} is in two groups")
            table[label] = k
    return Groups(tuple(map(str, asked)), table[split.y])


def _of_factor(name: str, data: Dataset, split: Split) -> Groups:
    if name not in split.factors:
        known = [*split.factors, *(["coarse"] if data.coarse else [])]
        listed = f" It has: {', '.join(known)}." if known else " It has none: give {name: [classes]}."
        raise CrucisError(f"groups: {data.name} has no factor '{name}'.{did_you_mean(name, known) or listed}")
    column = np.asarray(split.factors[name])
    measured = column.ndim > 1 or (column.dtype.kind == "f" and bool((column != np.round(column)).any()))
    if measured or len(np.unique(column)) > MOST:
        raise Refusal("not_applicable", f"the factor '{name}' of {data.name} is a measured quantity, not a grouping")
    values, member = np.unique(column, return_inverse=True)
    return Groups(tuple(str(value) for value in values.tolist()), member.reshape(-1).astype(np.int64))
