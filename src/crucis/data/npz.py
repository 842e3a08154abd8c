"""A NumPy archive: `x` and `y`, and where there are any `test_x`, `test_y`, `class_names`.

`x` is uint8 (N, H, W) or (N, H, W, C) for images, floating point (N, D) for vectors. The names `x_train`, `y_train`,
`x_test`, `y_test` are understood too. Never unpickles.
"""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from .dataset import DataError, Raw

REVISION = 1

_NAMES = {"x": "x_train", "y": "y_train", "test_x": "x_test", "test_y": "y_test"}


def _read(place: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(place, allow_pickle=False) as file:
            found = {name: file[name] for name in file.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, AttributeError) as error:
        raise DataError(f"{place}: no readable archive of plain arrays: {error}") from None
    out = {
        name: found[name if name in found else other] for name, other in _NAMES.items() if {name, other} & set(found)
    }
    for name in ("x", "y"):
        if name not in out:
            raise DataError(f"{place}: no array '{name}'; it has {', '.join(found) or 'none'}")
    return {**out, **({"class_names": found["class_names"]} if "class_names" in found else {})}


def _examples(x: np.ndarray, place: Path) -> np.ndarray:
    if x.dtype == np.uint8 and x.ndim in (3, 4):
        return x[..., None] if x.ndim == 3 else x
    if x.dtype.kind == "f" and x.ndim == 2:
        return x.astype(np.float32)
    raise DataError(
        f"{place}: x is {x.dtype} {x.shape}; expected uint8 images (N, H, W[, C]) or floating vectors (N, D)"
    )


def load(root: Path | None, *, path: str) -> Raw:  # noqa: ARG001
    """See the module.

    Args:
        path: the file; relative to the study, or to the folder of data sets.
    """
    place = Path(path)
    if not place.is_file():
        raise DataError(f"npz: no file {place}")
    arrays = _read(place)
    labels = [arrays[name] for name in ("y", "test_y") if name in arrays]
    if any(y.dtype.kind not in "iu" or y.ndim != 1 or (len(y) and int(y.min()) < 0) for y in labels):
        raise DataError(f"{place}: labels must be whole numbers from 0, one per example")
    if "class_names" in arrays:
        names = tuple(map(str, arrays["class_names"].tolist()))
    else:
        names = tuple(map(str, range(1 + max((int(y.max()) for y in labels if len(y)), default=0))))
    test: dict[str, Any] = {}
    if "test_x" in arrays and "test_y" in arrays:
        test = {"test_x": _examples(arrays["test_x"], place), "test_y": arrays["test_y"]}
    return Raw(_examples(arrays["x"], place), arrays["y"].astype(np.int64), names, **test, files=(place,))
