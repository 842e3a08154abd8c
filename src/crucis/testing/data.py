"""Conformance of data sets: what every file beside `data` owes the rest of the house. Takes a leaf's name.

```python
from crucis.testing.data import check_data
check_data("digits")
check_data("./mine.py", {"size": 16}, folder=Path("studies"))
```
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..data.dataset import SPLITS, Dataset, info_of
from ..data.open import describe, forget, open_data, read
from ..data.view import apply_view, view_size
from ..errors import Refusal
from ..study.spec import LeafRef


def check_data(
    name: str, params: Mapping[str, Any] | None = None, *, folder: Path | None = None, root: Path | None = None
) -> None:
    """Assert everything below for a data set. Reads it three times.

    Args:
        name: of a built-in or packaged leaf, or a user's file in `folder`.
        params: its parameters.
        folder: the study's folder, from which relative paths are meant.
        root: the folder of data sets.

    Raises:
        AssertionError: which promise is broken.
    """
    ref, place = LeafRef("data", name, dict(params or {})), folder or Path()
    data, again = (read(ref, folder=place, root=root) for _ in range(2))
    well_formed(name, data)
    disjoint_by_content(name, data)
    assert data.digest == again.digest, f"{name}: two readings give other content"
    described = describe(ref, folder=place, root=root)
    assert described == info_of(data), f"{name}: the description does not fit the data"
    assert describe(ref, folder=place, root=root) == described, f"{name}: the description changes"
    forget()
    opened = open_data(ref, folder=place, root=root)
    assert opened.digest == data.digest, f"{name}: opened through the cache, it is another data set"
    statistics_hold(name, data)
    sealed(name, opened)
    views_hold(name, opened)


def well_formed(name: str, data: Dataset) -> None:
    """Types, shapes, labels in range, nothing writable, no empty split."""
    assert data.kind in ("image", "vector"), f"{name}: kind {data.kind}"
    assert len(data.class_names) == data.classes >= 2, f"{name}: {len(data.class_names)} names, {data.classes} classes"
    for split in SPLITS:
        part = getattr(data, split)
        assert len(part), f"{name}: {split} is empty"
        wanted, axes = (np.uint8, 4) if data.kind == "image" else (np.float32, 2)
        assert part.x.dtype == wanted and part.x.ndim == axes, f"{name}: {split} holds {part.x.dtype} {part.x.shape}"
        assert part.y.dtype == np.int64 and part.y.shape == (len(part.x),), f"{name}: labels {part.y.dtype}"
        assert part.y.min() >= 0 and part.y.max() < data.classes, f"{name}: labels out of range in {split}"
        assert not part.x.flags.writeable and not part.y.flags.writeable, f"{name}: {split} can be written to"
        assert all(len(values) == len(part) for values in part.factors.values()), f"{name}: factors of other length"


def disjoint_by_content(name: str, data: Dataset) -> None:
    """No example, by its bytes, is in two splits."""
    seen = {split: {row.tobytes() for row in getattr(data, split).x} for split in SPLITS}
    for first, second in (("train", "validation"), ("train", "test"), ("validation", "test")):
        common = len(seen[first] & seen[second])
        assert not common, f"{name}: {common} examples are in {first} and in {second}"


def statistics_hold(name: str, data: Dataset) -> None:
    """Mean and deviation are those of the training split, or 0 and 1 where it is not standardised."""
    if set(data.mean) == {0.0} and set(data.std) == {1.0}:
        return
    x = data.train.x.astype(np.float64)
    x = x.reshape(-1, x.shape[-1]) / 255 if data.kind == "image" else x
    spread = x.std(0)
    assert np.allclose(x.mean(0), data.mean, atol=1e-6), f"{name}: mean {data.mean}, computed {x.mean(0)}"
    assert np.allclose(np.where(spread < 1e-8, 1, spread), data.std, atol=1e-6), f"{name}: deviation {data.std}"


def sealed(name: str, data: Dataset) -> None:
    """The test split is not handed out."""
    try:
        data.split("test")
    except Refusal as refusal:
        assert refusal.code == "sealed", f"{name}: refused for {refusal.code}"
    else:
        raise AssertionError(f"{name}: the test split is not sealed")


def views_hold(name: str, data: Dataset) -> None:
    """The halves share the classes out, sizes are as announced, and a view is the same twice."""
    info = info_of(data)
    halves = [apply_view(data, {"classes": half}, 1) for half in ("first-half", "second-half")]
    assert not set(halves[0].active) & set(halves[1].active), f"{name}: the halves overlap"
    assert sum(len(half.train) for half in halves) == len(data.train), f"{name}: the halves lose examples"
    small = {"n": max(2, len(data.train) // 3), "labels": "random"}
    first, second = (apply_view(data, small, 7) for _ in range(2))
    assert len(first.train) == view_size(info, small), f"{name}: the view has another size than announced"
    assert np.array_equal(first.train.x, second.train.x) and np.array_equal(first.train.y, second.train.y), (
        f"{name}: the same view differs"
    )
