"""Images in folders named after their classes.

`path` holds one folder per class, or `train` and, where there are any, `validation` (`val`) and `test`, each with one
folder per class. Needs Pillow (`crucis[images]`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np

from ._pixels import decode
from .dataset import DataError, Raw

REVISION = 1
KIND = "image"
LIMITS = {"size": "[1, 4096]"}

_ENDINGS = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".pgm", ".ppm"}
_PARTS = {"train": ("train",), "validation": ("validation", "valid", "val"), "test": ("test",)}


def _folders(place: Path) -> list[Path]:
    return sorted(folder for folder in place.iterdir() if folder.is_dir() and not folder.name.startswith("."))


def _part(place: Path, names: tuple[str, ...]) -> list[tuple[Path, int]]:
    """Files and labels of one split.

    Raises:
        DataError: a class folder that the training part lacks.
    """
    out = []
    for folder in _folders(place):
        if folder.name not in names:
            raise DataError(f"image_folder: {folder} is a class that the training part lacks")
        files = sorted(file for file in folder.rglob("*") if file.suffix.lower() in _ENDINGS)
        out += [(file, names.index(folder.name)) for file in files]
    return out


def load(
    root: Path | None,  # noqa: ARG001
    *,
    path: str,
    size: int | None = None,
    colour: Literal["auto", "rgb", "grey"] = "auto",
) -> Raw:
    """Images uint8 (N, H, W, C), in the order of class and file name.

    Args:
        path: the folder; relative to the study, or to the folder of data sets.
        size: scale the centred square of each image to this many pixels a side; default: as they are.
        colour: channels; `auto` goes by the first image.
    """
    place = Path(path)
    if not place.is_dir():
        raise DataError(f"image_folder: no folder {place}")
    parts = {}
    for split, names in _PARTS.items():
        found = [place / name for name in names if (place / name).is_dir()]
        if found:
            parts[split] = found[0]
    parts.setdefault("train", place)
    classes = tuple(folder.name for folder in _folders(parts["train"]))
    listed = {split: _part(folder, classes) for split, folder in parts.items()}
    if not classes or not listed["train"]:
        raise DataError(f"image_folder: no image in class folders below {parts['train']}")
    arrays, files = {}, []
    for split, some in listed.items():
        if some:
            x = decode(((str(file), file.read_bytes()) for file, _ in some), size=size, colour=colour)
            arrays[split] = (x, np.array([label for _, label in some], dtype=np.int64))
            files += [file for file, _ in some]
    more: dict[str, Any] = {
        f"{split}_{name}": arrays[split][i] for split in arrays if split != "train" for i, name in enumerate("xy")
    }
    seen = {place, *parts.values(), *(file.parent for file in files)}
    return Raw(*arrays["train"], classes, **more, files=(*files, *sorted(seen)))
