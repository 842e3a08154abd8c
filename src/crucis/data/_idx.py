"""The MNIST family: four idx files, plain or gzip, as torchvision lays them out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from .dataset import DataError, Raw
from .files import Remote, bases, cache_folder, download, find, missing, read_idx

_PARTS = ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")


def load_idx(
    name: str,
    folder: str,
    class_names: tuple[str, ...],
    root: Path | None,
    path: str | None,
    fetch: bool,
    remote: Mapping[str, Remote],
) -> Raw:
    """The set whose files lie in `folder`/raw (or one of the folders above it).

    Raises:
        DataError: files missing, damaged, or not fitting each other.
    """
    looked = bases(root, path, f"{folder}/raw", "raw", folder)
    found = _find(looked)
    if not all(found) and fetch:
        target = (Path(path) if path else cache_folder() / "downloads") / folder / "raw"
        download(remote, target)
        looked = [*looked, target]
        found = _find(looked)
    for part, file in zip(_PARTS, found, strict=True):
        if file is None:
            raise missing(name, f"{part}-ubyte(.gz)", looked, fetch)
    files = [file for file in found if file is not None]
    arrays = [read_idx(file) for file in files]
    for images, labels in ((0, 1), (2, 3)):
        x, y = arrays[images], arrays[labels]
        if x.ndim != 3 or y.ndim != 1 or len(x) != len(y):
            raise DataError(f"{files[images]}: {x.shape} images for {y.shape} labels in {files[labels].name}")
    train_x, train_y, test_x, test_y = arrays
    return Raw(
        train_x[..., None], train_y.astype(np.int64), class_names,
        test_x=test_x[..., None], test_y=test_y.astype(np.int64), files=tuple(files),
    )  # fmt: skip


def _find(folders: list[Path]) -> list[Path | None]:
    return [find(folders, (f"{part}-ubyte", f"{part}-ubyte.gz")) for part in _PARTS]
