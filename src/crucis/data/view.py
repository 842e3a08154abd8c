"""Views: which part of a data set, with which labels. One vocabulary for every data set.

Keys are applied in the order of `KEYS`, however they are written. `classes`, `permute`, `rotate` and the class
system of `labels: coarse` act on every split, everything else on the training split only; no view moves an example
from one split to another.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..canon import digest, plainly
from ..errors import did_you_mean
from .dataset import DataError, Dataset, Info, Split
from .split import order
from .transform import permuted, rotated

KEYS = ("classes", "per_class", "n", "share", "labels", "permute", "rotate")

_CLASSES = "first-half, second-half, a list, {random_half: 7} or {other_half: 7}"
_LABELS = "true, random, {noise: 20%} or coarse"


def _count(view: Mapping[str, Any], key: str, least: int = 1) -> int | None:
    value = view.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise DataError(f"view.{key}: expected a whole number from {least}, got {value!r}")
    return value


def _one(value: Any, names: tuple[str, ...]) -> tuple[str, Any] | None:
    if isinstance(value, Mapping) and len(value) == 1:
        ((name, inner),) = value.items()
        if name in names:
            return name, inner
    return None


def _named(items: Sequence[Any], class_names: tuple[str, ...]) -> tuple[int, ...]:
    out = []
    for item in items:
        if isinstance(item, int) and not isinstance(item, bool) and 0 <= item < len(class_names):
            out.append(item)
        elif isinstance(item, str) and item in class_names:
            out.append(class_names.index(item))
        else:
            hint = did_you_mean(str(item), class_names)
            raise DataError(f"view.classes: no class {item!r}; write 0 to {len(class_names) - 1} or a name.{hint}")
    if len(set(out)) != len(out) or not out:
        raise DataError("view.classes: a class twice" if out else "view.classes: an empty list leaves no example")
    return tuple(sorted(out))


def active_classes(data: Dataset | Info, view: Mapping[str, Any]) -> tuple[int, ...]:
    """Indices of the classes that a view keeps, ascending (before `labels: coarse`).

    `{random_half: k}` is the same half for every seed, drawn from k; `{other_half: k}` is the rest.
    """
    count, value = data.classes, view.get("classes")
    if value is None:
        return tuple(range(count))
    half = count // 2
    if value == "first-half":
        return tuple(range(half))
    if value == "second-half":
        return tuple(range(half, count))
    chosen = _one(value, ("random_half", "other_half"))
    if chosen and isinstance(chosen[1], int) and not isinstance(chosen[1], bool):
        ranked = order(count, chosen[1], "view", "classes")
        return tuple(sorted((ranked[:half] if chosen[0] == "random_half" else ranked[half:]).tolist()))
    if isinstance(value, (list, tuple)):
        return _named(value, data.class_names)
    raise DataError(f"view.classes: expected {_CLASSES}, got {value!r}")


def _noise(view: Mapping[str, Any]) -> float | None:
    chosen = _one(view.get("labels"), ("noise",))
    if chosen is None:
        return None
    value = chosen[1]
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1:
        raise DataError(f"view.labels.noise: expected a share from 0 to 1 (20%), got {value!r}")
    return float(value)


def _label_kind(view: Mapping[str, Any]) -> str:
    value = view.get("labels", "true")
    if value is True or value == "true":
        return "true"
    if value in ("random", "coarse"):
        return str(value)
    if _noise(view) is not None:
        return "noise"
    raise DataError(f"view.labels: expected {_LABELS}, got {value!r}")


def _smaller(available: int, view: Mapping[str, Any]) -> int:
    """Size after `n` and `share` of a training split with `available` examples."""
    count = _count(view, "n")
    if count is not None:
        if count > available:
            raise DataError(f"view.n: {count} examples asked for, {available} are there")
        available = count
    share = view.get("share")
    if share is not None:
        if isinstance(share, bool) or not isinstance(share, (int, float)) or not 0 < share <= 1:
            raise DataError(f"view.share: expected a share above 0 and up to 1 (10%), got {share!r}")
        available = max(1, round(share * available))
    return available


def _per_class(counts: Mapping[int, int], view: Mapping[str, Any], names: tuple[str, ...]) -> int | None:
    wanted = _count(view, "per_class")
    if wanted is not None:
        label = min(counts, key=lambda key: (counts[key], key))
        if counts[label] < wanted:
            raise DataError(f"view.per_class: {wanted} asked for, class '{names[label]}' has {counts[label]}")
    return wanted


def check_view(info: Dataset | Info, view: Mapping[str, Any]) -> None:
    """Refuse what cannot be applied to this data set, whatever its size.

    Raises:
        DataError: unknown key, wrong value, or a view that this kind of data does not have.
    """
    for key in view:
        if key not in KEYS:
            raise DataError(f"view has no key '{key}'; it has: {', '.join(KEYS)}.{did_you_mean(str(key), KEYS)}")
    classes = active_classes(info, view)
    kind = _label_kind(view)
    if kind == "coarse" and not info.coarse:
        raise DataError(f"view.labels: '{info.name}' has no coarse labels")
    if len(classes) < 2 and kind == "noise":
        raise DataError("view.labels.noise: with one class there is no other label to give")
    _count(view, "permute", 0)
    angle = view.get("rotate")
    if angle is not None:
        if isinstance(angle, bool) or not isinstance(angle, (int, float)) or not np.isfinite(angle):
            raise DataError(f"view.rotate: expected degrees, got {angle!r}")
        if info.kind != "image":
            raise DataError(f"view.rotate: '{info.name}' holds vectors, which have no rotation")


def view_size(info: Info, view: Mapping[str, Any]) -> int:
    """Examples of the training split after the view, without loading anything.

    Raises:
        DataError: a view that does not fit the data set.
    """
    check_view(info, view)
    train = info.class_counts["train"]
    counts = {label: train[label] for label in active_classes(info, view)}
    wanted = _per_class(counts, view, info.class_names)
    available = sum(counts.values()) if wanted is None else wanted * len(counts)
    if not available:
        raise DataError("view: it leaves no training example")
    return _smaller(available, view)


def view_classes(data: Dataset | Info, view: Mapping[str, Any]) -> int:
    """Outputs a network needs under the view: those of the data set, or of its coarse classes."""
    return len(data.coarse_names) if view.get("labels") == "coarse" else data.classes


def _of_classes(split: Split, classes: tuple[int, ...]) -> Split:
    return split.take(np.flatnonzero(np.isin(split.y, classes)))


def _narrowed(data: Dataset, view: Mapping[str, Any], seed: int, classes: tuple[int, ...]) -> Split:
    """The training split after per_class, n and share. Kept examples stay in the order of the data set, and a
    smaller view of the same seed is a subset of a larger one."""
    train = data.train
    counts = {label: int(np.count_nonzero(train.y == label)) for label in classes}
    wanted = _per_class(counts, view, data.class_names)
    if wanted is not None:
        chosen = []
        for label in classes:
            members = np.flatnonzero(train.y == label)
            chosen.append(members[order(len(members), seed, "view", "per_class", label)[:wanted]])
        train = train.take(np.sort(np.concatenate(chosen)))
    if not len(train):
        raise DataError("view: it leaves no training example")
    for key in ("n", "share"):
        if view.get(key) is not None:
            size = _smaller(len(train), {key: view[key]})
            train = train.take(np.sort(order(len(train), seed, "view", key)[:size]))
    return train


def _words(count: int, seed: int, *names: str) -> np.ndarray:
    from ..seeds import derive

    return np.random.PCG64(derive(seed, *names)).random_raw(count)


def _relabelled(train: Split, view: Mapping[str, Any], seed: int, classes: tuple[int, ...]) -> Split:
    """Random labels are uniform over the kept classes. Noise gives exactly that share of the examples another one."""
    kind, kept = _label_kind(view), np.array(classes, dtype=np.int64)
    if kind == "random":
        draw = _words(len(train), seed, "view", "labels") % np.uint64(len(kept))
        return replace(train, y=kept[draw.astype(np.int64)])
    if kind == "noise":
        size = round((_noise(view) or 0.0) * len(train))
        index = order(len(train), seed, "view", "labels")[:size]
        shift = _words(size, seed, "view", "labels", "shift") % np.uint64(max(len(kept) - 1, 1)) + np.uint64(1)
        y = train.y.copy()
        place = np.searchsorted(kept, y[index])
        y[index] = kept[(place + shift.astype(np.int64)) % len(kept)]
        return replace(train, y=y)
    return train


def _coarse(data: Dataset, classes: tuple[int, ...]) -> Dataset:
    table = np.array(data.coarse, dtype=np.int64)
    active = tuple(sorted({data.coarse[label] for label in classes}))
    return data.mapped(
        lambda part: replace(part, y=table[part.y]),
        classes=len(data.coarse_names), class_names=data.coarse_names, coarse=(), coarse_names=(), active=active,
    )  # fmt: skip


def view_digest(data_digest: str, view: Mapping[str, Any]) -> str:
    """Identity of a data set under a view."""
    return digest(["crucis-view", data_digest, plainly(dict(view))]) if view else data_digest


def apply_view(data: Dataset, view: Mapping[str, Any], seed: int) -> Dataset:
    """The data set as the view shows it. Mean and deviation stay those of the whole training split.

    Args:
        data: a data set without a view.
        view: keys of `KEYS`; their order does not matter.
        seed: the cell's seed; `per_class`, `n`, `share` and `labels` draw from its stream of that name.

    Raises:
        DataError: a view that does not fit the data set.
    """
    if data.view:
        raise DataError(f"{data.name}: a view is there already; write all its keys in one")
    check_view(data, view)
    classes = active_classes(data, view)
    shown = data.mapped(lambda part: _of_classes(part, classes)) if view.get("classes") is not None else data
    train = _relabelled(_narrowed(shown, view, seed, classes), view, seed, classes)
    shown = replace(shown, train=train, active=classes, view=dict(view), digest=view_digest(data.digest, view))
    if _label_kind(view) == "coarse":
        shown = _coarse(shown, classes)
    if view.get("permute") is not None:
        shown = permuted(shown, view["permute"])
    if view.get("rotate") is not None:
        shown = rotated(shown, float(view["rotate"]))
    return shown.mapped(Split.frozen)
