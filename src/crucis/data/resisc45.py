"""NWPU-RESISC45: 31,500 colour aerial scenes of 256 x 256 pixels, 700 in each of 45 classes, scaled to squares.

Source: G. Cheng, J. Han, X. Lu, Remote Sensing Image Scene Classification: Benchmark and State of the Art, 2017,
doi:10.1109/JPROC.2017.2675998. Looked for as published (`NWPU-RESISC45/CLASS/*.jpg`). It has no official split. Needs
Pillow (`crucis[images]`). Decoding takes minutes, once.
"""

from __future__ import annotations

from pathlib import Path

from . import image_folder
from .dataset import DataError, Raw
from .files import bases, missing

REVISION = 1
KIND = "image"
LIMITS = {"size": "[1, 4096]"}
#: A class by which the folder is recognised, and how many there are.
_CLASS, _CLASSES = "airplane", 45


def load(root: Path | None, *, path: str | None = None, size: int = 64) -> Raw:
    """Images uint8 (N, size, size, 3).

    Args:
        path: folder of the class folders, or the one above it; default: the folder of data sets.
        size: pixels a side.
    """
    looked = bases(root, path, "NWPU-RESISC45", "RESISC45")
    folder = next((place for place in looked if (place / _CLASS).is_dir()), None)
    if folder is None:
        raise missing("resisc45", f"NWPU-RESISC45/{_CLASS}", looked, None)
    raw = image_folder.load(root, path=str(folder), size=size, colour="rgb")
    if len(raw.class_names) != _CLASSES:
        raise DataError(f"resisc45: {folder} has {len(raw.class_names)} class folders, the published set {_CLASSES}")
    return raw
