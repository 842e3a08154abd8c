"""Images in Hugging Face-style Parquet files: a column of encoded images and one of labels.

`path` is a file, or a folder with `train*.parquet` and, where there are any, `validation*` and `test*` (also in a
`data` subfolder). Class names come from the files' metadata. Needs pyarrow and Pillow (`crucis[images]`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from ._tables import indices, read_table, shards
from .dataset import DataError, Raw

REVISION = 1
KIND = "image"
LIMITS = {"size": "[1, 4096]"}


def load(
    root: Path | None,  # noqa: ARG001
    *,
    path: str,
    image: str = "image",
    label: str = "label",
    size: int | None = None,
    colour: Literal["auto", "rgb", "grey"] = "auto",
) -> Raw:
    """Images uint8 (N, H, W, C); official validation and test parts where there are files for them.

    Args:
        path: file or folder; relative to the study, or to the folder of data sets.
        image: column of the images.
        label: column of the labels.
        size: scale the centred square of each image to this many pixels a side; default: as they are.
        colour: channels; `auto` goes by the first image.
    """
    place = Path(path)
    files = {"train": [place], "validation": [], "test": []} if place.is_file() else shards(place)
    if not files["train"]:
        raise DataError(f"parquet: no Parquet file in {place}")
    tables = {}
    for split, some in files.items():
        if some:
            tables[split] = read_table(some, image, (label,), size=size, colour=colour)
    y, names = indices(tables["train"].labels[label], tables["train"].names.get(label), f"{place} {label}")
    more: dict[str, Any] = {}
    for split in ("validation", "test"):
        if split in tables:
            more[f"{split}_x"] = tables[split].x
            more[f"{split}_y"] = indices(tables[split].labels[label], names, f"{place} {label}")[0]
    every = tuple(file for some in files.values() for file in some)
    folders = {file.parent for file in every} if place.is_dir() else set()
    return Raw(tables["train"].x, y, names, **more, files=(*every, *sorted(folders)))
