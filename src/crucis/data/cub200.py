"""CUB-200-2011: 11,788 colour photographs of 200 kinds of birds, scaled to squares.

Source: C. Wah, S. Branson, P. Welinder, P. Perona, S. Belongie, The Caltech-UCSD Birds-200-2011 Dataset, 2011
(Caltech CNS-TR-2011-001). Looked for as published (`CUB_200_2011/images.txt` and its neighbours); the official test
part is that of `train_test_split.txt`. Needs Pillow (`crucis[images]`). Decoding takes minutes, once.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np

from ._pixels import decode
from .dataset import DataError, Raw
from .files import bases, missing

REVISION = 1
KIND = "image"
LIMITS = {"size": "[1, 4096]"}
_LISTS = ("images.txt", "image_class_labels.txt", "train_test_split.txt", "classes.txt")


def load(root: Path | None, *, path: str | None = None, size: int = 64, colour: Literal["rgb", "grey"] = "rgb") -> Raw:
    """Images uint8 (N, size, size, C); official test part.

    Args:
        path: folder with `images.txt`, or the one above it; default: the folder of data sets.
        size: the centred square of each photograph is scaled to this many pixels a side.
        colour: channels; a few of the photographs are grey and are repeated over the channels.
    """
    looked = bases(root, path, "CUB_200_2011")
    folder = next((place for place in looked if (place / _LISTS[0]).is_file()), None)
    if folder is None:
        raise missing("cub200", "CUB_200_2011/images.txt", looked, None)
    names, classes, official, kinds = (_listed(folder / name) for name in _LISTS)
    if not set(names) == set(classes) == set(official):
        raise DataError(f"cub200: the lists in {folder} do not name the same images; one of them is truncated")
    order = sorted(names, key=int)
    files = [folder / "images" / names[key] for key in order]
    gone = next((file for file in files if not file.is_file()), None)
    if gone is not None:
        raise DataError(f"cub200: {gone} is missing")
    places = {key: index for index, key in enumerate(sorted(kinds, key=int))}
    try:
        y = np.array([places[classes[key]] for key in order], dtype=np.int64)
    except KeyError as error:
        raise DataError(f"cub200: {folder / _LISTS[1]} names the class {error}, which {_LISTS[3]} lacks") from None
    train = np.array([official[key] == "1" for key in order])
    x = decode(((str(file), file.read_bytes()) for file in files), size=size, colour=colour)
    labels = tuple(kinds[key].partition(".")[2] or kinds[key] for key in sorted(kinds, key=int))
    return Raw(
        x[train], y[train], labels, test_x=x[~train], test_y=y[~train],
        files=(*(folder / name for name in _LISTS), *files),
    )  # fmt: skip


def _listed(path: Path) -> dict[str, str]:
    """Number -> text of a list of lines `NUMBER TEXT`.

    Raises:
        DataError: no such file, a line of another form, or a number twice.
    """
    if not path.is_file():
        raise DataError(f"cub200: {path} is missing")
    out: dict[str, str] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        key, space, text = line.strip().partition(" ")
        if not (key.isdigit() and space and text) or key in out:
            raise DataError(f"{path}, line {number}: expected a new number and a text, got {line[:60]!r}")
        out[key] = text
    return out
