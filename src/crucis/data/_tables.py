"""Hugging Face-style Parquet: a column of encoded images, a column of labels, class names in the metadata."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ._pixels import decode
from .dataset import DataError

#: How the files of a split begin.
SHARDS = {"train": ("train", "all"), "validation": ("validation", "valid", "val", "dev"), "test": ("test",)}


def shards(folder: Path) -> dict[str, list[Path]]:
    """The Parquet files of each split, in `folder` or its `data` folder; a folder of one set of files is training."""
    for place in (folder, folder / "data"):
        files = sorted(place.glob("*.parquet")) if place.is_dir() else []
        if not files:
            continue
        out = {
            split: [file for file in files if file.stem.lower().split("-")[0].split("_")[0] in starts]
            for split, starts in SHARDS.items()
        }
        return out if out["train"] else {"train": files, "validation": [], "test": []}
    return {"train": [], "validation": [], "test": []}


@dataclass
class Table:
    """Rows of one split: images, the label columns, and the names behind integer labels."""

    x: np.ndarray
    labels: dict[str, np.ndarray]
    names: dict[str, tuple[str, ...]]


def read_table(files: list[Path], image: str, labels: tuple[str, ...], *, size: int | None, colour: str) -> Table:
    """Decode the rows of some files, in order.

    Raises:
        DataError: a damaged file or row (named), or a missing column.
    """
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise DataError("reading Parquet needs pyarrow: pip install 'crucis[images]'") from None
    encoded: list[tuple[str, bytes]] = []
    columns: dict[str, list[Any]] = {label: [] for label in labels}
    names: dict[str, tuple[str, ...]] = {}
    for file in files:
        try:
            table = pq.read_table(file)
        except (pa.ArrowException, OSError) as error:
            raise DataError(f"{file}: no readable Parquet file: {str(error).splitlines()[0]}") from None
        for column in (image, *labels):
            if column not in table.column_names:
                raise DataError(f"{file}: no column '{column}'; it has {', '.join(table.column_names)}")
        names.update(_names(table.schema.metadata or {}, labels))
        for row, cell in enumerate(table[image].to_pylist()):
            encoded.append((f"{file} row {row}", _bytes(cell, f"{file} row {row}")))
        for label in labels:
            columns[label] += table[label].to_pylist()
    x = decode(encoded, size=size, colour=colour)
    return Table(x, {label: np.array(values) for label, values in columns.items()}, names)


def _bytes(cell: Any, where: str) -> bytes:
    data = cell.get("bytes") if isinstance(cell, dict) else cell
    if not isinstance(data, bytes):
        raise DataError(f"{where}: no image bytes")
    return data


def _names(metadata: dict[bytes, bytes], labels: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    try:
        features = json.loads(metadata[b"huggingface"])["info"]["features"]
        return {label: tuple(features[label]["names"]) for label in labels if "names" in features.get(label, {})}
    except (KeyError, ValueError, TypeError):
        return {}


def indices(values: np.ndarray, names: tuple[str, ...] | None, where: str) -> tuple[np.ndarray, tuple[str, ...]]:
    """Labels as class indices with class names: integers from 0 as they are, texts in alphabetical order.

    Raises:
        DataError: labels that are neither.
    """
    if values.dtype.kind in "iu":
        count = int(values.max()) + 1 if len(values) else 0
        return values.astype(np.int64), names or tuple(map(str, range(count)))
    if values.dtype.kind == "U":
        found = names or tuple(sorted(set(values.tolist())))
        place = {name: i for i, name in enumerate(found)}
        try:
            return np.array([place[value] for value in values.tolist()], dtype=np.int64), found
        except KeyError as error:
            raise DataError(f"{where}: the label {error} occurs in one split only") from None
    raise DataError(f"{where}: labels must be whole numbers or texts, not {values.dtype}")
