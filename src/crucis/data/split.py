"""From raw examples to three fixed splits: stratified, disjoint by content, the same for every seed."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import numpy as np

from ..canon import canonical
from ..seeds import derive
from . import REVISION
from .dataset import SPLITS, DataError, Dataset, Raw, Split

#: The published constant from which every split is drawn. It is not a study's seed, so that all studies share splits.
SPLIT_SEED = 27_182_818


def order(count: int, seed: int, *names: str | int) -> np.ndarray:
    """A random order of 0..count-1 of the stream `names`.

    Sorts raw 64-bit words of PCG64, whose sequence numpy guarantees for ever; `Generator.permutation` may change
    between numpy versions.
    """
    words = np.random.PCG64(derive(seed, *names)).random_raw(count)
    return np.argsort(words, kind="stable")


def _held_out(y: np.ndarray, share: float, name: str) -> np.ndarray:
    """Boolean (N,): about `share` of every class, at least one where a class has three examples or more."""
    out = np.zeros(len(y), dtype=bool)
    for label in np.unique(y):
        members = np.flatnonzero(y == label)
        count = max(round(share * len(members)), int(len(members) >= 3))
        out[members[order(len(members), SPLIT_SEED, "split", name, int(label))[:count]]] = True
    return out


def _hashes(x: np.ndarray) -> list[bytes]:
    rows = np.ascontiguousarray(x).reshape(len(x), int(np.prod(x.shape[1:])))
    return [hashlib.blake2b(row.data, digest_size=16).digest() for row in rows]


def _without(part: Split, hashes: list[bytes], taken: set[bytes]) -> tuple[Split, list[bytes]]:
    keep = np.array([value not in taken for value in hashes], dtype=bool)
    if keep.all():
        return part, hashes
    return part.take(np.flatnonzero(keep)), [value for value, kept in zip(hashes, keep, strict=True) if kept]


def disjoint(train: Split, validation: Split, test: Split) -> tuple[Split, Split, int]:
    """Training and validation without the examples that a later split holds too, and how many were dropped.

    Equality is that of the pixels or features, whatever the labels say. The test part is never touched.
    """
    before = len(train) + len(validation)
    in_test = set(_hashes(test.x))
    validation, held = _without(validation, _hashes(validation.x), in_test)
    train, _ = _without(train, _hashes(train.x), in_test | set(held))
    return train, validation, before - len(train) - len(validation)


def statistics(x: np.ndarray) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and population standard deviation: per channel on the scale 0 to 1 (exact, from counts), or per feature.

    A constant channel or feature gets the deviation 1, so that normalising it gives 0.
    """
    if x.dtype == np.uint8:
        levels = np.arange(256) / 255
        counts = np.stack([np.bincount(x[..., c].ravel(), minlength=256) for c in range(x.shape[-1])])
        mean = counts @ levels / counts.sum(1)
        deviation = np.sqrt(np.maximum((counts @ levels**2) / counts.sum(1) - mean**2, 0))
    else:
        wide = x.astype(np.float64)
        mean, deviation = wide.mean(0), wide.std(0)
    deviation = np.where(deviation < 1e-8, 1.0, deviation)
    return tuple(mean.tolist()), tuple(deviation.tolist())


def content_digest(splits: Mapping[str, Split], class_names: tuple[str, ...], coarse: tuple[int, ...]) -> str:
    """SHA-256 of what the splits hold, in order: shapes, examples, labels, factors, class names."""
    total = hashlib.sha256(f"crucis-data-{REVISION}\n{canonical([class_names, coarse])}".encode())
    for name in SPLITS:
        part = splits[name]
        arrays = {"x": part.x, "y": part.y, **{f"factor {key}": part.factors[key] for key in sorted(part.factors)}}
        for key, array in arrays.items():
            total.update(f"\n{name} {key} {array.dtype.str} {array.shape}\n".encode())
            total.update(np.ascontiguousarray(array).data)
    return total.hexdigest()


def _checked(raw: Raw, name: str) -> str:
    """The kind of the examples.

    Raises:
        DataError: arrays that are no images or vectors, or labels that name no class.
    """
    image = raw.x.dtype == np.uint8 and raw.x.ndim == 4
    if not image and not (raw.x.dtype == np.float32 and raw.x.ndim == 2):
        raise DataError(
            f"{name}: expected uint8 images (N, H, W, C) or float32 vectors (N, D), got {raw.x.dtype} {raw.x.shape}"
        )
    parts = {"": (raw.x, raw.y), "test ": (raw.test_x, raw.test_y), "validation ": (raw.validation_x, raw.validation_y)}
    for label, (x, y) in parts.items():
        if x is None or y is None:
            continue
        if len(x) != len(y) or x.shape[1:] != raw.x.shape[1:] or x.dtype != raw.x.dtype:
            raise DataError(f"{name}: the {label}examples {x.shape} and labels {y.shape} do not fit {raw.x.shape}")
        if len(y) and (int(y.min()) < 0 or int(y.max()) >= len(raw.class_names)):
            raise DataError(f"{name}: {label}labels run from {y.min()} to {y.max()} for {len(raw.class_names)} classes")
        if not image and not np.isfinite(x).all():
            raise DataError(f"{name}: the {label}vectors hold values that are not finite")
    if raw.coarse and len(raw.coarse) != len(raw.class_names):
        raise DataError(f"{name}: {len(raw.coarse)} coarse labels for {len(raw.class_names)} classes")
    return "image" if image else "vector"


def _parts(raw: Raw) -> tuple[Split, Split, Split]:
    whole = Split(raw.x, raw.y.astype(np.int64), raw.factors)
    if raw.test_x is not None and raw.test_y is not None:
        test = Split(raw.test_x, raw.test_y.astype(np.int64), raw.test_factors)
    else:
        out = _held_out(whole.y, 0.1, "test")
        whole, test = whole.take(np.flatnonzero(~out)), whole.take(np.flatnonzero(out))
    if raw.validation_x is not None and raw.validation_y is not None:
        return whole, Split(raw.validation_x, raw.validation_y.astype(np.int64)), test
    share = 0.1 if raw.test_x is not None else 1 / 9  # a tenth of the whole, once the test part is gone
    out = _held_out(whole.y, share, "validation")
    return whole.take(np.flatnonzero(~out)), whole.take(np.flatnonzero(out)), test


def make(raw: Raw, name: str) -> Dataset:
    """The data set with its fixed splits: official parts where there are any, else 80/10/10 stratified.

    Raises:
        DataError: see `_checked`; or a split that would be empty.
    """
    kind = _checked(raw, name)
    train, validation, test = _parts(raw)
    train, validation, removed = disjoint(train, validation, test)
    splits = {"train": train.frozen(), "validation": validation.frozen(), "test": test.frozen()}
    for label, part in splits.items():
        if not len(part):
            raise DataError(f"{name}: the {label} split would be empty ({len(raw.y)} examples in all)")
    mean, deviation = statistics(splits["train"].x)
    if not raw.standardised:
        mean, deviation = (0.0,) * len(mean), (1.0,) * len(mean)
    return Dataset(
        name=name, kind=kind, classes=len(raw.class_names), class_names=tuple(raw.class_names),
        train=splits["train"], validation=splits["validation"], test=splits["test"],
        mean=mean, std=deviation, digest=content_digest(splits, tuple(raw.class_names), tuple(raw.coarse)),
        coarse=tuple(raw.coarse), coarse_names=tuple(raw.coarse_names), duplicates_removed=removed,
        active=tuple(range(len(raw.class_names))),
    )  # fmt: skip
