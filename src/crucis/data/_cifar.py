"""CIFAR as published (pickles, as torchvision lays them out) or as Parquet."""

from __future__ import annotations

import io
import pickle
import tarfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ._tables import read_table, shards
from .dataset import DataError, Raw
from .files import Remote, bases, cache_folder, download, missing


class Layout(NamedTuple):
    """Where one of the two sets keeps what."""

    name: str
    folder: str  # of the pickles
    parquet: str  # folder of the Parquet files
    train: tuple[str, ...]
    test_file: str
    meta: str
    keys: tuple[bytes, ...]  # labels in the pickles: the classes, then coarse classes
    names: tuple[bytes, ...]
    columns: tuple[str, ...]  # labels in the Parquet files


#: All that the published pickles need: the parts of a numpy array. Nothing that can run code.
_ALLOWED = {
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("_codecs", "encode"),
}


class _Plain(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which is no part of a table of pixels")
        return super().find_class(module.replace("numpy.core.", "numpy._core."), name)


def read_pickle(path: Path) -> dict[bytes, Any]:
    """A pickled mapping of arrays and lists, read without running what it says.

    Raises:
        DataError: damaged, or anything but plain arrays in it.
    """
    try:
        out = _Plain(io.BytesIO(path.read_bytes()), encoding="bytes").load()
    except Exception as error:  # a damaged pickle may raise nearly anything
        raise DataError(f"{path}: no readable batch of CIFAR: {error}") from None
    if not isinstance(out, dict):
        raise DataError(f"{path}: no batch of CIFAR (a {type(out).__name__})")
    return out


def _batch(path: Path, keys: tuple[bytes, ...]) -> tuple[np.ndarray, list[np.ndarray]]:
    body = read_pickle(path)
    for key in (b"data", *keys):
        if key not in body:
            raise DataError(f"{path}: no entry {key.decode()!r}")
    x, labels = body[b"data"], [np.array(body[key], dtype=np.int64) for key in keys]
    if not isinstance(x, np.ndarray) or x.dtype != np.uint8 or x.ndim != 2 or x.shape[1] != 3072:
        raise DataError(f"{path}: its data are not rows of 3072 bytes")
    if any(len(label) != len(x) for label in labels):
        raise DataError(f"{path}: {len(x)} images, {len(labels[0])} labels")
    return x.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1), labels


def _coarse(fine: np.ndarray, coarse: np.ndarray, classes: int, where: str) -> tuple[int, ...]:
    """The coarse class of each class.

    Raises:
        DataError: a class in two coarse classes.
    """
    table = np.full(classes, -1)
    table[fine] = coarse
    if (table[fine] != coarse).any():
        raise DataError(f"{where}: one class has examples in two coarse classes")
    return tuple(np.maximum(table, 0).tolist())


def _pickled(layout: Layout, folder: Path) -> Raw:
    files = [folder / name for name in (*layout.train, layout.test_file, layout.meta)]
    for file in files:
        if not file.is_file():
            raise DataError(f"{layout.name}: {file} is missing")
    batches = [_batch(file, layout.keys) for file in files[:-1]]
    if len({len(x) for x, _ in batches[:-1]}) > 1:
        raise DataError(f"{layout.name}: the batches in {folder} have different lengths; one is truncated")
    meta = read_pickle(files[-1])
    try:
        names = [tuple(name.decode() for name in meta[key]) for key in layout.names]
    except (KeyError, AttributeError):
        raise DataError(f"{files[-1]}: no class names") from None
    x = np.concatenate([x for x, _ in batches[:-1]])
    y = [np.concatenate([labels[i] for _, labels in batches[:-1]]) for i in range(len(layout.keys))]
    test_x, test_y = batches[-1]
    return _raw(x, y, test_x, test_y, names, files, str(folder))


def _raw(
    x: np.ndarray, y: list[np.ndarray], test_x: np.ndarray, test_y: list[np.ndarray], names: list[tuple[str, ...]],
    files: list[Path], where: str,
) -> Raw:  # fmt: skip
    coarse = _coarse(y[0], y[1], len(names[0]), where) if len(y) > 1 else ()
    return Raw(
        x, y[0], names[0], test_x=test_x, test_y=test_y[0], coarse=coarse,
        coarse_names=names[1] if len(y) > 1 else (), files=tuple(files),
    )  # fmt: skip


def _tabled(layout: Layout, folder: Path) -> Raw:
    files = shards(folder)
    train, test = (read_table(files[s], "image", layout.columns, size=None, colour="rgb") for s in ("train", "test"))
    names = [train.names.get(column) or _numbered(train.labels[column]) for column in layout.columns]
    y, test_y = ([table.labels[column].astype(np.int64) for column in layout.columns] for table in (train, test))
    return _raw(train.x, y, test.x, test_y, names, [*files["train"], *files["test"]], str(folder))


def _numbered(labels: np.ndarray) -> tuple[str, ...]:
    return tuple(map(str, range(int(labels.max()) + 1)))


def load_cifar(layout: Layout, root: Path | None, path: str | None, fetch: bool, remote: Remote) -> Raw:
    """The published pickles if they are there (they hold the exact pixels), else Parquet files.

    Raises:
        DataError: nowhere, damaged, or incomplete.
    """
    looked = bases(root, path, layout.folder, layout.parquet)
    for folder in looked:
        if (folder / layout.train[0]).is_file():
            return _pickled(layout, folder)
    for folder in looked:
        if folder.name != layout.folder and all(shards(folder)[split] for split in ("train", "test")):
            return _tabled(layout, folder)
    if fetch:
        return _pickled(layout, _fetched(layout, Path(path) if path else cache_folder() / "downloads", remote))
    raise missing(layout.name, f"{layout.folder}/{layout.train[0]} or {layout.parquet}/train.parquet", looked, fetch)


def _fetched(layout: Layout, base: Path, remote: Remote) -> Path:
    archive = remote.url.rpartition("/")[2]
    download({archive: remote}, base)
    try:
        with tarfile.open(base / archive) as file:
            file.extractall(base, filter="data")
    except (tarfile.TarError, EOFError, OSError) as error:
        raise DataError(f"{base / archive}: cannot be unpacked: {error}") from None
    return base / layout.folder
